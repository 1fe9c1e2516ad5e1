import type { Queryable } from '../lib/postgres';
import { AlmanacError } from '../pipelines/failures';
import { MAIN_BRANCH, retryCommand } from '../pipelines/run-id';
import {
  isWhole,
  judgeAccepted,
  judgeFolder,
  judgePublished,
  sensedFolders,
  sensedWindows,
  type SensedPipeline,
  type SensedPublication,
  type SensedRun,
  type Unmet,
  type Verdict,
} from '../pipelines/sense';
import type { Sensed } from '../pipelines/sensed';
import type { ResolvedCondition, StageOutput } from '../pipelines/types';
import type { StageBody, StageContext } from './stage';
import { acceptedDatasets } from './storage/catalog';
import type { AcceptedSet } from './storage/manifest';
import { landingPath } from './storage/store-paths';

/** Windows that a look which finds something missing asks of the store; as many a failure lists. */
const CHUNK = 16;

/**
 * Looks once whether all conditions of the stage hold. Its output pins what was found: the versions of accepted sets, publications, files.
 * Throws `sense.unmet`, naming what does not hold; while patience lasts the stage waits, and looks again.
 */
export const senseStage: StageBody = async (context) => {
  const unmet: Unmet[] = [];
  const sensed: Sensed[] = [];
  let tainted = false;
  for (const condition of conditionsOf(context)) {
    context.signal.throwIfAborted();
    const looked = await look(context, condition);
    tainted ||= looked.tainted;
    for (const verdict of looked.verdicts) {
      if ('unmet' in verdict) unmet.push(verdict.unmet);
      else sensed.push(...verdict.sensed);
    }
  }
  const [first] = unmet;
  if (first !== undefined) throw notMet(context, first, unmet);
  await context.point('sensed');
  context.log(`found ${sensed.length === 1 ? 'what it waited for' : `all ${sensed.length} things it waited for`}`);
  const output: StageOutput = { versions: [], rowsIn: 0, rowsOut: 0, bytesIn: 0, bytesOut: 0, sensed };
  return tainted ? { ...output, tainted: true } : output;
};

function conditionsOf({ stage, plan }: StageContext): readonly ResolvedCondition[] {
  if (stage.spec.kind === 'sense' && stage.spec.resolved !== undefined) return stage.spec.resolved;
  throw new AlmanacError('internal', `The plan of ${plan.pipeline} does not say what stage ${stage.id} senses.`, {
    next: '`almanac validate`, then start the run anew with `--again`.',
  });
}

interface Looked {
  readonly verdicts: readonly Verdict[];
  /** A window that was found is tainted. */
  readonly tainted: boolean;
}

async function look(context: StageContext, condition: ResolvedCondition): Promise<Looked> {
  switch (condition.kind) {
    case 'accepted':
      return lookAtAccepted(context, condition);
    case 'published':
      return { verdicts: [await lookAtPublished(context, condition)], tainted: false };
    case 'marker':
    case 'quiet': {
      const { store, clock, plan, window } = context;
      const verdicts: Verdict[] = [];
      for (const folder of sensedFolders(plan.window, window, condition.folder)) {
        const path = landingPath(condition.landing, folder);
        // What cannot be read is for the ingest to refuse: it is not there.
        const files = (await store.listAll(`${path}/`)).filter(({ fault }) => fault === undefined);
        const named = files.map(({ path: file, bytes, modifiedAt }) => ({ name: file.slice(path.length + 1), bytes, modifiedAt }));
        verdicts.push(judgeFolder(condition, path, named, store.place(path), clock.now()));
      }
      return { verdicts, tainted: false };
    }
  }
}

async function lookAtAccepted(context: StageContext, condition: SensedPipeline): Promise<Looked> {
  const windows = sensedWindows(context.plan.window, context.window, condition.window, condition.windows);
  const keys = windows.map(({ key }) => key);
  const { found: sets, sure } = await findAccepted(context, condition, keys);
  const missing = keys.filter((key) => !sets.has(key) && !sure.has(key));
  const verdict = judgeAccepted(condition, windows, sets, await newestRuns(context.database, condition.pipeline, missing), sure);
  return { verdicts: [verdict], tainted: [...sets.values()].some(({ tainted }) => tainted === true) };
}

