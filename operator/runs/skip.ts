import { standingOutputs } from '../../activities/accept-window';
import { listAttempts, recordStanding, type AttemptRow } from '../../activities/ledger/attempts';
import { planReader } from '../../activities/ledger/plans';
import { runKey, type RunRow } from '../../activities/ledger/runs';
import { AlmanacError } from '../../pipelines/failures';
import { readOfSensed } from '../../pipelines/graph';
import { formatRun, type RunAddress } from '../../pipelines/run-id';
import { RUN_STATES } from '../../pipelines/status';
import type { Plan, PlanStage, RunRef, StageOutput } from '../../pipelines/types';
import { parseVersionAddress, resolveVersion } from '../dataset-names';
import { requireReason } from '../reason';
import type { OperatorSession } from '../session';
import { refuseAction } from './actions';
import { matrixOf } from './code';
import { queryState } from './execution';
import { startGeneration } from './generation';
import { intendVerb, sendIntended } from './verb';
import { newestRun } from './newest-run';

export interface SkipVerb {
  /** `mark-done` says that the version named is the stage’s output. Default `skip`. */
  readonly verb?: 'skip' | 'mark-done' | undefined;
  readonly address: RunAddress;
  readonly stage: string;
  readonly reason: string;
  /** `DATASET@WINDOW#VERSION`, the beginning of a version's name is enough, that stands in for the output; demanded when the stage writes one. */
  readonly use?: string | undefined;
}

export interface SkipAnswer {
  readonly run: RunRef;
  readonly stage: string;
  readonly used: string | null;
}

/**
 * Lets a run go on without a stage: an open one as it is, a closed one as its next generation. What follows is tainted
 * until rebuilt. Checks and publications cannot be skipped.
 */
export async function skipStage(session: OperatorSession, asked: SkipVerb): Promise<SkipAnswer> {
  const kind = asked.verb ?? 'skip';
  const verb = { ...asked, verb: kind, reason: requireReason(asked.reason, kind) };
  const { database } = session;
  const name = formatRun(verb.address);
  const row = await newestRun(session, verb.address);
  const plan = await planReader(database)(row.planHash);
  const stage = skippable(plan, name, verb.stage, kind);
  const output = await standIn(session, plan, stage, verb.use, kind);
  const attempts = await listAttempts(database, row.run);
  if (RUN_STATES[row.state].open) {
    await skipOpen(session, row, stage, output, attempts, verb);
    return { run: row.run, stage: stage.id, used: verb.use ?? null };
  }
  const standing = standingOutputs(attempts);
  if (stage.id in standing) throw done(stage.id, name, kind);
  const run: RunRef = { ...row.run, generation: row.run.generation + 1 };
  await startGeneration(session, {
    run,
    plan,
    pins: row.pins,
    origin: row.origin,
    pinsTainted: row.pinsTainted,
    from: row,
    carried: [
      ...Object.entries(standing).map(([id, kept]) => ({
        stage: id,
        state: 'carried' as const,
        output: kept.output,
        tainted: kept.tainted,
      })),
      { stage: stage.id, state: 'skipped', output, tainted: true },
    ],
    matrix: { ...matrixOf(plan, plan, 'same', 'pinned') },
    verb: kind,
    stage: stage.id,
    reason: verb.reason,
    detail: { use: verb.use ?? null },
  });
  return { run, stage: stage.id, used: verb.use ?? null };
}

function done(stage: string, name: string, verb: string): AlmanacError {
  return new AlmanacError('run.stale', `stage ${stage} of ${name} is done; there is nothing to ${verb}`, {
    next: `almanac retry ${name} --stage ${stage} --reason …`,
  });
}

function skippable(plan: Plan, name: string, id: string, verb: string): PlanStage {
  const stage = plan.stages.find((candidate) => candidate.id === id);
  if (stage === undefined)
    throw new AlmanacError('run.usage', `${name} has no stage ${id}`, {
      next: `use one of: ${plan.stages.map((one) => one.id).join(', ')}`,
    });
  if (stage.kind === 'check' || stage.kind === 'publish') {
    throw new AlmanacError(
      'run.usage',
      `stage ${id} is a ${stage.kind} stage and cannot be ${verb === 'skip' ? 'skipped' : 'marked done'}`,
      {
        next:
          stage.kind === 'check'
            ? `mend what it found and retry it, or let one check of it pass for a while: almanac override ${name} --check C --until 24h --reason …`
            : 'mend what it found and retry it, or abandon the run',
      },
    );
  }
  return stage;
}

