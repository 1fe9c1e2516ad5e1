import { collectStore } from '../../../activities/storage/collection';
import { exportPath } from '../../../activities/storage/store-paths';
import { systemClock } from '../../../lib/clock';
import { listenerProfiles } from '../../../pipelines/listener-profiles/pipeline';
import { averagesOf, profilesOf, type Play } from '../../support/listener-reference';
import { PipelineBench, type BenchRun } from '../../support/pipeline-bench';

jest.setTimeout(240_000);

const day = (n: number): string => `2014-10-${String(n).padStart(2, '0')}`;
/** What the files hold, as the reference sees it; by path. */
const landed = new Map<string, Play[]>();

let bench: PipelineBench;
beforeAll(async () => {
  bench = await PipelineBench.open(listenerProfiles);
  bench.put(
    'reference/cust.csv',
    'CustID,Name,Gender,Address,zip,SignDate,Status,Level,Campaign,LinkedWithApps\n1,Ada,1,"12, High St",1,01/02/2013,1,2,3,0\n2,Bob,0,x,1,01/02/2013,1,,,0\n',
  );
});
afterAll(() => bench[Symbol.asyncDispose]());

function land(n: number, file: string, plays: readonly Omit<Play, 'landedOn'>[], junk: readonly string[] = []): void {
  const path = `landing/tracks/dt=${day(n)}/${file}`;
  const lines = plays.map(({ event, customer, track, ts, mobile }) => `${event},${customer},${track},"${ts}",${mobile ? 1 : 0},"72132"`);
  bench.put(path, [...lines, ...junk].map((line) => `${line}\n`).join(''));
  landed.set(
    path,
    plays.map((play) => ({ ...play, landedOn: day(n) })),
  );
}

const play = (event: number, customer: number, track: number, ts: string, mobile = false): Omit<Play, 'landedOn'> => ({
  event,
  customer,
  track,
  ts,
  mobile,
});

async function expectExact(run: BenchRun, window: string): Promise<void> {
  const expected = profilesOf([...landed.values()].flat(), window);
  const counts = (await bench.rows(run.versions.listener_profiles)).map(({ name: _n, gender: _g, level: _l, campaign: _c, ...own }) =>
    Object.fromEntries(Object.entries(own).map(([column, value]) => [column, Number(value)])),
  );
  expect(counts.sort((a, b) => Number(a.customer) - Number(b.customer))).toEqual(expected);
  const averages = await bench.rows(run.versions.listener_averages);
  for (const { metric, mean } of averagesOf(expected)) expect(averages.find((row) => row.metric === metric)?.mean).toBeCloseTo(mean, 10);
}

const ingested = ({ outputs }: BenchRun): number | undefined => outputs.tracks?.rowsIn;
const toldBy = ({ log }: BenchRun): string => log.filter((line) => line.startsWith('tracks: ')).join('\n');

/** Plays of every hour of a day, among a few customers and tracks. */
const hours = (from: number, n: number): Omit<Play, 'landedOn'>[] =>
  Array.from({ length: 24 }, (_, hour) =>
    play(from + hour, 1 + (hour % 2), hour % 5, `${day(n)} ${String(hour).padStart(2, '0')}:59:59`, hour % 3 === 0),
  );

