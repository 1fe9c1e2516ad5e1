import { listAttempts, recordStanding } from '../../activities/ledger/attempts';
import { planReader } from '../../activities/ledger/plans';
import { latestRun, runKey, wakeRun } from '../../activities/ledger/runs';
import { AlmanacError } from '../../pipelines/failures';
import type { FrontierState } from '../../pipelines/frontier';
import { formatRun, type RunAddress } from '../../pipelines/run-id';
import { RUN_STATES } from '../../pipelines/status';
import type { RunRef, StageOutput } from '../../pipelines/types';
import type { OperatorSession } from '../session';
import { recordAction } from './actions';
import { sendVerb } from './execution';

export interface SkipVerb {
  readonly address: RunAddress;
  readonly stage: string;
  readonly reason: string;
  /** `DATASET@WINDOW#VERSION` that stands in for the output; demanded when the stage writes one. */
  readonly use?: string | undefined;
}

/** Lets an open run go on without a failed stage; what follows is tainted until rebuilt. Checks and publications cannot be skipped. */
export async function skipStage(session: OperatorSession, verb: SkipVerb): Promise<{ run: RunRef; stage: string; used: string | null }> {
  const { database, datasets } = session;
  const name = formatRun(verb.address);
  const row = await latestRun(database, verb.address.pipeline, verb.address.window, verb.address.branch);
  if (row === undefined) throw new AlmanacError('run.unknown', `no run ${name} in the ledger`, { next: 'almanac runs lists them' });
  if (!RUN_STATES[row.state].open) {
    throw new AlmanacError('run.stale', `${name} ended as ${row.state}; only an open run goes on without a stage`, { next: `almanac retry ${name} --reason … first, then skip the stage when it holds` });
  }
  const plan = await planReader(database)(row.planHash);
  const stage = plan.stages.find(({ id }) => id === verb.stage);
  if (stage === undefined) throw new AlmanacError('run.usage', `${name} has no stage ${verb.stage}`, { next: `use one of: ${plan.stages.map(({ id }) => id).join(', ')}` });
  if (stage.kind === 'check' || stage.kind === 'publish') {
    throw new AlmanacError('run.usage', `stage ${stage.id} is a ${stage.kind} stage and cannot be skipped`, { next: 'mend what it found and retry it, or abandon the run' });
  }
  const writes = 'writes' in stage.spec ? stage.spec.writes : undefined;
  let output: StageOutput = { versions: [], rowsIn: 0, rowsOut: 0, bytesIn: 0, bytesOut: 0 };
  if (writes !== undefined) {
    const match = /^([^@]+)@([^#]+)#(.+)$/.exec(verb.use ?? '');
    if (match === null || match[1] !== writes) {
      throw new AlmanacError('run.usage', `stage ${stage.id} writes ${writes}, which others need`, { next: `pass --use ${writes}@WINDOW#VERSION; almanac dataset versions ${writes} lists them` });
    }
    const manifest = await datasets.manifest({ dataset: writes, window: match[2] ?? '', version: match[3] ?? '' });
    const version = { dataset: writes, window: manifest.window, version: manifest.version, digest: manifest.digest };
    output = { versions: [version], rowsIn: 0, rowsOut: manifest.rows, bytesIn: 0, bytesOut: manifest.bytes };
  }
  const client = await session.temporal();
  const state = await client.workflow.getHandle(name).query<FrontierState>('state');
  const attempt = (await listAttempts(database, row.run)).filter((one) => one.stage === stage.id).length + 1;
  const epoch = state.stages[stage.id]?.epoch ?? 0;
  // The stages below read the ledger as soon as the verb is accepted, so the output has to stand before it is sent.
  await recordStanding(database, row.run, { stage: stage.id, attempt, epoch, kind: stage.kind, stageHash: stage.hash, state: 'skipped', output, tainted: true, now: session.clock.now() });
  try {
    await sendVerb(client, row, 'skip', { who: session.config.actor, reason: verb.reason, stage: stage.id, expectedEpoch: epoch });
  } catch (error) {
    await database.query(
      `delete from almanac.attempt where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and stage = $5 and attempt = $6 and state = 'skipped'`,
      [...runKey(row.run), stage.id, attempt],
    );
    throw error;
  }
  await wakeRun(database, row, session.clock.now());
  await recordAction(database, { run: row.run, verb: 'skip', who: session.config.actor, stage: stage.id, reason: verb.reason, detail: { use: verb.use ?? null }, now: session.clock.now() });
  return { run: row.run, stage: stage.id, used: verb.use ?? null };
}
