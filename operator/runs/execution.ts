import {
  isGrpcServiceError,
  ServiceError,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  type Client,
} from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { RunRow } from '../../activities/ledger/runs';
import { AlmanacError, type FailureInfo } from '../../pipelines/failures';
import { outline } from '../../pipelines/plan';
import { formatRun } from '../../pipelines/run-id';
import type { Plan } from '../../pipelines/types';
import type { FailingOrder } from '../../pipelines/why';
import type { Asked, RunInput, StateAnswer, VerbAnswer } from '../../workflows/messages';

/** How long a closed generation may take to leave the server after the ledger closed it. */
const CLOSING_DEADLINE_MS = 15_000;
/** A verb waits this long for a control worker to answer. */
const ANSWER_DEADLINE_MS = 20_000;

export interface ExecutionQueues {
  readonly control: string;
  readonly stages: string;
}

/** How long stages of a run wait for what is not there yet; `declared`: those that say so themselves, as long as they say. */
export interface Patience {
  readonly seconds: number;
  readonly declared: boolean;
}

/** Starts the execution of a claimed generation; starting it twice is the same as once. */
export async function startExecution(
  client: Client,
  queues: ExecutionQueues,
  row: Pick<RunRow, 'run' | 'claim' | 'planHash'>,
  plan: Plan,
  carried: readonly string[],
  patience: Patience,
): Promise<void> {
  const input: RunInput = {
    run: row.run,
    claim: row.claim,
    planHash: row.planHash,
    outline: outline(plan),
    carried,
    patienceSeconds: patience.seconds,
    ...(patience.declared ? { declaredPatience: true as const } : {}),
    stageQueue: queues.stages,
  };
  const workflowId = formatRun(row.run);
  const deadline = Date.now() + CLOSING_DEADLINE_MS;
  for (;;) {
    try {
      await client.workflow.start('runPipeline', {
        workflowId,
        taskQueue: queues.control,
        args: [input],
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        workflowIdConflictPolicy: 'FAIL',
        memo: { generation: row.run.generation, claim: row.claim },
      });
      return;
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw unavailable(error);
      const open = await client.workflow.getHandle(workflowId).describe();
      if (open.memo?.claim === row.claim) return;
      // The generation before has its last word in the ledger and is about to leave the server.
      if (Date.now() > deadline) {
        throw new AlmanacError('run.stale', `${workflowId} still has an open execution that the ledger does not know`, {
          next: `almanac show ${workflowId}`,
        });
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** Sends one verb to an open run; a refusal of the workflow is `run.stale`, of an abandon also `run.running`. */
export async function sendVerb<A extends Asked>(client: Client, row: RunRow, update: string, request: A): Promise<VerbAnswer> {
  const name = formatRun(row.run);
  const stale = (why: string, cause: unknown): AlmanacError =>
    new AlmanacError('run.stale', `${name}: ${why}`, { next: `almanac show ${name}`, cause });
  try {
    const handle = client.workflow.getHandle(name);
    return await client.connection.withDeadline(Date.now() + ANSWER_DEADLINE_MS, () =>
      handle.executeUpdate<VerbAnswer, [A]>(update, { args: [request] }),
    );
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) throw absent(row, error);
    if (error instanceof WorkflowUpdateFailedError) {
      const { cause } = error;
      if (cause instanceof ApplicationFailure && cause.type === 'run.running') {
        throw new AlmanacError('run.running', `${name} ${cause.message}`, { next: `almanac cancel ${name} --reason …`, cause: error });
      }
      throw stale(cause instanceof ApplicationFailure ? cause.message : 'the run refused the verb', error);
    }
    throw unavailable(error);
  }
}

export function unavailable(error: unknown): AlmanacError {
  if (error instanceof AlmanacError) return error;
  const reason =
    error instanceof ServiceError && error.cause instanceof Error
      ? error.cause.message
      : error instanceof Error
        ? error.message
        : String(error);
  return new AlmanacError('service.unavailable', `Temporal did not answer: ${reason}`, { next: 'almanac status', cause: error });
}

/**
 * What the open execution of this generation says of itself. A generation that is claimed but not started yet leaves the
 * word to the one before, which is no answer: `run.stale`.
 */
export async function queryState(client: Client, row: RunRow): Promise<StateAnswer> {
  const name = formatRun(row.run);
  let state: StateAnswer;
  try {
    state = await client.workflow.getHandle(name).query<StateAnswer>('state');
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) throw absent(row, error);
    throw unavailable(error);
  }
  if (state.claim === row.claim) return state;
  throw notBegun(row);
}

/** Orders of a run that are no stage's: nothing in the ledger tells of their tries. */
const CONTROL_ORDERS: Readonly<Record<string, FailingOrder['order']>> = {
  acceptWindow: 'its acceptance',
  recordHold: 'its hold to be recorded',
  closeRun: 'its close',
};

/** An order of the open execution, no stage's, that was tried and failed, and is tried again; undefined when there is none, or Temporal does not answer. */
export async function failingOrder(temporal: () => Promise<Client>, workflowId: string): Promise<FailingOrder | undefined> {
  try {
    const client = await temporal();
    const { raw } = await client.workflow.getHandle(workflowId).describe();
    for (const { activityType, attempt, lastFailure } of raw.pendingActivities ?? []) {
      const order = CONTROL_ORDERS[activityType?.name ?? ''];
      if (order === undefined || lastFailure == null) continue;
      const payload = lastFailure.applicationFailureInfo?.details?.payloads?.[0];
      const info =
        payload == null ? undefined : client.options.loadedDataConverter.payloadConverter.fromPayload<Partial<FailureInfo>>(payload);
      const code = info?.code ?? 'internal';
      return { order, tries: Math.max(1, (attempt ?? 1) - 1), code, message: lastFailure.message ?? '', next: info?.next ?? null };
    }
    return undefined;
  } catch (error) {
    // Whoever asks why a run does not go on is told what the ledger knows, also while Temporal is away.
    const away = error instanceof AlmanacError && error.class === 'platform';
    if (away || error instanceof WorkflowNotFoundError || error instanceof ServiceError || isGrpcServiceError(error)) return undefined;
    throw error;
  }
}

/** Temporal has no open execution of an open run: its claimer died before it started one, or it closed since the ledger was read. */
function absent(row: RunRow, cause: unknown): AlmanacError {
  if (row.state === 'claimed') return notBegun(row, cause);
  const name = formatRun(row.run);
  return new AlmanacError('run.stale', `${name}: it closed meanwhile`, { next: `almanac show ${name}`, cause });
}

function notBegun(row: RunRow, cause?: unknown): AlmanacError {
  const name = formatRun(row.run);
  return new AlmanacError('run.stale', `${name} generation ${row.run.generation} is claimed and has not begun`, {
    next: `almanac why ${name} says since when; almanac run ${row.run.pipeline} --window ${row.run.window} starts it again`,
    cause,
  });
}