interface FoundWindows {
  readonly found: ReadonlyMap<string, AcceptedSet>;
  /** Windows that were not read, since another is missing: the catalog says that they are accepted. */
  readonly sure: ReadonlySet<string>;
}

/**
 * A look that finds something missing costs one question to the catalog and a few reads, however many windows there are. The store is
 * asked for what the catalog does not know, newest first, since what comes last is missing longest, and only as long as all is there:
 * a catalog that was lost is made up for. What is pinned, once nothing is missing, is what the store says of every window.
 */
async function findAccepted(
  { database, datasets, signal }: StageContext,
  condition: SensedPipeline,
  keys: readonly string[],
): Promise<FoundWindows> {
  const { pipeline } = condition;
  const known = await acceptedDatasets(database, pipeline, keys);
  const sure = new Set(keys.filter((key) => isWhole(condition, known.get(key))));
  const found = new Map<string, AcceptedSet>();
  const read = async (some: readonly string[]): Promise<void> => {
    signal.throwIfAborted();
    for (const [key, set] of await datasets.acceptedSets(pipeline, MAIN_BRANCH, some)) found.set(key, set);
  };
  const unsure = keys.filter((key) => !sure.has(key)).reverse();
  for (let at = 0; at < unsure.length; at += CHUNK) {
    const some = unsure.slice(at, at + CHUNK);
    await read(some);
    if (
      !some.every((key) =>
        isWhole(
          condition,
          found.get(key)?.versions.map(({ dataset }) => dataset),
        ),
      )
    )
      return { found, sure };
  }
  const rest = [...sure];
  for (let at = 0; at < rest.length; at += CHUNK) await read(rest.slice(at, at + CHUNK));
  return { found, sure: new Set() };
}

async function lookAtPublished(context: StageContext, condition: SensedPipeline): Promise<Verdict> {
  const { database, plan, window } = context;
  const windows = sensedWindows(plan.window, window, condition.window, condition.windows);
  const keys = windows.map(({ key }) => key);
  const found = await newestPublications(database, condition.pipeline, keys);
  const missing = keys.filter((key) => !found.has(key));
  return judgePublished(condition, windows, found, await newestRuns(database, condition.pipeline, missing));
}

/** The newest publication of each window; one that failed stands for itself only while there is no other. */
async function newestPublications(
  database: Queryable,
  pipeline: string,
  windows: readonly string[],
): Promise<Map<string, SensedPublication>> {
  const { rows } = await database.query<SensedPublication & { window: string }>(
    `select distinct on (p.window_key) p.window_key as window, p.id, p.state, array(select jsonb_object_keys(p.tables)) as tables,
       p.state = 'withdrawn' or (p.state = 'collected' and (
         select e.event = 'withdrawn' from almanac.publication_event e
         where e.publication = p.id and e.event in ('restored', 'withdrawn') order by e.id desc limit 1)) as withdrawn
     from almanac.publication p where p.pipeline = $1 and p.branch = $2 and p.window_key = any ($3)
     order by p.window_key, p.state = 'failed', p.id desc`,
    [pipeline, MAIN_BRANCH, windows],
  );
  return new Map(rows.map(({ window, ...publication }) => [window, publication]));
}

/** What became of the windows that are missing, for whoever has to go there. */
async function newestRuns(database: Queryable, pipeline: string, windows: readonly string[]): Promise<Map<string, SensedRun>> {
  if (windows.length === 0) return new Map();
  const { rows } = await database.query<{ window: string; state: string; since: Date }>(
    `select distinct on (window_key) window_key as window, state, changed_at as since from almanac.run
     where pipeline = $1 and branch = $2 and window_key = any ($3) order by window_key, generation desc`,
    [pipeline, MAIN_BRANCH, windows],
  );
  return new Map(rows.map(({ window, state, since }) => [window, { state, since: since.toISOString() }]));
}

function notMet({ run, stage }: StageContext, first: Unmet, unmet: readonly Unmet[]): AlmanacError {
  return new AlmanacError('sense.unmet', `What stage ${stage.id} waits for has not come: ${unmet.map(({ found }) => found).join('; ')}.`, {
    next: `${first.next}; then: ${retryCommand(run, stage.id)}`,
    details: {
      stage: stage.id,
      unmet: unmet.map(({ found, missing }) => ({ found, missing: missing.slice(0, CHUNK), count: missing.length })),
    },
  });
}
