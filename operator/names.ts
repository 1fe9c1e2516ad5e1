/** Names people pass to filters: an unknown one is an error, not an empty answer. */
import { nearest } from '../lib/nearest';
import { AlmanacError } from '../pipelines/failures';
import type { PipelineSpec, Window, WindowSpec } from '../pipelines/types';
import { parseWindow, requireForward } from '../pipelines/window';
import type { OperatorSession } from './session';

type NameServices = Pick<OperatorSession, 'database' | 'project'>;

const QUARANTINE_REASONS = ['malformed', 'early', 'late', 'check'];

/** Throws `pipeline.unknown` for a pipeline that the project does not declare and that never ran. */
export async function requirePipeline({ database, project }: NameServices, pipeline: string): Promise<void> {
  // In the order of an index, so that one row of it is read, not the table up to the first that fits.
  const ran = await database.query(
    `(select from almanac.run where pipeline = $1 order by changed_at desc limit 1)
     union all (select from almanac.publication where pipeline = $1 limit 1)`,
    [pipeline],
  );
  if (ran.rows.length > 0 || (await project()).pipelines.has(pipeline)) return;
  const { rows } = await database.query<{ pipeline: string }>(
    'select pipeline from almanac.run union select pipeline from almanac.publication',
  );
  const known = new Set(rows.map((row) => row.pipeline));
  for (const declared of (await project()).pipelines.keys()) known.add(declared);
  const names = [...known].sort();
  throw new AlmanacError('pipeline.unknown', `There is no pipeline ${JSON.stringify(pipeline)}; there are ${names.join(', ') || 'none'}.`, {
    next: suggestion(pipeline, names) ?? 'almanac runs lists what ran; almanac validate what is declared.',
    details: { pipeline, known: names },
  });
}

/**
 * Throws `window.invalid` for a bound that is no window of the pipeline, of any where none is named, and for a range that ends before it
 * starts: keys are compared as texts, so that a misspelt one would cover others than were meant.
 */
export async function requireRange(services: NameServices, pipeline: string | undefined, from?: string, to?: string): Promise<void> {
  if (from === undefined && to === undefined) return;
  const specs = await windowSpecs(services, pipeline);
  const known = (bound: string | undefined): [WindowSpec, Window][] => (bound === undefined ? [] : meantBy(specs, bound));
  const [first, last] = [known(from), known(to)];
  // The two are of one pipeline: of those whose windows both are, one has to go forward.
  const pairs = first.flatMap(([spec, start]) => last.flatMap(([other, end]) => (other === spec ? [[start, end] as const] : [])));
  if (pairs.some(([start, end]) => start.start <= end.start)) return;
  for (const [start, end] of pairs) requireForward(start, end);
}

/** The kinds of windows a pipeline has, or all do. */
async function windowSpecs({ database, project }: NameServices, pipeline: string | undefined): Promise<WindowSpec[]> {
  if (pipeline === undefined) {
    const { rows } = await database.query<{ window: WindowSpec }>("select distinct body::jsonb -> 'window' as window from almanac.plan");
    return [...rows.map(({ window }) => window), ...[...(await project()).pipelines.values()].map(({ spec }) => spec.window)];
  }
  const { rows } = await database.query<{ window: WindowSpec }>(
    `select p.body -> 'window' as window from almanac.run r join almanac.plan p on p.hash = r.plan_hash
     where r.pipeline = $1 order by r.changed_at desc limit 1`,
    [pipeline],
  );
  const spec = rows[0]?.window ?? (await project()).pipelines.get(pipeline)?.spec.window;
  return spec === undefined ? [] : [spec];
}

/** Throws `window.invalid` for what is a window of none of these kinds. */
function meantBy(specs: readonly WindowSpec[], key: string): [WindowSpec, Window][] {
  const found: [WindowSpec, Window][] = [];
  let first: AlmanacError | undefined;
  for (const spec of specs) {
    try {
      found.push([spec, parseWindow(spec, key)]);
    } catch (error) {
      if (!(error instanceof AlmanacError)) throw error;
      first ??= error;
    }
  }
  if (found.length === 0 && first !== undefined) throw first;
  return found;
}

/** Throws `window.invalid` for what is no window of the pipelines that declare the dataset, or of any. */
export async function requireWindow({ database, project }: NameServices, window: string, dataset: string | undefined): Promise<void> {
  const { rows } = await database.query('select from almanac.dataset_version where window_key = $1 limit 1', [window]);
  if (rows.length > 0) return;
  const specs = [...(await project()).pipelines.values()].map(({ spec }) => spec);
  const meant = specs.filter(({ datasets }) => dataset === undefined || Object.hasOwn(datasets, dataset));
  meantBy(
    meant.map((spec) => spec.window),
    window,
  );
}

/** Throws `run.usage` for a source that nothing was read from and that no pipeline declares; given with its folder or without. */
export async function requireSource({ database, project }: NameServices, source: string): Promise<void> {
  const { rows } = await database.query<{ source: string }>('select distinct source from almanac.version_source');
  const known = new Set([
    ...rows.map((row) => row.source),
    ...[...(await project()).pipelines.values()].flatMap(({ spec }) => sourcesOf(spec)),
  ]);
  const names = [...known].filter((name) => !name.startsWith('replays/')).map((name) => name.slice(name.indexOf('/') + 1));
  if (known.has(source) || names.includes(source)) return;
  throw new AlmanacError(
    'run.usage',
    `There is no source ${JSON.stringify(source)}; there are ${[...new Set(names)].sort().join(', ') || 'none'}.`,
    {
      next: suggestion(source, names) ?? 'use one of those',
      details: { source },
    },
  );
}

/** Throws `run.usage` for what is no reason to put a row aside. */
export function requireQuarantineReason(reason: string): void {
  if (QUARANTINE_REASONS.includes(reason)) return;
  throw new AlmanacError('run.usage', `No row is put aside as ${JSON.stringify(reason)}.`, {
    next: `use one of: ${QUARANTINE_REASONS.join(', ')}`,
  });
}

function sourcesOf({ stages }: PipelineSpec): string[] {
  return Object.values(stages).flatMap((stage) => {
    if (stage.kind !== 'ingest') return [];
    return stage.reference === undefined ? [`landing/${stage.landing ?? ''}`] : [`reference/${stage.reference}`];
  });
}

function suggestion(wrong: string, names: readonly string[]): string | undefined {
  const meant = nearest(wrong, names);
  return meant === undefined ? undefined : `Did you mean ${meant}?`;
}
