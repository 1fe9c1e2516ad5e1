import { standingOutputs } from '../../activities/accept-window';
import { listAttempts, type AttemptRow } from '../../activities/ledger/attempts';
import { planReader } from '../../activities/ledger/plans';
import { recordMatrix, storePlan, storeTexts, type RunRow } from '../../activities/ledger/runs';
import { AlmanacError } from '../../pipelines/failures';
import { failed, type FrontierState, type StageStatus } from '../../pipelines/frontier';
import { outline } from '../../pipelines/plan';
import { isPrevious } from '../../pipelines/reads';
import { planRetry, type RetryPlan } from '../../pipelines/retry-plan';
import { formatRun, type RunAddress } from '../../pipelines/run-id';
import { RUN_STATES } from '../../pipelines/status';
import type { EngineName, Plan, RunRef, VersionRef } from '../../pipelines/types';
import type { RetryRequest } from '../../workflows/messages';
import { requireReason } from '../reason';
import { builtOn } from '../stale';
import { installPoolsOf } from '../pools';
import type { ProjectPipeline } from '../project';
import type { OperatorSession } from '../session';
import { previousReads, startOfChain } from './chain';
import { latestCode, matrixOf, sameCode, type Matrix, type Params } from './code';
import { queryState } from './execution';
import { startGeneration } from './generation';
import { claimUnder } from './head';
import { compareInputs, type InputChange } from './input-changes';
import { intendVerb, sendIntended } from './verb';
import { newestRun } from './newest-run';

export interface RetryVerb {
  readonly address: RunAddress;
  /** Default: every failed stage. `accept` retries a failed acceptance. */
  readonly stages?: readonly string[] | undefined;
  readonly reason: string;
  /** `latest` lists landing again; `pinned` keeps what was read. Default `latest`. */
  readonly inputs?: 'latest' | 'pinned' | undefined;
  /** Default: `latest` after a failure of class `user`, else `same`. */
  readonly code?: 'same' | 'latest' | undefined;
  readonly downstream?: 'incomplete' | 'all' | undefined;
  /** Params in the place of the run's own. */
  readonly params?: Params | undefined;
  /** Computes every stage that computes; default: what the run was started with. */
  readonly engine?: EngineName | undefined;
  /** Of a closed run: every stage, but those that ingest or sense when inputs are pinned. */
  readonly everything?: boolean | undefined;
  /** Says what would be done. */
  readonly dryRun?: boolean | undefined;
  /** Refuses unless the run is open and every stage named failed. */
  readonly onlyHeld?: boolean | undefined;
  /** Refuses unless the one stage named is at this epoch; default: as seen by this call. */
  readonly expectedEpoch?: number | undefined;
  /** Refuses unless this generation is the newest; default: as seen by this call. */
  readonly expectedGeneration?: number | undefined;
  /** The verb on record, with more to tell. Default `retry`. */
  readonly recordedAs?: { readonly verb: string; readonly detail: Readonly<Record<string, unknown>> } | undefined;
  /** Default: the person at the terminal. */
  readonly who?: string | undefined;
}

export interface RetryAnswer {
  readonly run: RunRef;
  /** The stages asked for: named, or failed. */
  readonly stages: readonly string[];
  readonly plan: RetryPlan;
  readonly inputs: 'latest' | 'pinned';
  readonly code: 'same' | 'latest';
  /** What is taken from the run before and what anew, stored with the run. */
  readonly matrix: Matrix;
  readonly changes: readonly InputChange[];
  /** Ingest stages of which nothing was read that the files could be compared with. */
  readonly unread: readonly string[];
  /** Stages the latest code would change while `code` is `same`. */
  readonly codeDiffers: readonly string[];
  /** Accepted windows that were built on what this window accepts now. */
  readonly builtOn: readonly RunAddress[];
}

