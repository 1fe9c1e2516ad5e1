/** Windows that are stale, or may become so, as text. Pure. */
import { formatRun, MAIN_BRANCH, type RunAddress } from '../pipelines/run-id';
import { rebuildCommand, staleText, type StaleWindow } from '../pipelines/stale';

const SHOWN = 6;

/** One line a window, oldest first, and the commands that mend them in that order. What is stale on a branch is its backfill's to rebuild. */
export function renderStale(stale: readonly StaleWindow[]): string {
  if (stale.length === 0) return 'nothing is stale';
  const current = stale.filter(({ branch }) => branch === MAIN_BRANCH);
  const branched = stale.filter(({ branch }) => branch !== MAIN_BRANCH);
  return [
    ...stale.map((window) => `${formatRun(window)}  ${staleText(window)}`),
    ...(current.length === 0 ? [] : ['next, in this order:', ...current.map((window) => `  ${rebuildCommand(window)}`)]),
    ...(current.length === 0 ? [] : ['or a pipeline at once, as planned:']),
    ...pipelinesOf(current).map((pipeline) => `  ${repairCommand(current, pipeline)}`),
    ...pipelinesOf(branched).map((pipeline) => `on a branch, for its backfill to resume or discard: almanac backfill list ${pipeline}`),
  ].join('\n');
}

function pipelinesOf(windows: readonly StaleWindow[]): string[] {
  return [...new Set(windows.map(({ pipeline }) => pipeline))];
}

/** Plans the rebuild of all that is stale of a pipeline, which has some. */
function repairCommand(stale: readonly StaleWindow[], pipeline: string): string {
  const windows = stale.filter((one) => one.pipeline === pipeline).map(({ window }) => window);
  return `almanac backfill plan ${pipeline} --from ${windows[0] ?? ''} --to ${windows.at(-1) ?? ''} --reprocess stale`;
}

/** What a replacement may leave behind; undefined when nothing was built on it. */
export function renderBuiltOn(later: readonly RunAddress[]): string | undefined {
  const [first] = later;
  if (first === undefined) return undefined;
  const names = later.map(formatRun);
  const shown = names.length > SHOWN ? [...names.slice(0, SHOWN - 1), `… ${names.at(-1) ?? ''} (${names.length})`] : names;
  return `built on what this replaces: ${shown.join(', ')}; if its rows change they are stale, and almanac backfill stale ${first.pipeline} lists them`;
}
