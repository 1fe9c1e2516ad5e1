/**
 * Many pipelines that fire every minute: is a slot lost or doubled, how long after its nominal time is it in the ledger, and when does its
 * first stage begin, beside bare Temporal starting as many workflows with one activity at once on the same server, in the same run.
 */
import os from 'node:os';
import { parseArgs } from 'node:util';
import type { Client } from '@temporalio/client';
import { applySchedules } from '../operator/schedules/apply';
import { pauseSchedule } from '../operator/schedules/verbs';
import type { OperatorSession } from '../operator/session';
import { stackEnvironment } from '../operator/stack/environment';
import { startBareArm, type BareArm } from './bare-arm';
import { startBenchStack } from './bench-stack';
import { machine, median, table } from './report';

const MINUTE = 60_000;
/** Seconds from the nominal time to the slot's row. */
const ROW_GOAL = 2;
/** p99 to the first stage, over that of bare Temporal. */
const START_GOAL = 1.5;
const BARE_REPEATS = 3;
/** After the last slot, for its run to begin and end. */
const SETTLE_MS = 120_000;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      pipelines: { type: 'string', default: '500' },
      minutes: { type: 'string', default: '10' },
      json: { type: 'boolean', default: false },
      /** Exit 1 when a goal is missed. */
      check: { type: 'boolean', default: false },
    },
  });
  const [pipelines, minutes] = [whole('pipelines', values.pipelines), whole('minutes', values.minutes)];
  const say = (line: string): void => console.error(line);
  await using stack = await startBenchStack('schedules', projectText(pipelines), say);
  const { session } = stack;
  const client = await session.temporal();
  await using bare = await startBareArm(client, stackEnvironment(session.config).temporalAddress);

  const bareSeconds: number[][] = [];
  for (let repeat = 0; repeat <= BARE_REPEATS; repeat++) {
    const found = await bareStarts(bare, client, pipelines);
    say(`bare, ${repeat === 0 ? 'warm-up' : `repeat ${repeat}`}: p99 to the first activity ${quantile(found, 0.99).toFixed(2)} s`);
    if (repeat > 0) bareSeconds.push(found);
  }
  const first = Math.ceil(Date.now() / MINUTE + 0.5) * MINUTE;
  await applySchedules(session, { from: new Date(first), dryRun: false, prune: false });
  for (let index = 0; index < pipelines; index++) await pauseSchedule(session, `p${index}`, false, 'bench');
  if (Date.now() > first) throw new Error('the schedules were installed too late; use fewer pipelines');
  const last = first + (minutes - 1) * MINUTE;
  await waitUntil(last + MINUTE / 2);
  await session.database.query('update almanac.schedule set paused = true');
  await settled(session, last);
  const slots = await measure(session, first, last);

  const rowSeconds = slots.map(({ row }) => row);
  const byMinute = new Map<number, number[]>();
  for (const { at, start } of slots) byMinute.set(at, [...(byMinute.get(at) ?? []), start]);
  const starts = [...byMinute.values()].map((seconds) => quantile(seconds, 0.99));
  const bareStart = median(bareSeconds.map((seconds) => quantile(seconds, 0.99)));
  const result = {
    slots: slots.length,
    expected: pipelines * minutes,
    ran: slots.filter(({ outcome }) => outcome === 'ran').length,
    rowSecondsMax: Math.max(...rowSeconds),
    rowSecondsP99: quantile(rowSeconds, 0.99),
    firstStageP99: median(starts),
    bareP99: bareStart,
    ratio: median(starts) / bareStart,
  };
  const complete = result.slots === result.expected && result.ran === result.expected;
  const met = complete && result.rowSecondsMax <= ROW_GOAL && result.ratio <= START_GOAL;
  if (values.json)
    console.log(JSON.stringify({ machine: machine(), load: os.loadavg()[0], pipelines, minutes, ...result, met }, undefined, 2));
  else {
    console.log(`\n${machine()}; load ${(os.loadavg()[0] ?? 0).toFixed(1)}`);
    console.log(`${pipelines} pipelines, every minute, ${minutes} minutes; p99 of starts is the median over the minutes\n`);
    console.log(
      table(
        ['slots', 'expected', 'ran', 'row p99 s', 'row max s', 'first stage p99 s', 'bare p99 s', 'ratio'],
        [
          [
            String(result.slots),
            String(result.expected),
            String(result.ran),
            result.rowSecondsP99.toFixed(2),
            result.rowSecondsMax.toFixed(2),
            result.firstStageP99.toFixed(2),
            result.bareP99.toFixed(2),
            result.ratio.toFixed(2),
          ],
        ],
      ),
    );
    console.log(
      `\ngoals: no slot lost or doubled, rows within ${ROW_GOAL} s, first stage within ${START_GOAL} x bare: ${met ? 'met' : 'missed'}`,
    );
  }
  if (values.check && !met) process.exitCode = 1;
}