/** Runs a failed, changed or named stage again and all that follows from it; open runs get an Update, closed ones a new generation. */
export async function retryRun(session: OperatorSession, verb: RetryVerb): Promise<RetryAnswer> {
  const { database, datasets } = session;
  const name = formatRun(verb.address);
  const reason = requireReason(verb.reason, 'retry');
  const under = await claimUnder(session, verb.address);
  const row = await newestRun(session, verb.address);
  const frozen = await planReader(database)(row.planHash);
  const attempts = await listAttempts(database, row.run);
  const open = RUN_STATES[row.state].open;
  const state = open ? await queryState(await session.temporal(), row) : undefined;
  const named = [...new Set(verb.stages ?? [])];
  requireStages(frozen, name, named, verb.expectedEpoch);
  requireAsExpected(row, attempts, verb);
  if (verb.onlyHeld === true) requireHeld(row, state, named);
  const inputs = verb.inputs ?? 'latest';
  const stages = verb.everything === true ? allStages(frozen, inputs) : named.length > 0 ? named : failedStages(row, attempts, state);
  const classOf = (stage: string): string | undefined => attempts.filter((attempt) => attempt.stage === stage).at(-1)?.failure?.class;
  const project = await declaredNow(session, row, verb);
  // What left the project goes on by its frozen plan.
  const code = verb.code ?? (project !== undefined && stages.some((stage) => classOf(stage) === 'user') ? 'latest' : 'same');
  const wanted = { params: verb.params ?? {}, engine: verb.engine };
  const latestPlan = project === undefined ? frozen : latestCode(project, frozen, wanted);
  const plan = code === 'latest' ? latestPlan : await sameCode(database, frozen, wanted);
  const matrix = matrixOf(frozen, plan, code, inputs);
  const kept = await presentOutputs(session, attempts);
  const standing = Object.fromEntries(Object.entries(kept).map(([id, { stageHash }]) => [id, stageHash]));
  const { changes, unread } = inputs === 'latest' ? await compareInputs(session, row, plan, kept) : { changes: [], unread: [] };
  const { pins, origin, pinsTainted } =
    open || inputs === 'pinned'
      ? row
      : await startOfChain({ database, datasets, plan, branch: row.run.branch }, row.run.window, row.bootstrap);
  const changedInputs = [...changes.map((change) => change.stage), ...readersOfChangedPins(plan, row.pins, pins)];
  const retry = planRetry({
    plan,
    standing,
    stages,
    changedInputs,
    downstream: verb.downstream ?? 'incomplete',
    ...(state === undefined ? {} : { progress: progressOf(state) }),
  });
  const later = await builtOn(database, row.run);
  const answer = (run: RunRef): RetryAnswer => ({
    run,
    stages,
    plan: retry,
    inputs,
    code,
    matrix,
    changes,
    unread: unread.filter((id) => retry.reset.includes(id)),
    codeDiffers:
      code === 'same'
        ? plan.stages.filter(({ id, hash }) => latestPlan.stages.find((l) => l.id === id)?.hash !== hash).map(({ id }) => id)
        : [],
    builtOn: later,
  });
  if (retry.reset.length + retry.waits.length === 0 && !stages.includes('accept')) {
    throw new AlmanacError('run.usage', `${name} has nothing to retry: every stage is done and no input changed`, {
      next: `name a stage with --stage, or almanac run ${row.run.pipeline} --window ${row.run.window} --again`,
    });
  }
  const next: RunRef = { ...row.run, generation: row.run.generation + 1 };
  if (verb.dryRun === true) return answer(state === undefined ? next : row.run);
  if (project !== undefined) await storeTexts(database, project.texts);
  await storePlan(database, plan);
  if (code === 'latest') await installPoolsOf(session, plan);
  if (state !== undefined) {
    await retryOpen(session, row, state, plan, answer(row.run), { ...verb, reason });
    return answer(row.run);
  }
  await startGeneration(session, {
    run: next,
    plan,
    pins,
    origin,
    pinsTainted,
    from: row,
    carried: retry.kept.flatMap((id) => {
      const output = kept[id];
      return output === undefined ? [] : [{ stage: id, state: 'carried' as const, output: output.output, tainted: output.tainted }];
    }),
    matrix: { ...matrix },
    verb: verb.recordedAs?.verb ?? 'retry',
    stage: recorded(stages),
    reason,
    who: verb.who,
    detail: { ...answer(next), ...verb.recordedAs?.detail },
    // What it keeps was made beside what `main` had then.
    under: row.matrix.over === undefined ? under : { ...under, over: Number(row.matrix.over) },
  });
  return answer(next);
}

