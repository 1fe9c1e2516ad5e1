import { beginPublishing, begunPublishing } from '../../activities/ledger/backfill-publishing';
import { changeBackfill, type BackfillRow } from '../../activities/ledger/backfills';
import { planReader } from '../../activities/ledger/plans';
import { publishedVersions } from '../../activities/ledger/branches';
import { latestRun, type RunRow } from '../../activities/ledger/runs';
import type { BackfillStep } from '../../activities/tasks';
import { decidePublishing } from '../../pipelines/backfill-publishing';
import type { FailureInfo } from '../../pipelines/failures';
import { formatRun, MAIN_BRANCH } from '../../pipelines/run-id';
import { RUN_STATES, type RunState } from '../../pipelines/status';
import type { Plan, RunRef } from '../../pipelines/types';
import { headOf } from '../runs/head';
import { retryRun } from '../runs/retry';
import { startRun } from '../runs/start';
import type { OperatorSession } from '../session';
import { branchStart } from './branch';
import { CONTROLLER, halt } from './halt';
import { refusal } from './refusal';

/**
 * Brings the live tables to a head that moved, one window at a time, oldest first: publishes again what shows other rows than
 * the accepted set. What is held, ended unpublished or refused halts the backfill once the others are published.
 */
export async function publishStep(session: OperatorSession, row: BackfillRow): Promise<BackfillStep> {
  const { database, clock } = session;
  const due = await dueRuns(session, row);
  const begun = await begunPublishing(database, row.hash);
  const decision = decidePublishing(
    due.map(({ run, state }) => ({ window: run.window, generation: run.generation, run: state, after: begun.get(run.window) })),
  );
  switch (decision.do) {
    case 'wait':
      return { idle: false, changed: false };
    case 'publish': {
      const run = due.find((one) => one.run.window === decision.window);
      const refused = run === undefined ? undefined : await publishAgain(session, row, run);
      if (refused === undefined) return { idle: false, changed: run?.state !== 'claimed' };
      return haltPublishing(session, row, `${decision.window} could not be published: ${refused.message}`, refused);
    }
    case 'halt': {
      const failed = due.filter(({ run }) => decision.failed.includes(run.window));
      return haltPublishing(session, row, `not published: ${failed.map(whyNot).join('; ')}`, failed.map(failureOf)[0]);
    }
    case 'done':
      await changeBackfill(
        database,
        { hash: row.hash, from: ['publishing'], to: 'done', who: CONTROLLER, verb: 'done', reason: row.reason },
        clock.now(),
      );
      return { idle: true, changed: true };
  }
}

/** The newest run of each window of the new head whose live rows are others, oldest window first. */
export async function dueRuns(session: OperatorSession, row: BackfillRow): Promise<RunRow[]> {
  const due: RunRow[] = [];
  for (const window of await dueWindows(session, row)) {
    const run = await latestRun(session.database, row.pipeline, window, MAIN_BRANCH);
    if (run !== undefined) due.push(run);
  }
  return due;
}

/** A run whose window accepts other rows than the tables show, with what publishes it. */
export interface Unpublished {
  readonly run: RunRef;
  readonly state: RunState;
  readonly next: string;
}

/** Of a backfill whose branch is the head: what the tables do not show of it. */
export async function unpublished(session: OperatorSession, row: BackfillRow): Promise<Unpublished[]> {
  if (row.branch === MAIN_BRANCH || (await headOf(session, row.pipeline)).branches[row.branch]?.state !== 'promoted') return [];
  const plan = planReader(session.database);
  return Promise.all(
    (await dueRuns(session, row)).map(async ({ run, state, planHash }) => {
      const stage = publishStages(await plan(planHash))[0] ?? 'publish';
      return { run, state, next: publishes(formatRun(run), state, stage) };
    }),
  );
}

function publishes(name: string, state: RunState, stage: string): string {
  if (state === 'held')
    return `almanac retry ${name} --reason … publishes it, almanac abandon ${name} --reason … leaves the table as it is`;
  if (RUN_STATES[state].open) return `almanac why ${name}; it goes on by itself`;
  return `almanac retry ${name} --stage ${stage} --inputs pinned --reason … publishes it`;
}

/** Sees to it that a run publishes the window: what refuses that for good, undefined once it is on its way. */
async function publishAgain(
  session: OperatorSession,
  row: BackfillRow,
  { run, planHash, state }: RunRow,
): Promise<FailureInfo | undefined> {
  const { database } = session;
  const plan = await planReader(database)(planHash);
  const refused = await refusal(async () => {
    if (state === 'claimed') return startRun(session, { pipeline: run.pipeline, window: run.window, plan });
    await beginPublishing(database, row.hash, run);
    return retryRun(session, {
      address: run,
      stages: publishStages(plan),
      inputs: 'pinned',
      code: 'same',
      reason: `backfill ${row.hash}: branch ${row.branch} was promoted`,
      who: `backfill ${row.hash}`,
      recordedAs: { verb: 'publish head', detail: {} },
    });
  });
  // Somebody runs it meanwhile, which publishes as well: the next step looks again.
  return refused?.code === 'run.stale' ? undefined : refused;
}

function haltPublishing(
  session: OperatorSession,
  { hash }: BackfillRow,
  reason: string,
  failure: FailureInfo | undefined,
): Promise<BackfillStep> {
  return halt(session, { hash, from: ['publishing'], reason, failure });
}

function whyNot(row: RunRow): string {
  const failure = failureOf(row);
  const how = row.state === 'held' ? 'is held' : `ended as ${row.state}`;
  return `${formatRun(row.run)} ${how}${failure === undefined ? '' : `: ${failure.message}`}`;
}

function failureOf({ failure }: RunRow): FailureInfo | undefined {
  return Object.values(failure ?? {})[0];
}

/** Windows of the new head whose live rows are others: of a table that shows the newest window that one, else all that were built. */
async function dueWindows({ database, datasets }: OperatorSession, row: BackfillRow): Promise<string[]> {
  const mode = publishMode(await planReader(database)(row.planHash));
  if (mode === undefined) return [];
  const accepted = await datasets.acceptedWindows(row.pipeline, MAIN_BRANCH);
  const windows = mode === 'newest' ? accepted.slice(-1) : accepted.filter((window) => window >= branchStart(row));
  const due: string[] = [];
  for (const window of windows) {
    const published = await publishedVersions(database, row.pipeline, window);
    const set = await datasets.accepted(row.pipeline, MAIN_BRANCH, window);
    const differs = (dataset: string, digest: string): boolean =>
      set?.versions.some((version) => version.dataset === dataset && version.digest !== digest) === true;
    if (published === undefined || published.some(({ dataset, digest }) => differs(dataset, digest))) due.push(window);
  }
  return due;
}

function publishStages({ stages }: Plan): string[] {
  return stages.filter(({ kind }) => kind === 'publish').map(({ id }) => id);
}

function publishMode({ stages }: Plan): string | undefined {
  for (const { spec } of stages) if (spec.kind === 'publish') return spec.mode;
  return undefined;
}
