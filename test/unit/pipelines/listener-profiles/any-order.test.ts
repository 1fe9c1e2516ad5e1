import fc from 'fast-check';
import { listenerProfiles } from '../../../../pipelines/listener-profiles/pipeline';
import { averagesOf, profilesOf, type Play } from '../../../support/listener-reference';
import { testDuckDb, type TestDuckDb } from '../../../support/duckdb';
import { PipelineTexts } from '../../../support/pipeline-texts';

const STATES = ['counted_events', 'waiting_plays', 'listens'];
const DAYS = 6;

jest.setTimeout(180_000);

let duckdb: TestDuckDb;
let texts: PipelineTexts;
beforeAll(async () => {
  duckdb = await testDuckDb();
  texts = new PipelineTexts(duckdb, listenerProfiles);
});
afterAll(() => duckdb[Symbol.dispose]());

const dayName = (n: number): string => `2014-10-${String(n).padStart(2, '0')}`;

/** Few ids, customers and tracks, so that copies meet: within a folder, across folders, alike and not, before their time and long after. */
const play: fc.Arbitrary<Play> = fc.record({
  event: fc.integer({ min: 0, max: 12 }),
  customer: fc.integer({ min: 1, max: 4 }),
  track: fc.integer({ min: 1, max: 5 }),
  ts: fc
    .tuple(
      fc.integer({ min: 1, max: DAYS + 2 }),
      fc.constantFrom('00:00:00', '04:59:59', '05:00:00', '11:59:59', '12:00:00', '17:00:00', '21:59:59', '22:00:00', '23:59:59'),
    )
    .map(([at, time]) => `${dayName(at)} ${time}`),
  mobile: fc.boolean(),
  landedOn: fc.integer({ min: 1, max: DAYS }).map(dayName),
});

/** Runs window `to` from the state after `from`, or from nothing, and leaves its state in tables of its own. */
async function step(plays: readonly Play[], from: number | undefined, to: number): Promise<void> {
  const isNew = ({ landedOn }: Play): boolean => landedOn <= dayName(to) && (from === undefined || landedOn > dayName(from));
  await texts.fill(
    'tracks',
    plays.filter(isNew).map(({ landedOn, ...row }) => ({ ...row, landed_on: landedOn })),
  );
  for (const state of STATES) if (from === undefined) await texts.fill(state, [], `${state}_none`);
  const before = (state: string): string => `${state}_${from ?? 'none'}`;
  const after = (state: string): string => `${state}_${to}`;
  const window = dayName(to);
  await texts.compute('countPlays', window, { reads: { counted: before('counted_events'), waiting: before('waiting_plays') } });
  await texts.compute('noteEvents', window, { reads: { counted: before('counted_events') }, into: after('counted_events') });
  await texts.compute('keepWaiting', window, { reads: { waiting: before('waiting_plays') }, into: after('waiting_plays') });
  await texts.compute('addListens', window, { reads: { listens: before('listens') }, into: after('listens') });
  await texts.compute('profile', window, { reads: { listens: after('listens') } });
  await texts.compute('average', window);
}

async function states(window: number): Promise<unknown[]> {
  return Promise.all(STATES.map((state) => duckdb.rows(`from ${state}_${window} order by all`)));
}

test('whatever windows run in whatever order, each has the profiles and averages of one look at everything up to it', async () => {
  const orders = fc.shuffledSubarray(
    Array.from({ length: DAYS }, (_, n) => n + 1),
    { minLength: 1 },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(play, { maxLength: 40, size: 'max' }), orders, async (plays, order) => {
      const done: number[] = [];
      for (const window of order) {
        await step(plays, done.filter((other) => other < window).sort((a, b) => b - a)[0], window);
        done.push(window);
        const expected = profilesOf(plays, dayName(window));
        const found = await duckdb.rows(
          `select customer::int as customer, unique_tracks::int as unique_tracks, night::int as night, morning::int as morning,
             afternoon::int as afternoon, evening::int as evening, mobile::int as mobile from customer_plays order by customer`,
        );
        expect(found).toEqual(expected);
        const averages = await duckdb.rows('select * replace (non_zeros::int as non_zeros, count::int as count) from listener_averages');
        expect(averages).toHaveLength(expected.length === 0 ? 0 : 6);
        for (const { metric, mean, variance, nonZeros, ...rest } of averagesOf(expected)) {
          const own = averages.find((row) => row.metric === metric);
          expect(own).toMatchObject({ ...rest, non_zeros: nonZeros });
          expect(own?.mean).toBeCloseTo(mean, 9);
          expect(own?.variance).toBeCloseTo(variance, 9);
        }
      }
      // The state itself is the same however one came to it.
      const last = Math.max(...order);
      const found = await states(last);
      await step(plays, undefined, last);
      expect(found).toEqual(await states(last));
    }),
    { numRuns: 25 },
  );
});

test('ids in order take one range, however many events there are', async () => {
  const plays = Array.from({ length: 300 }, (_, n): Play => ({
    event: n,
    customer: n % 7,
    track: n % 5,
    ts: `${dayName(1)} 08:00:00`,
    mobile: false,
    landedOn: dayName(1 + (n % 3)),
  }));
  await step(plays, undefined, 1);
  await step(plays, 1, 2);
  await step(plays, 2, 3);
  expect(await duckdb.rows('from counted_events_3')).toEqual([{ first_event: '0', last_event: '299' }]);
});

test('the least and the largest id there is are counted as any other', async () => {
  const ids = ['-9223372036854775808', '-9223372036854775807', '9223372036854775806', '9223372036854775807'];
  for (const state of STATES) await texts.fill(state, [], `${state}_none`);
  await texts.fill(
    'new_plays',
    ids.map((event) => ({ event, customer: 1, track: 1, ts: `${dayName(1)} 08:00:00`, mobile: false })),
  );
  await texts.compute('noteEvents', dayName(1), { reads: { counted: 'counted_events_none' }, into: 'counted_events_1' });
  expect(await duckdb.rows('from counted_events_1 order by first_event')).toEqual([
    { first_event: ids[0], last_event: ids[1] },
    { first_event: ids[2], last_event: ids[3] },
  ]);
});
