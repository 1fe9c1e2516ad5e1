import { standingOutputs } from '../../activities/accept-window';
import { landingOf } from '../../activities/compute/landing';
import { listAttempts, type AttemptRow } from '../../activities/ledger/attempts';
import { planReader } from '../../activities/ledger/plans';
import { latestRun, storePlan, storeTexts, type RunRow } from '../../activities/ledger/runs';
import { AlmanacError } from '../../pipelines/failures';
import type { FrontierState } from '../../pipelines/frontier';
import { outline } from '../../pipelines/plan';
import { planRetry, type RetryPlan } from '../../pipelines/retry-plan';
import { formatRun, type RunAddress } from '../../pipelines/run-id';
import { RUN_STATES } from '../../pipelines/status';
import type { LandingFile, Plan, RunRef, VersionRef } from '../../pipelines/types';
import { parseWindow } from '../../pipelines/window';
import type { RetryRequest } from '../../workflows/messages';
import type { OperatorSession } from '../session';
import { previousReads, startOfChain } from './chain';
import { queryState } from './execution';
import { startGeneration } from './generation';
import { intendVerb, sendIntended } from './verb';

export interface RetryVerb {
  readonly address: RunAddress;
  /** Default: the one failed stage. `accept` retries a failed acceptance. */
  readonly stage?: string | undefined;
  readonly reason: string;
  /** `latest` lists landing again; `pinned` keeps what was read. Default `latest`. */
  readonly inputs?: 'latest' | 'pinned' | undefined;
  /** Default: `latest` after a failure of class `user`, else `same`. */
  readonly code?: 'same' | 'latest' | undefined;
  readonly downstream?: 'incomplete' | 'all' | undefined;
  /** Refuses unless the stage is at this epoch; default: as seen by this call. */
  readonly expectedEpoch?: number | undefined;
}

/** A file that differs from what ingest read. */
export interface InputChange {
  readonly stage: string;
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
}

export interface RetryAnswer {
  readonly run: RunRef;
  readonly stage: string | null;
  readonly plan: RetryPlan;
  readonly inputs: 'latest' | 'pinned';
  readonly code: 'same' | 'latest';
  readonly changes: readonly InputChange[];
  /** Stages the latest code would change while `code` is `same`. */
  readonly codeDiffers: readonly string[];
}

/** Runs a failed, changed or named stage again and all that follows from it; open runs get an Update, closed ones a new generation. */
export async function retryRun(session: OperatorSession, verb: RetryVerb): Promise<RetryAnswer> {
  const { database, datasets } = session;
  const name = formatRun(verb.address);
  const row = await latestRun(database, verb.address.pipeline, verb.address.window, verb.address.branch);
  if (row === undefined) throw new AlmanacError('run.unknown', `no run ${name} in the ledger`, { next: 'almanac runs lists them' });
  const frozen = await planReader(database)(row.planHash);
  const attempts = await listAttempts(database, row.run);
  const open = RUN_STATES[row.state].open;
  const state = open ? await queryState(await session.temporal(), row) : undefined;
  const stage = verb.stage ?? failedStage(row, attempts, state);
  if (stage !== undefined && stage !== 'accept' && !frozen.stages.some(({ id }) => id === stage)) {
    throw new AlmanacError('run.usage', `${name} has no stage ${stage}`, {
      next: `use one of: ${frozen.stages.map(({ id }) => id).join(', ')}`,
    });
  }
  const failureClass = attempts.filter((attempt) => attempt.stage === stage).at(-1)?.failure?.class;
  const code = verb.code ?? (failureClass === 'user' ? 'latest' : 'same');
  const inputs = verb.inputs ?? 'latest';
  // Asked for the run's own code, an operator must not depend on the state of the declarations.
  const project = verb.code === 'same' ? undefined : (await session.project()).pipeline(row.run.pipeline);
  const latestPlan = project?.plan(frozen.params) ?? frozen;
  const plan = code === 'latest' ? latestPlan : frozen;
  const kept = await presentOutputs(session, attempts);
  const standing = Object.fromEntries(
    Object.entries(kept).map(([id, { attempt }]) => [id, attempts.find((a) => a.stage === id && a.attempt === attempt)?.stageHash ?? '']),
  );
  const changes = inputs === 'latest' ? await inputChanges(session, row, plan, kept) : [];
  const { pins, origin } =
    open || inputs === 'pinned'
      ? row
      : await startOfChain({ database, datasets, plan, branch: row.run.branch }, row.run.window, row.bootstrap);
  const changedInputs = [...changes.map((change) => change.stage), ...readersOfChangedPins(plan, row.pins, pins)];
  const retry = planRetry({ plan, standing, stage, changedInputs, downstream: verb.downstream ?? 'incomplete' });
  const answer = (run: RunRef): RetryAnswer => ({
    run,
    stage: stage ?? null,
    plan: retry,
    inputs,
    code,
    changes,
    codeDiffers:
      code === 'same'
        ? frozen.stages.filter(({ id, hash }) => latestPlan.stages.find((l) => l.id === id)?.hash !== hash).map(({ id }) => id)
        : [],
  });
  if (retry.reset.length === 0 && stage !== 'accept') {
    throw new AlmanacError('run.usage', `${name} has nothing to retry: every stage is done and no input changed`, {
      next: `name a stage with --stage, or almanac run ${row.run.pipeline} --window ${row.run.window} --again`,
    });
  }
  if (project !== undefined) await storeTexts(database, project.texts);
  await storePlan(database, plan);
  if (state !== undefined) {
    await retryOpen(session, row, state, plan, answer(row.run), verb);
    return answer(row.run);
  }
  const next: RunRef = { ...row.run, generation: row.run.generation + 1 };
  await startGeneration(session, {
    run: next,
    plan,
    pins,
    origin,
    from: row,
    carried: retry.kept.flatMap((id) => {
      const output = kept[id];
      return output === undefined ? [] : [{ stage: id, state: 'carried' as const, output: output.output, tainted: output.tainted }];
    }),
    matrix: { code, inputs, params: plan.params },
    verb: 'retry',
    stage,
    reason: verb.reason,
    detail: { ...answer(next) },
  });
  return answer(next);
}

