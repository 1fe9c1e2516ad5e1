import type { RunRow } from '../activities/ledger/runs';
import { standingOutputs } from '../activities/accept-window';
import { listAttempts } from '../activities/ledger/attempts';
import { AlmanacError } from '../pipelines/failures';
import { formatRun } from '../pipelines/run-id';
import { createScratchEngine } from './scratch-engine';
import { DEMO_LAST_DAY, daysBetween, writeDemoLanding } from './demo-landing';
import { DEMO_REPORT_SQL, type DemoReportRow } from './demo-report';
import { startRun } from './runs/start';
import { waitForRun } from './runs/wait';
import type { OperatorSession } from './session';

const PIPELINE = 'audience-index';
/** State is computed here from the year before; the days after it run one by one. */
const ORIGIN = '2011-10-31';
const FIRST_DAY = '2011-11-01';

/** One day of the demo, as its progress line tells it. */
export interface DemoDay {
  readonly window: string;
  /** False when an earlier demo had run it. */
  readonly computed: boolean;
  /** From the claim to the end of the run. */
  readonly seconds: number;
  /** Rows that landed and were accepted. */
  readonly landed: number;
  readonly memberships: number;
  readonly reportRows: number;
  readonly publication: number | null;
}

export interface DemoAnswer {
  readonly days: readonly DemoDay[];
  readonly report: readonly DemoReportRow[];
}

/** Runs the real purchases through the audience index: one bootstrap, then day by day; what is accepted already is not computed again. */
export async function runDemo(
  session: OperatorSession,
  signal: AbortSignal,
  tell: (line: string) => void,
  day: (day: DemoDay) => void,
): Promise<DemoAnswer> {
  await using scratch = createScratchEngine();
  const landing = await writeDemoLanding({ root: session.config.data, engine: scratch.engine, signal });
  tell(landing.written ? `wrote ${landing.days} days of purchases as landing data` : 'the landing data are there already');
  const days: DemoDay[] = [];
  for (const window of [ORIGIN, ...daysBetween(FIRST_DAY, DEMO_LAST_DAY)]) {
    signal.throwIfAborted();
    const answer = await startRun(session, { pipeline: PIPELINE, window, bootstrap: window === ORIGIN });
    const row = await waitForRun(session.database, answer.run);
    if (row.state !== 'succeeded') throw notSucceeded(row);
    const done = await describeDay(session, row, answer.did !== 'accepted');
    days.push(done);
    day(done);
  }
  const { rows } = await session.database.query<DemoReportRow>(DEMO_REPORT_SQL);
  return { days, report: rows };
}

async function describeDay(session: OperatorSession, row: RunRow, computed: boolean): Promise<DemoDay> {
  const outputs = standingOutputs(await listAttempts(session.database, row.run));
  const rowsOut = (stage: string): number => outputs[stage]?.output.rowsOut ?? 0;
  return {
    window: row.run.window,
    computed,
    seconds: (Date.parse(row.endedAt ?? row.changedAt) - Date.parse(row.claimedAt)) / 1000,
    landed: rowsOut('segmentAdds') + rowsOut('pixelFires'),
    memberships: rowsOut('updateUdb'),
    reportRows: rowsOut('aggregate'),
    publication: outputs.publish?.output.publication ?? null,
  };
}

/** The failure of a run that a demo waited for. */
export function notSucceeded(row: RunRow): AlmanacError {
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
