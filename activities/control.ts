import os from 'node:os';
import { Context } from '@temporalio/activity';
import { parseWorker } from '../lib/worker-name';
import { acceptWindow, type AcceptanceShell } from './accept-window';
import { isProven, withSteps, type AttemptProof } from './attempt-proof';
import { isAlive } from './compute/child-identity';
import type { RoundServices } from './compute/emr-rounds';
import { endRounds, roundsOnRecord } from './compute/emr-sweep';
import { heartbeating } from './heartbeat';
import { listAttempts, type AttemptRow } from './ledger/attempts';
import { planReader } from './ledger/plans';
import { changeProof, endRun, holdRun, readRun, runKey } from './ledger/runs';
import { recordCarried } from './ledger/taken';
import { endPublishers } from './publish/end-publishers';
import type { AcceptTask, CloseTask, ControlActivities, HoldTask } from './tasks';

const KILL_DEADLINE_MS = 5000;
/** Of steps on EMR; what takes longer is fenced, and ended by the sweeper. */
const STEPS_DEADLINE_MS = 30_000;

/** `rounds`: undefined without EMR. */
type ControlServices = AcceptanceShell['services'] & { readonly rounds?: RoundServices | undefined };

export function createControlActivities(
  services: ControlServices,
  point: AcceptanceShell['point'] = () => Promise.resolve(),
): ControlActivities {
  const acceptance: AcceptanceShell = { services, plan: planReader(services.database), execution, overtaken, point };
  return {
    acceptWindow: (task: AcceptTask) => heartbeating(() => acceptWindow(acceptance, task)),
    recordHold: (task: HoldTask) => heartbeating(() => recordHold(services, task)),
    closeRun: (task: CloseTask) => heartbeating(() => closeRun(services, task)),
  };
}

function execution(): string {
  return Context.current().info.workflowExecution?.runId ?? '';
}

function overtaken(): boolean {
  return Context.current().cancellationSignal.aborted;
}

async function recordHold({ database, clock }: ControlServices, task: HoldTask): Promise<void> {
  await recordCarried(database, task, clock.now());
  await holdRun(database, task.run, task.claim, task.failures, clock.now(), task.hold);
}

async function closeRun({ database, datasets, clock, rounds }: ControlServices, task: CloseTask): Promise<void> {
  const { run, claim, outcome } = task;
  await recordCarried(database, task, clock.now());
  if (outcome === 'succeeded') {
    await endRun(database, run, claim, outcome, undefined, execution(), clock.now());
    return;
  }
  // An execution whose claim the ledger does not know, or that was started twice and whose first ended otherwise, leaves
  // nothing behind, least of all a revocation of what stands.
  const row = await readRun(database, run);
  if (row?.claim !== claim || (row.endedAt !== null && row.state !== outcome)) return;
  // Store first, ledger second: once the ledger says the run ended, nothing of it can commit any more.
  await datasets.revoke(run);
  const attempts = await listAttempts(database, run);
  const begun = attempts.filter(({ attempt, state }) => attempt > 0 && state !== 'skipped' && state !== 'carried');
  const ended = await Promise.all(begun.map(proveEnded));
  const proof = withSteps(ended, begun, await roundsOnRecord(database, run, rounds === undefined ? 'fenced' : 'ending'));
  // A frozen publisher may hold the run's row, and more, in a transaction that would never end.
  await endPublishers(database, run);
  await endRun(database, run, claim, outcome, proof, execution(), clock.now());
  await database.query(
    `update almanac.attempt set state = case state when 'waiting' then 'cancelled' else 'lost' end, ended_at = $5
     where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and state in ('running', 'waiting')`,
    [...runKey(run), clock.now()],
  );
  if (rounds === undefined || isProven(proof)) return;
  // Only now: of a run that is over no attempt submits anew. Whoever tries this again after a crash comes to the same steps.
  await changeProof(database, run, claim, withSteps(ended, begun, await endRounds(rounds, run, STEPS_DEADLINE_MS)));
}

/** An attempt that still counts as running did not report: look at its child, and end it when it is on this host. A waiting one reported its last poll. */
async function proveEnded(attempt: AttemptRow): Promise<AttemptProof> {
  const base = { stage: attempt.stage, attempt: attempt.attempt };
  if ((attempt.state !== 'running' && attempt.state !== 'lost') || attempt.reportedLate) return { ...base, ended: 'reported' };
  if (attempt.child === null || parseWorker(attempt.worker)?.host !== os.hostname()) return { ...base, ended: 'fenced' };
  const child = attempt.child;
  const deadline = Date.now() + KILL_DEADLINE_MS;
  while (isAlive(child)) {
    if (Date.now() > deadline) return { ...base, ended: 'fenced', child };
    kill(child.pid);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { ...base, ended: 'child-dead', child };
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    // It ended between the look and the signal; the next look says so.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
