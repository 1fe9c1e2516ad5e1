/** One window of a demo, run as a person would run it. */
import { standingOutputs } from '../activities/accept-window';
import { listAttempts } from '../activities/ledger/attempts';
import type { RunRow } from '../activities/ledger/runs';
import { AlmanacError } from '../pipelines/failures';
import { formatRun } from '../pipelines/run-id';
import type { EngineName } from '../pipelines/types';
import { stagesOf, type DemoStage } from './demo-steps';
import { startRun } from './runs/start';
import { waitForRun } from './runs/wait';
import type { OperatorSession } from './session';

/** What every demo tells of a window. */
export interface DemoWindow {
  readonly window: string;
  /** False when an earlier demo had run it. */
  readonly computed: boolean;
  /** From the claim to the end of the run. */
  readonly seconds: number;
  /** Of a demo whose engine was named. */
  readonly stages?: readonly DemoStage[];
}

/** How a demo is run. */
export interface DemoOptions {
  /** Computes every stage that computes; undefined: as the stages declare it. */
  readonly engine?: EngineName;
  /** Only the first so many windows. */
  readonly windows?: number;
  readonly signal: AbortSignal;
  readonly tell: (line: string) => void;
}

/** Runs a window to its end and tells what stands of its stages. Throws the failure of a run that did not succeed. */
export async function runDemoWindow(
  session: OperatorSession,
  request: { readonly pipeline: string; readonly window: string; readonly bootstrap?: boolean },
  { engine, signal }: DemoOptions,
): Promise<{ readonly ran: DemoWindow; readonly outputs: ReturnType<typeof standingOutputs> }> {
  const answer = await startRun(session, { ...request, engine });
  const row = await waitForRun(session.database, answer.run, signal);
  if (row.state !== 'succeeded') throw notSucceeded(row);
  return {
    ran: {
      window: row.run.window,
      computed: answer.did !== 'accepted',
      seconds: (Date.parse(row.endedAt ?? row.changedAt) - Date.parse(row.claimedAt)) / 1000,
      ...(engine === undefined ? {} : { stages: await stagesOf(session, row.run) }),
    },
    outputs: standingOutputs(await listAttempts(session.database, row.run)),
  };
}

function notSucceeded(row: RunRow): AlmanacError {
  const name = formatRun(row.run);
  const [stage, failure] = Object.entries(row.failure ?? {})[0] ?? [];
  if (stage === undefined || failure === undefined) {
    return new AlmanacError('run.closed', `${name} ended as ${row.state}`, { next: `almanac show ${name}` });
  }
  return new AlmanacError(failure.code, `${name} is held at stage ${stage}: ${failure.message}`, {
    next: failure.next,
    details: failure.details,
  });
}