/**
 * The pipeline as the project declares it now; undefined when it has left. Asked for the run's own code, an operator must not depend on the
 * state of the declarations. Throws `pipeline.unknown` for the latest code of one that left.
 */
async function declaredNow(
  session: OperatorSession,
  { run: { pipeline } }: RunRow,
  { code }: RetryVerb,
): Promise<ProjectPipeline | undefined> {
  if (code === 'same') return undefined;
  const project = await session.project();
  return code === 'latest' ? project.pipeline(pipeline) : project.pipelines.get(pipeline);
}

function requireStages(plan: Plan, name: string, stages: readonly string[], expectedEpoch: number | undefined): void {
  const unknown = stages.find((stage) => stage !== 'accept' && !plan.stages.some(({ id }) => id === stage));
  if (unknown !== undefined) {
    throw new AlmanacError('run.usage', `${name} has no stage ${unknown}`, {
      next: `use one of: ${plan.stages.map(({ id }) => id).join(', ')}`,
    });
  }
  if (expectedEpoch !== undefined && stages.length !== 1) {
    throw new AlmanacError('run.usage', `an expected order is that of one stage, and ${stages.length} are named`, {
      next: `almanac retry ${name} --stage STAGE --expect ${expectedEpoch} --reason …`,
    });
  }
}

/** A closed run has no Update to refuse an order that came too late, so what the ledger tells of it decides. */
function requireAsExpected({ run, state }: RunRow, attempts: readonly AttemptRow[], verb: RetryVerb): void {
  const { stages: [stage] = [], expectedEpoch, expectedGeneration = run.generation } = verb;
  const epoch = attempts.filter((attempt) => attempt.stage === stage).at(-1)?.epoch ?? expectedEpoch;
  if (run.generation === expectedGeneration && (RUN_STATES[state].open || expectedEpoch === undefined || epoch === expectedEpoch)) return;
  throw new AlmanacError('run.stale', `${formatRun(run)} went on meanwhile: it is ${state}, in generation ${run.generation}`, {
    next: `almanac show ${formatRun(run)}`,
  });
}

/** Somebody who saw the same hold may have ended it: what he had run again is not run once more, nor a closed run gone on with. */
function requireHeld({ run }: RunRow, state: FrontierState | undefined, stages: readonly string[]): void {
  const statusOf = (stage: string): string | undefined => (stage === 'accept' ? state?.acceptance : state?.stages[stage]?.status);
  if (stages.every((stage) => statusOf(stage) === 'failed')) return;
  throw new AlmanacError('run.stale', `${formatRun(run)} went on meanwhile: ${stages.join(', ')} is no longer what holds it`, {
    next: `almanac show ${formatRun(run)}`,
  });
}

/** Every stage that failed, and `accept` for a failed acceptance. */
function failedStages(row: RunRow, attempts: readonly AttemptRow[], state: FrontierState | undefined): string[] {
  if (state === undefined) {
    const newest = new Map(attempts.map((attempt) => [attempt.stage, attempt.state]));
    return [...newest].filter(([, last]) => last === 'failed').map(([stage]) => stage);
  }
  const names = [...failed(state), ...(state.acceptance === 'failed' ? ['accept'] : [])];
  if (names.length === 0 && !state.held) {
    throw new AlmanacError('run.stale', `${formatRun(row.run)} is running; nothing of it failed`, {
      next: `almanac why ${formatRun(row.run)}`,
    });
  }
  return names;
}