function whole(name: string, text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new Error(`--${name} ${text}: expected a whole number from 1`);
}

function projectText(pipelines: number): string {
  const one = (index: number): string => `definePipeline({
    id: 'p${index}', owner: 'bench', window: everyMinutes(1), chain: 'independent', datasets: {},
    schedule: { cron: '* * * * *', timezone: 'UTC', gap: 'shift', fold: 'first', catchUp: 'all', overlap: 'queue' },
    stages: { only: compute({ engine: 'none' }) },
  })`;
  return `import { compute, defineProject, definePipeline, everyMinutes } from 'almanac';
export default defineProject({ pipelines: [${Array.from({ length: pipelines }, (_, index) => one(index)).join(',\n')}] });
`;
}

/** Seconds from the call that starts them all to the start of each one's activity, as the server saw it. */
async function bareStarts(bare: BareArm, client: Client, runs: number): Promise<number[]> {
  const begun = Date.now();
  const ids = await bare.run({ pipeline: 'windows', stages: 1, wide: false, runs });
  const found: number[] = [];
  for (const id of ids) {
    const { events } = await client.workflow.getHandle(id).fetchHistory();
    const started = events?.find(({ activityTaskStartedEventAttributes }) => activityTaskStartedEventAttributes != null)?.eventTime;
    if (started == null) throw new Error(`${id} has no started activity`);
    found.push((Number(started.seconds ?? 0) * 1000 + (started.nanos ?? 0) / 1e6 - begun) / 1000);
  }
  return found;
}

async function waitUntil(at: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, at - Date.now())));
}

async function settled(session: OperatorSession, last: number): Promise<void> {
  const deadline = Date.now() + SETTLE_MS;
  for (;;) {
    const { rows } = await session.database.query<{ open: number }>(
      'select (select count(*) from almanac.slot where outcome is null and at <= $1) + (select count(*) from almanac.run where ended_at is null) as open',
      [new Date(last)],
    );
    if (rows[0]?.open === 0) return;
    if (Date.now() > deadline)
      throw new Error(`${rows[0]?.open ?? 'some'} slots or runs are open ${SETTLE_MS / 1000} s after the last minute`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

interface MeasuredSlot {
  readonly at: number;
  readonly outcome: string;
  /** Seconds from its nominal time to its row, and to the start of its run's first stage. */
  readonly row: number;
  readonly start: number;
}

async function measure(session: OperatorSession, first: number, last: number): Promise<MeasuredSlot[]> {
  const { rows } = await session.database.query<{ at: Date; outcome: string; row: string; start: string | null }>(
    `select s.at, s.outcome, extract(epoch from s.seen_at - s.at) as row, extract(epoch from min(a.started_at) - s.at) as start
     from almanac.slot s left join almanac.attempt a on a.pipeline = s.pipeline and a.window_key = s.window_key
     where s.at between $1 and $2 group by s.pipeline, s.nominal`,
    [new Date(first), new Date(last)],
  );
  return rows.map((row) => ({ at: row.at.getTime(), outcome: row.outcome, row: Number(row.row), start: Number(row.start ?? NaN) }));
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
