import type { BackfillRow } from '../activities/ledger/backfills';
import type { BackfillProof } from '../operator/backfills/step';
import type { BranchDiff, BranchDifference } from '../operator/backfills/diff';
import type { PlannedBackfill } from '../operator/backfills/plan';
import type { BackfillListing, BackfillView, CancelledBackfill } from '../operator/backfills/verbs';
import type { BackfillEstimate } from '../pipelines/backfill-estimate';
import { REPROCESS } from '../pipelines/backfill-plan';
import { ENGINE_TITLES } from '../pipelines/engine-choice';
import { formatRun } from '../pipelines/run-id';
import { renderCount, renderTable } from './render';
import { renderProofLine } from './render-proof';

/** Windows a person is shown; `--json` has all. */
const SHOWN = 40;

export function renderPlan({ hash, plan, concurrency, estimate }: PlannedBackfill): string {
  const { pipeline, from, to } = plan.request;
  const lines = [`${pipeline} ${from} to ${to}: ${renderCount(plan.windows.length, 'window')} to build, ${plan.left.length} left alone`];
  if (plan.windows.length > 0) {
    lines.push(
      '',
      renderTable(plan.windows.slice(0, SHOWN), [
        { title: 'WINDOW', value: ({ window }) => window },
        { title: 'RUNS', value: ({ stages }) => byReason(stages) || '(only the acceptance)' },
        { title: 'CARRIES', value: ({ carried }) => carried.map(({ stage }) => stage).join(', ') },
      ]),
    );
    if (plan.windows.length > SHOWN) lines.push(`… and ${plan.windows.length - SHOWN} more; --json lists all`);
    if (plan.pins.length > 0) lines.push('', `goes on from ${plan.pins.join(', ')}`);
  }
  if (plan.branch !== undefined)
    lines.push(
      '',
      `builds on branch ${plan.branch.name} from ${plan.branch.from} on, with all windows after the range; the chain stays as it is until it is promoted`,
    );
  if (plan.request.engine !== undefined) lines.push('', `computes on ${ENGINE_TITLES[plan.request.engine]}, whatever its stages declare`);
  if (plan.left.length > 0) lines.push('', 'left alone:', ...leftAlone(plan.left));
  lines.push('', `takes ${renderEstimate(estimate)}${concurrency === 1 ? '' : `, ${concurrency} windows at a time`}`);
  lines.push(`hash ${hash}`, plan.windows.length === 0 ? startsNothing(plan) : `next: almanac backfill start ${hash} --reason …`);
  return lines.join('\n');
}

/** What would find something to do. */
function startsNothing({ request: { reprocess } }: PlannedBackfill['plan']): string {
  const wider = REPROCESS.slice(REPROCESS.indexOf(reprocess) + 1);
  return `there is nothing to start; ${wider.length === 0 ? 'name other windows' : `--reprocess ${wider.join(' or ')} takes more of these windows, or name others`}`;
}

/** Stages under the reason they share. */
function byReason(stages: PlannedBackfill['plan']['windows'][number]['stages']): string {
  const groups = new Map<string, string[]>();
  for (const { stage, reason } of stages) groups.set(reason, [...(groups.get(reason) ?? []), stage]);
  return [...groups].map(([reason, names]) => `${names.join(', ')} (${reason})`).join('; ');
}

function leftAlone(left: PlannedBackfill['plan']['left']): string[] {
  const groups = new Map<string, string[]>();
  for (const { window, why } of left) groups.set(why, [...(groups.get(why) ?? []), window]);
  return [...groups].map(([why, windows]) =>
    windows.length === 1 ? `  ${windows[0]}: ${why}` : `  ${windows[0]} to ${windows.at(-1)}, ${windows.length} windows: ${why}`,
  );
}