test('each file is read once while windows go forward, and copies, gaps, early events and late files leave every window exact', async () => {
  const broken = ['no,record', '4,x,1,"2014-10-01 00:00:00",0,"1"', '5,1,1,"2014-10-01 00:00:00",2,"1"'];
  land(1, 'a.csv', [...hours(100, 1), play(3, 9, 8, `${day(3)} 12:00:00`)], broken);
  const first = await bench.run(day(1));
  expect(first.outputs.tracks).toMatchObject({ rowsIn: 28, rowsOut: 25, quarantined: { malformed: 3 } });
  expect(first.outputs.landed?.gate).toMatchObject({ status: 'WARN', warned: ['tracks-unusable'] });
  expect(toldBy(first)).toContain('reads all 1 files');
  await expectExact(first, day(1));

  // Copies of the day before, one of them with another customer: the first stands.
  land(2, 'a.csv', [...hours(100, 1).slice(5), play(101, 2, 3, `${day(1)} 02:00:00`), ...hours(200, 2)]);
  const second = await bench.run(day(2));
  expect(ingested(second)).toBe(44);
  expect(toldBy(second)).toContain(`goes on from ${day(1)}, which read 1 of the 2 files`);
  expect(await bench.rows(second.versions.counted_events)).toEqual([
    { first_event: '100', last_event: '123' },
    { first_event: '200', last_event: '223' },
  ]);
  await expectExact(second, day(2));

  // A file of several days.
  land(4, 'a.csv', [...hours(300, 2), ...hours(400, 3), ...hours(500, 4)]);
  const fourth = await bench.run(day(4));
  expect(ingested(fourth)).toBe(72);
  expect(toldBy(fourth)).toContain(`goes on from ${day(2)}`);
  await expectExact(fourth, day(4));

  // A day without a folder of its own, run after a later one: what waited for it counts, by a customer nobody knows.
  const third = await bench.run(day(3));
  expect(ingested(third)).toBe(0);
  expect(third.outputs.landed?.gate?.warned).toContain('tracks-idle');
  expect(third.outputs.judge?.gate?.warned).toContain('customers-known');
  expect((await bench.rows(third.versions.listener_profiles)).at(-1)).toMatchObject({ customer: '9', name: null, level: null });
  await expectExact(third, day(3));
  // The state of a window is the same whichever it goes on from.
  const again = await bench.run(day(4));
  expect(toldBy(again)).toContain(`goes on from ${day(3)}`);
  for (const state of ['counted_events', 'waiting_plays', 'listens'])
    expect(again.versions[state]?.digest).toBe(fourth.versions[state]?.digest);

  // A file that came late: the last window before its folder is gone on from.
  land(2, 'late.csv', [play(150, 2, 40, `${day(2)} 06:00:00`)]);
  land(5, 'a.csv', hours(600, 5));
  const fifth = await bench.run(day(5));
  expect(toldBy(fifth)).toContain(`goes on from ${day(1)}, which read 1 of the 5 files`);
  expect(ingested(fifth)).toBe(44 + 1 + 72 + 24);
  await expectExact(fifth, day(5));

  // One that was written again as it was is the same; one that says something else is read anew, with all the others.
  bench.put(`landing/tracks/dt=${day(5)}/a.csv`, (await bench.store.get(`landing/tracks/dt=${day(5)}/a.csv`)) ?? '');
  land(6, 'a.csv', []);
  const sixth = await bench.run(day(6));
  expect(toldBy(sixth)).toContain(`goes on from ${day(5)}`);
  expect(ingested(sixth)).toBe(0);
  await expectExact(sixth, day(6));
  land(1, 'a.csv', hours(100, 1).slice(3));
  const corrected = await bench.run(day(6));
  expect(toldBy(corrected)).toContain('reads all 6 files');
  await expectExact(corrected, day(6));
});

test('each version has its file beside it, ordered by key, and collected with it', async () => {
  const { versions } = await bench.run(day(6));
  const version = versions.listener_averages;
  if (version === undefined) throw new Error('no averages were written');
  const rows = (await bench.store.get(exportPath(version, 'agg_table.csv')))?.toString().trim().split('\n') ?? [];
  expect(rows.map((row) => row.split(',')[0])).toEqual(['metric', 'afternoon', 'evening', 'mobile', 'morning', 'night', 'unique_tracks']);
  const inDays = { now: () => new Date(systemClock.now().getTime() + 3 * 86_400_000) };
  const report = await collectStore({ store: bench.store, database: bench.database.pool, clock: inDays }, new Set(), { dryRun: true });
  expect(report.marked.filter(({ what }) => what.endsWith('.csv'))).toEqual([]);
});
