import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { endRun, listOpenRuns, readRun, runKey, type RunRow } from '../activities/ledger/runs';
import { endPublishers } from '../activities/publish/end-publishers';
import { parseRun } from '../pipelines/parse-run';
import { formatRun } from '../pipelines/run-id';
import type { RunState } from '../pipelines/status';
import type { RunRef } from '../pipelines/types';
import { queueNames } from '../lib/queues';
import { recordAction } from './runs/actions';
import { unavailable } from './runs/execution';
import { requireReason } from './reason';
import type { OperatorSession } from './session';

export interface ReconcileRequest {
  readonly reason?: string | undefined;
  /** Says what would be done. */
  readonly dryRun?: boolean | undefined;
}

/** An open run of the ledger that nothing executes. */
export interface LostRun {
  readonly run: RunRef;
  readonly was: RunState;
  readonly why: string;
  /** The command that restarts it. */
  readonly next: string;
}

/** An execution that no open run of the ledger claims. */
export interface UnknownExecution {
  readonly workflow: string;
  readonly execution: string;
  readonly why: string;
}

export interface ReconcileAnswer {
  readonly dryRun: boolean;
  readonly lost: readonly LostRun[];
  readonly terminated: readonly UnknownExecution[];
  /** Open runs with an execution of their own. */
  readonly agree: number;
  /** Claimed or ended so lately that the other side may merely be behind. */
  readonly young: readonly RunRef[];
}

/** Between a claim and its execution, and between the last word in the ledger and the end of the execution. */
const GRACE_MS = 60_000;

/**
 * Compares the ledger with Temporal after either was lost. Open runs without an execution of theirs become `lost`: nothing of them can
 * commit any more, and what stands waits for a retry. Executions that the ledger does not know are terminated.
 */
export async function reconcile(session: OperatorSession, request: ReconcileRequest): Promise<ReconcileAnswer> {
  const dryRun = request.dryRun === true;
  const reason = requireReason(request.reason ?? 'ledger and Temporal compared', 'reconcile');
  const client = await session.temporal();
  try {
    // Executions are listed before the ledger is read: a run is on record before it has one.
    const executions = await openExecutions(client, queueNames(session.config).control);
    const { lost, agree, young } = await loseRuns(session, client, reason, dryRun);
    const unknown = await endUnknown(session, client, executions, reason, dryRun);
    return { dryRun, lost, agree, terminated: unknown.terminated, young: [...young, ...unknown.young] };
  } catch (error) {
    throw unavailable(error);
  }
}

async function loseRuns(
  session: OperatorSession,
  client: Client,
  reason: string,
  dryRun: boolean,
): Promise<{ lost: LostRun[]; agree: number; young: RunRef[] }> {
  const { database, clock } = session;
  const lost: LostRun[] = [];
  const young: RunRef[] = [];
  let agree = 0;
  for (const row of await listOpenRuns(database)) {
    const why = await withoutExecution(client, row);
    if (why === undefined) {
      agree += 1;
      continue;
    }
    if (row.state === 'claimed' && clock.now().getTime() - Date.parse(row.claimedAt) < GRACE_MS) {
      young.push(row.run);
      continue;
    }
    // A run that ended in order had its last word in the ledger before its execution left.
    const now = await readRun(database, row.run);
    if (now === undefined || now.endedAt !== null) continue;
    if (!dryRun) await lose(session, row, reason, why);
    lost.push({ run: row.run, was: row.state, why, next: `almanac retry ${formatRun(row.run)} --reason …` });
  }
  return { lost, agree, young };
}

/** Why nothing executes this generation; undefined when something does. */
async function withoutExecution(client: Client, { run, claim }: RunRow): Promise<string | undefined> {
  try {
    const { status, memo } = await client.workflow.getHandle(formatRun(run)).describe();
    if (memo?.claim !== claim) return 'Temporal knows another execution of it only';
    return status.name === 'RUNNING' ? undefined : `its execution is ${status.name.toLowerCase()}`;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return 'Temporal does not know it';
    throw error;
  }
}

/** Writes off an open run that nothing executes, also one that its claimer is about to start; one that is executed stays. */
export async function loseUnexecuted(session: OperatorSession, run: RunRef, reason: string): Promise<void> {
  const row = await readRun(session.database, run);
  if (row === undefined || row.endedAt !== null) return;
  try {
    const why = await withoutExecution(await session.temporal(), row);
    if (why !== undefined) await lose(session, row, reason, why);
  } catch (error) {
    throw unavailable(error);
  }
}

/** As a close does: the store first, so that once the ledger says it ended nothing of it can commit. */
async function lose({ database, datasets, clock, config }: OperatorSession, row: RunRow, reason: string, why: string): Promise<void> {
  await datasets.revoke(row.run);
  await endPublishers(database, row.run);
  await endRun(database, row.run, row.claim, 'lost', undefined, null, clock.now());
  await database.query(
    `update almanac.attempt set state = case state when 'waiting' then 'cancelled' else 'lost' end, ended_at = $5
     where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and state in ('running', 'waiting')`,
    [...runKey(row.run), clock.now()],
  );
  const detail = { was: row.state, why };
  await recordAction(database, { run: row.run, verb: 'reconcile', who: config.actor, reason, detail, now: clock.now() });
}

interface Execution {
  readonly workflow: string;
  readonly execution: string;
  readonly claim: unknown;
  readonly generation: number;
}

/** Open executions of runs on our own queue: a cluster may serve others. */
async function openExecutions(client: Client, queue: string): Promise<Execution[]> {
  const found: Execution[] = [];
  const query = `WorkflowType = 'runPipeline' and ExecutionStatus = 'Running' and TaskQueue = '${queue.replaceAll("'", "''")}'`;
  for await (const { workflowId, runId, memo } of client.workflow.list({ query })) {
    found.push({ workflow: workflowId, execution: runId, claim: memo?.claim, generation: Number(memo?.generation ?? 0) });
  }
  return found;
}

async function endUnknown(
  { database, clock, config }: OperatorSession,
  client: Client,
  executions: readonly Execution[],
  reason: string,
  dryRun: boolean,
): Promise<{ terminated: UnknownExecution[]; young: RunRef[] }> {
  const terminated: UnknownExecution[] = [];
  const young: RunRef[] = [];
  for (const { workflow, execution, claim, generation } of executions) {
    const row = await readRun(database, { ...parseRun(workflow), generation });
    if (row?.claim === claim && row !== undefined) {
      if (row.endedAt === null) continue;
      if (clock.now().getTime() - Date.parse(row.endedAt) < GRACE_MS) {
        young.push(row.run);
        continue;
      }
    }
    const why =
      row === undefined
        ? 'the ledger does not know the run'
        : row.claim === claim
          ? `the ledger ended it as ${row.state}`
          : 'the ledger knows another claim of it';
    if (!dryRun) await terminate(client, workflow, execution, `almanac reconcile by ${config.actor}: ${why} (${reason})`);
    terminated.push({ workflow, execution, why });
  }
  return { terminated, young };
}

async function terminate(client: Client, workflow: string, execution: string, reason: string): Promise<void> {
  try {
    await client.workflow.getHandle(workflow, execution).terminate(reason);
  } catch (error) {
    // It ended by itself meanwhile.
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}