function renderEstimate({ minutes, bytes, noHistory }: BackfillEstimate): string {
  if (minutes === null || bytes === null) return 'nobody knows how long: its stages have no history';
  if (minutes === 0 && bytes === 0 && noHistory.length === 0) return 'no time: there is nothing to build';
  const without = noHistory.length === 0 ? '' : `, without ${noHistory.join(', ')}: no history`;
  return `about ${minutes < 1 ? `${Math.ceil(minutes * 60)} s` : `${Math.round(minutes)} min`} and ${(bytes / 1e6).toFixed(1)} MB by the history of its stages${without}`;
}

export function renderChange({ hash, state, concurrency, reason }: BackfillRow): string {
  return `backfill ${hash} is ${state}${reason === null ? '' : ` (${reason})`}, ${renderCount(concurrency, 'window')} at a time; almanac backfill show ${hash}`;
}

export function renderBranchDiff(diff: BranchDiff): string {
  const { pipeline, branch, from, windows, differences, behind } = diff;
  const differing = differences.filter(({ state }) => state !== 'same');
  const lines = [
    `branch ${branch} of ${pipeline} from ${from} on, ${renderCount(windows, 'window')}: ${differing.length} of ${renderCount(differences.length, 'accepted version')} differ`,
  ];
  if (differing.length > 0) {
    lines.push(
      '',
      renderTable(differing.slice(0, SHOWN), [
        { title: 'DATASET', value: ({ dataset, window }) => `${dataset}@${window}` },
        { title: 'STATE', value: ({ state }) => state },
        { title: 'MAIN', value: ({ rows }) => rows.main ?? undefined, align: 'right' },
        { title: 'BRANCH', value: ({ rows }) => rows.branch ?? undefined, align: 'right' },
        { title: 'ADDED', value: ({ added }) => added, align: 'right' },
        { title: 'REMOVED', value: ({ removed }) => removed, align: 'right' },
        { title: 'CHANGED', value: ({ changed }) => changed, align: 'right' },
      ]),
    );
    if (differing.length > SHOWN) lines.push(`… and ${differing.length - SHOWN} more; --json lists all`);
    const shown = differing.slice(0, SHOWN).filter(({ samples }) => samples.length > 0);
    if (shown.length > 0) lines.push('', ...shown.flatMap(sampleLines));
  }
  lines.push('');
  for (const { window, why } of behind.slice(0, SHOWN)) lines.push(`behind: ${window} is ${why}`);
  lines.push(`next: ${nextOfBranch(diff)}`);
  return lines.join('\n');
}

/** What the state of its backfill allows. */
function nextOfBranch({ hash, state, behind, pipeline, from }: BranchDiff): string {
  const discard = `almanac backfill discard ${hash} --reason …`;
  if (state === 'quiesced')
    return `${discard}: its backfill was cancelled and builds no more, so the branch cannot be promoted; then almanac backfill plan ${pipeline} --from ${from} --to … builds another`;
  if (state === 'paused' || state === 'halted') return `almanac backfill resume ${hash} --reason … builds it on, or ${discard}`;
  if (state !== 'built') return `almanac backfill show ${hash}: it is ${state}`;
  return behind.length > 0
    ? `almanac backfill resume ${hash} --reason … builds what is behind`
    : `almanac backfill promote ${hash} --reason …, or ${discard}`;
}

function sampleLines({ dataset, window, samples }: BranchDifference): string[] {
  return [
    `${dataset}@${window}:`,
    ...samples.flatMap(({ left, right }) => [
      ...(left === null ? [] : [`  - ${JSON.stringify(left)}`]),
      ...(right === null ? [] : [`  + ${JSON.stringify(right)}`]),
    ]),
  ];
}