function allStages(plan: Plan, inputs: 'latest' | 'pinned'): string[] {
  return plan.stages.filter(({ kind }) => inputs === 'latest' || (kind !== 'ingest' && kind !== 'sense')).map(({ id }) => id);
}

function progressOf(state: FrontierState): Record<string, StageStatus> {
  return Object.fromEntries(Object.entries(state.stages).map(([id, { status }]) => [id, status]));
}

/** The column of the ledger holds one text. */
function recorded(stages: readonly string[]): string | undefined {
  return stages.length === 0 ? undefined : stages.join(', ');
}

type Outputs = ReturnType<typeof standingOutputs>;

/** Outputs that stand and whose versions are still stored; a collected one has to be computed again. */
export async function presentOutputs(session: Pick<OperatorSession, 'datasets'>, attempts: readonly AttemptRow[]): Promise<Outputs> {
  const present: Outputs = {};
  for (const [id, standing] of Object.entries(standingOutputs(attempts))) {
    try {
      await Promise.all(standing.output.versions.map((version) => session.datasets.manifest(version)));
      present[id] = standing;
    } catch (error) {
      if (!(error instanceof AlmanacError) || error.code !== 'dataset.version-missing') throw error;
    }
  }
  return present;
}

function readersOfChangedPins(
  plan: Plan,
  before: Readonly<Record<string, VersionRef>>,
  after: Readonly<Record<string, VersionRef>>,
): string[] {
  const moved = previousReads(plan).filter((dataset) => before[dataset]?.digest !== after[dataset]?.digest);
  return plan.stages
    .filter(
      ({ spec }) =>
        spec.kind === 'compute' && Object.values(spec.reads ?? {}).some((read) => isPrevious(read) && moved.includes(read.previous)),
    )
    .map(({ id }) => id);
}

async function retryOpen(
  session: OperatorSession,
  row: RunRow,
  state: FrontierState,
  plan: Plan,
  answer: RetryAnswer,
  verb: RetryVerb,
): Promise<void> {
  const { plan: retry, stages } = answer;
  const epochOf = (stage: string): number => (stage === 'accept' ? state.acceptanceEpoch : (state.stages[stage]?.epoch ?? 0));
  const [target = retry.reset[0] ?? 'accept', ...others] = stages;
  const busy = stages.find((stage) => (stage === 'accept' ? state.acceptance : state.stages[stage]?.status) === 'running');
  if (busy !== undefined) {
    // By the time the run is told it may be done, and an order to do nothing would be taken.
    throw new AlmanacError('run.stale', `stage ${busy} of ${formatRun(row.run)} is running; it can be asked for when it has failed`, {
      next: `almanac show ${formatRun(row.run)}`,
    });
  }
  // Stages that merely wait for others are started by the frontier when their time comes.
  const reset = [...retry.reset, ...retry.waits].filter((id) => ['done', 'failed'].includes(state.stages[id]?.status ?? ''));
  const asked = await intendVerb(session, row, {
    verb: verb.recordedAs?.verb ?? 'retry',
    stage: recorded(stages),
    reason: verb.reason,
    who: verb.who,
    detail: { ...answer, ...verb.recordedAs?.detail, planHash: plan.hash },
  });
  const request: RetryRequest = {
    ...asked,
    stage: target,
    expectedEpoch: verb.expectedEpoch ?? epochOf(target),
    ...(others.length === 0 ? {} : { others: Object.fromEntries(others.map((stage) => [stage, epochOf(stage)])) }),
    reset,
    ...(plan.hash === row.planHash ? {} : { plan: { hash: plan.hash, outline: outline(plan) } }),
  };
  await sendIntended(session, row, 'retry', request, request.plan?.hash);
  await recordMatrix(session.database, row.run, answer.matrix);
}
