import { createScratchEngine } from './scratch-engine';
import { landDemo } from './demo-land';
import { DEMO_LAST_DAY, daysBetween, writeDemoLanding } from './demo-landing';
import { DEMO_REPORT_SQL, type DemoReportRow } from './demo-report';
import { runDemoWindow, type DemoOptions, type DemoWindow } from './demo-window';
import type { OperatorSession } from './session';

const PIPELINE = 'audience-index';
/** State is computed here from the year before; the days after it run one by one. */
const ORIGIN = '2011-10-31';
const FIRST_DAY = '2011-11-01';

/** One day of the demo, as its progress line tells it. */
export interface DemoDay extends DemoWindow {
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
export async function runDemo(session: OperatorSession, options: DemoOptions, day: (day: DemoDay) => void): Promise<DemoAnswer> {
  const { signal, tell } = options;
  await using scratch = createScratchEngine();
  const landing = await landDemo(session, (root) => writeDemoLanding({ root, engine: scratch.engine, signal }));
  tell(landing.written ? `wrote ${landing.days} days of purchases as landing data` : 'the landing data are there already');
  const days: DemoDay[] = [];
  for (const window of [ORIGIN, ...daysBetween(FIRST_DAY, DEMO_LAST_DAY)].slice(0, options.windows)) {
    signal.throwIfAborted();
    const done = describeDay(await runDemoWindow(session, { pipeline: PIPELINE, window, bootstrap: window === ORIGIN }, options));
    days.push(done);
    day(done);
  }
  const { rows } = await session.database.query<DemoReportRow>(DEMO_REPORT_SQL);
  return { days, report: rows };
}

function describeDay({ ran, outputs }: Awaited<ReturnType<typeof runDemoWindow>>): DemoDay {
  const rowsOut = (stage: string): number => outputs[stage]?.output.rowsOut ?? 0;
  return {
    ...ran,
    landed: rowsOut('segmentAdds') + rowsOut('pixelFires'),
    memberships: rowsOut('updateUdb'),
    reportRows: rowsOut('aggregate'),
    publication: outputs.publish?.output.publication ?? null,
  };
}