export function renderProof(row: CancelledBackfill): string {
  const { runs, neverBegun } = (row.proof ?? { runs: [], neverBegun: [] }) as BackfillProof;
  const stopped = runs.filter(({ state }) => state !== 'succeeded');
  const lines = stopped.flatMap(({ run, state, attempts }) => [
    `  ${run.pipeline}/${run.window}#${run.generation}: ${state}`,
    ...attempts.map((attempt) => `    ${renderProofLine(attempt)}`),
  ]);
  return [
    `backfill ${row.hash} is ${row.state}: ${runs.length - stopped.length} of its runs were done, ${stopped.length} were stopped, ${renderCount(neverBegun.length, 'window')} never begun`,
    ...lines,
    ...unpublishedLines(row),
  ].join('\n');
}

function unpublishedLines({ pipeline, branch, unpublished }: Pick<CancelledBackfill, 'pipeline' | 'branch' | 'unpublished'>): string[] {
  if (unpublished.length === 0) return [];
  return [
    `branch ${branch} stays the head of ${pipeline}; of ${renderCount(unpublished.length, 'window')} the tables still show what was there before:`,
    ...unpublished.map(
      ({ run, state, next }) => `  ${formatRun(run)}#${run.generation} ${state === 'held' ? 'stays held' : `is ${state}`}: ${next}`,
    ),
  ];
}

export function renderBackfills(rows: readonly BackfillListing[]): string {
  if (rows.length === 0) return 'no backfill';
  return renderTable(rows, [
    { title: 'HASH', value: (row) => row.hash },
    { title: 'PIPELINE', value: (row) => row.pipeline },
    { title: 'FROM', value: (row) => row.from },
    { title: 'TO', value: (row) => row.to },
    { title: 'STATE', value: (row) => row.state },
    { title: 'DONE', value: (row) => `${row.done}/${row.windows}`, align: 'right' },
    { title: 'CHANGED', value: (row) => `${row.changedAt.slice(0, 19)}Z` },
    { title: 'WHY', value: (row) => row.reason ?? undefined },
  ]);
}

export function renderBackfill(view: BackfillView): string {
  const { from, to, engine } = view.plan.request;
  const counts = Object.entries(view.counts).filter(([, count]) => count > 0);
  const lines = [
    `backfill ${view.hash}: ${view.pipeline} ${from} to ${to}, ${view.state}${view.reason === null ? '' : ` (${view.reason})`}`,
    `windows: ${counts.map(([phase, count]) => `${count} ${phase}`).join(', ') || 'none'}; ${view.concurrency} at a time`,
  ];
  if (engine !== undefined) lines.push(`computes on ${ENGINE_TITLES[engine]}, whatever its stages declare`);
  if (view.branch !== 'main')
    lines.push(`on branch ${view.branch}${view.state === 'built' ? `: almanac backfill diff ${view.hash}, then promote or discard` : ''}`);
  if (view.failure !== null) lines.push(`${view.failure.code}: ${view.failure.message}`, `next: ${view.failure.next}`);
  lines.push(...unpublishedLines(view));
  if (view.endedAt === null)
    lines.push(`left: ${renderEstimate(view.remaining)}${view.eta === null ? '' : `; done about ${view.eta.slice(0, 16)}Z`}`);
  const open = view.windows.filter(({ phase }) => phase !== 'pending' && phase !== 'done').slice(0, SHOWN);
  if (open.length > 0) {
    lines.push(
      '',
      renderTable(open, [
        {
          title: 'RUN',
          value: ({ window, run }) =>
            `${view.pipeline}/${window}${view.branch === 'main' ? '' : `~${view.branch}`}${run === null ? '' : `#${run.generation}`}`,
        },
        { title: 'STATE', value: ({ phase, run }) => (phase === 'ended' ? run?.state : phase) },
        { title: 'WHY', value: ({ run }) => Object.values(run?.failure ?? {})[0]?.message },
      ]),
    );
  }
  lines.push(
    '',
    ...view.events.map(({ at, who, verb, reason }) => `${at.slice(0, 19)}Z ${verb} by ${who}${reason === null ? '' : `: ${reason}`}`),
  );
  return lines.join('\n');
}