function failedStage(row: RunRow, attempts: readonly AttemptRow[], state: FrontierState | undefined): string | undefined {
  const names =
    state === undefined
      ? [...new Set(attempts.map(({ stage }) => stage))].filter(
          (id) => attempts.filter(({ stage }) => stage === id).at(-1)?.state === 'failed',
        )
      : [
          ...Object.keys(state.stages).filter((id) => state.stages[id]?.status === 'failed'),
          ...(state.acceptance === 'failed' ? ['accept'] : []),
        ];
  if (names.length > 1) {
    throw new AlmanacError('run.usage', `${formatRun(row.run)} has ${names.length} failed stages: ${names.join(', ')}`, {
      next: 'name one with --stage',
    });
  }
  if (names.length === 0 && state !== undefined && !state.held) {
    throw new AlmanacError('run.stale', `${formatRun(row.run)} is running; nothing of it failed`, {
      next: `almanac why ${formatRun(row.run)}`,
    });
  }
  return names[0];
}

type Outputs = ReturnType<typeof standingOutputs>;

/** Outputs that stand and whose versions are still stored; a collected one has to be computed again. */
async function presentOutputs(session: OperatorSession, attempts: readonly AttemptRow[]): Promise<Outputs> {
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

/** Lists landing and references again and compares them with what each ingest stage read. */
async function inputChanges(session: OperatorSession, row: RunRow, plan: Plan, outputs: Outputs): Promise<InputChange[]> {
  const window = parseWindow(plan.window, row.run.window);
  const changes: InputChange[] = [];
  for (const { id, spec } of plan.stages) {
    const version = outputs[id]?.output.versions[0];
    if (spec.kind !== 'ingest' || version === undefined) continue;
    const read = (await session.datasets.manifest(version)).provenance.landing ?? [];
    const change = compareLanding(id, read, await landingOf(session.store, spec, window, row.bootstrap));
    if (change !== undefined) changes.push(change);
  }
  return changes;
}

/** Undefined when nothing differs. */
function compareLanding(stage: string, read: readonly LandingFile[], now: readonly LandingFile[]): InputChange | undefined {
  const before = new Map(read.map((file) => [file.path, file.sha256]));
  const after = new Map(now.map((file) => [file.path, file.sha256]));
  const change: InputChange = {
    stage,
    added: [...after.keys()].filter((path) => !before.has(path)),
    removed: [...before.keys()].filter((path) => !after.has(path)),
    changed: [...after.keys()].filter((path) => before.has(path) && before.get(path) !== after.get(path)),
  };
  return change.added.length + change.removed.length + change.changed.length === 0 ? undefined : change;
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
        spec.kind === 'compute' &&
        Object.values(spec.reads ?? {}).some((read) => typeof read !== 'string' && moved.includes(read.previous)),
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
  const { plan: retry, stage } = answer;
  const target = stage ?? retry.reset[0] ?? 'accept';
  const seen = target === 'accept' ? state.acceptanceEpoch : (state.stages[target]?.epoch ?? 0);
  // Stages that merely wait for others are started by the frontier when their time comes.
  // Another stage that failed waits for a verb of its own.
  const reset = retry.reset.filter(
    (id) =>
      state.stages[id]?.status === 'done' || (state.stages[id]?.status === 'failed' && (id === target || retry.reasons[id] !== 'not done')),
  );
  const asked = await intendVerb(session, row, {
    verb: 'retry',
    stage: stage ?? undefined,
    reason: verb.reason,
    detail: { ...answer, planHash: plan.hash },
  });
  const request: RetryRequest = {
    ...asked,
    stage: target,
    expectedEpoch: verb.expectedEpoch ?? seen,
    reset,
    ...(plan.hash === row.planHash ? {} : { plan: { hash: plan.hash, outline: outline(plan) } }),
  };
  await sendIntended(session, row, 'retry', request, request.plan?.hash);
}