/** The output that stands in for the stage's own; empty for a stage that writes nothing, and of whose findings nothing is read. */
async function standIn(
  session: OperatorSession,
  plan: Plan,
  stage: PlanStage,
  use: string | undefined,
  verb: string,
): Promise<StageOutput> {
  const nothing: StageOutput = { versions: [], rowsIn: 0, rowsOut: 0, bytesIn: 0, bytesOut: 0 };
  const writes = 'writes' in stage.spec ? stage.spec.writes : undefined;
  if (writes === undefined) {
    const read = readOfSensed(Object.fromEntries(plan.stages.map(({ id, spec }) => [id, spec])), stage.id);
    if (read.length > 0)
      throw new AlmanacError(
        'run.usage',
        `stage ${stage.id} finds ${read.join(' and ')}, which others read; without it nothing says which version`,
        {
          next: 'build what it waits for and retry it, or abandon the run',
        },
      );
    if (verb === 'skip') return nothing;
    throw new AlmanacError('run.usage', `stage ${stage.id} writes no dataset, so no version can be its output`, {
      next: 'almanac skip lets the run go on without it',
    });
  }
  const address = use === undefined ? undefined : parseVersionAddress(use);
  if (address?.dataset !== writes || address.version === undefined) {
    throw new AlmanacError('run.usage', `stage ${stage.id} writes ${writes}, which others need`, {
      next: `pass ${verb === 'skip' ? '--use' : '--version'} ${writes}@WINDOW#VERSION; almanac dataset versions ${writes} lists them`,
    });
  }
  const { dataset, window, version, digest, rows, bytes } = await resolveVersion(session, address);
  return { ...nothing, versions: [{ dataset, window, version, digest }], rowsOut: rows, bytesOut: bytes };
}

async function skipOpen(
  session: OperatorSession,
  row: RunRow,
  stage: PlanStage,
  output: StageOutput,
  attempts: readonly AttemptRow[],
  verb: SkipVerb & { readonly verb: string },
): Promise<void> {
  const { database, clock } = session;
  const name = formatRun(row.run);
  const state = await queryState(await session.temporal(), row);
  if (state.stages[stage.id]?.status === 'done') throw done(stage.id, name, verb.verb);
  const attempt = Math.max(0, ...attempts.filter((one) => one.stage === stage.id).map((one) => one.attempt)) + 1;
  const epoch = state.stages[stage.id]?.epoch ?? 0;
  const asked = await intendVerb(session, row, {
    verb: verb.verb,
    stage: stage.id,
    reason: verb.reason,
    detail: { use: verb.use ?? null },
  });
  // The stages below read the ledger as soon as the verb is accepted, so the output has to stand before it is sent.
  const stands = await recordStanding(database, row.run, {
    stage: stage.id,
    attempt,
    epoch,
    kind: stage.kind,
    stageHash: stage.hash,
    state: 'skipped',
    output,
    tainted: true,
    now: clock.now(),
  });
  if (!stands) {
    await refuseAction(database, row.run, asked.action === undefined ? [] : [asked.action]);
    throw new AlmanacError('run.stale', `stage ${stage.id} of ${name} is being run, skipped or marked done by somebody else`, {
      next: `almanac show ${name}`,
    });
  }
  try {
    await sendIntended(session, row, 'skip', { ...asked, stage: stage.id, expectedEpoch: epoch });
  } catch (error) {
    // Without an answer the verb may still be taken, and then its output has to stand; only a refusal takes it back.
    if (!(error instanceof AlmanacError) || error.code !== 'run.stale') throw error;
    await database.query(
      `delete from almanac.attempt where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and stage = $5 and attempt = $6 and state = 'skipped'`,
      [...runKey(row.run), stage.id, attempt],
    );
    throw error;
  }
}
