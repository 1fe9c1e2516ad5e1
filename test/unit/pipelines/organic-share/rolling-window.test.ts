import fc from 'fast-check';
import { organicShare } from '../../../../pipelines/organic-share/pipeline';
import { testDuckDb, type TestDuckDb } from '../../../support/duckdb';
import { PipelineTexts } from '../../../support/pipeline-texts';
import { isoWeek, sharesOf, type Acquisition } from '../../../support/share-reference';

const DAY = 86_400_000;
const STAGES = ['stage', 'sumWeeks', 'share', 'findMissing', 'compareWeeks'];

jest.setTimeout(120_000);

let duckdb: TestDuckDb;
let texts: PipelineTexts;
beforeAll(async () => {
  duckdb = await testDuckDb();
  texts = new PipelineTexts(duckdb, organicShare);
});
afterAll(() => duckdb[Symbol.dispose]());

const date = (day: number): string => new Date(day).toISOString().slice(0, 10);

/** Days around the end of a year; 2004, 2009, 2015, 2020 and 2026 have 53 weeks. */
const day = fc
  .tuple(fc.constantFrom(2003, 2004, 2005, 2009, 2010, 2015, 2016, 2019, 2020, 2021, 2024, 2026), fc.integer({ min: -120, max: 120 }))
  .map(([year, offset]) => Date.UTC(year, 11, 31) + offset * DAY);

function acquisitions(around: number): fc.Arbitrary<Acquisition> {
  return fc.record({
    name: fc.constantFrom('Organic', 'Email', 'Website'),
    value: fc.option(
      fc.integer({ min: 0, max: 40 }).map((quarters) => quarters / 4),
      { freq: 8 },
    ),
    start_date: fc.integer({ min: -90, max: 90 }).map((offset) => date(around + offset * DAY)),
    country: fc.constantFrom('FR', 'GB', 'IT', 'ALL'),
    os_name: fc.constantFrom('all', 'all', 'all', 'ios'),
    dataplatform_inserted_at: fc
      .integer({ min: 0, max: 1e9 })
      .map((us) => new Date(around + us).toISOString().replace('T', ' ').replace('Z', '')),
  });
}

async function computed(rows: readonly Acquisition[], window: string): Promise<Record<string, unknown>[]> {
  await texts.fill(
    'acquisitions',
    rows.map((row) => ({ ...row })),
  );
  for (const stage of STAGES) await texts.compute(stage, window);
  return duckdb.rows('select year, week, country, share_organic_p4w from organic_share order by country, year, week');
}

test('the shares are those of the true four weeks, over the ends of years of 52 and 53 weeks', async () => {
  const extracts = day.chain((around) =>
    fc.tuple(
      fc.array(acquisitions(around), { minLength: 1, maxLength: 60, size: 'max' }),
      fc.integer({ min: -60, max: 100 }),
      fc.constant(around),
    ),
  );
  await fc.assert(
    fc.asyncProperty(extracts, async ([drawn, cut, around]) => {
      // Which of two rows inserted at once wins is no matter of weeks.
      const rows = [
        ...new Map(
          drawn.map((row) => [`${row.name}${row.start_date}${row.country}${row.os_name}${row.dataplatform_inserted_at}`, row]),
        ).values(),
      ];
      const { year, week } = isoWeek(around + cut * DAY);
      const window = `${year}-W${String(week).padStart(2, '0')}`;
      let end = around + cut * DAY;
      while (isoWeek(end).week === week) end += DAY;
      expect(await computed(rows, window)).toEqual(sharesOf(rows, date(end)));
      expect(await duckdb.rows('from missing_shares')).toEqual([]);
    }),
    { numRuns: 80 },
  );
});

test('the first weeks of 2021 remember the last of 2020, whose week 53 is one of the four', async () => {
  const row = (start_date: string, name: string, value: number): Acquisition => ({
    name,
    value,
    start_date,
    country: 'GB',
    os_name: 'all',
    dataplatform_inserted_at: '2021-03-01 00:00:00',
  });
  const rows = await computed([row('2020-12-31', 'Organic', 3), row('2021-01-04', 'Email', 1), row('2021-02-01', 'Email', 4)], '2021-W05');
  expect(rows).toEqual([
    { year: 2020, week: 53, country: 'GB', share_organic_p4w: 1 },
    { year: 2021, week: 1, country: 'GB', share_organic_p4w: 0.75 },
    { year: 2021, week: 2, country: 'GB', share_organic_p4w: 0.75 },
    { year: 2021, week: 3, country: 'GB', share_organic_p4w: 0.75 },
    { year: 2021, week: 4, country: 'GB', share_organic_p4w: 0 },
    { year: 2021, week: 5, country: 'GB', share_organic_p4w: 0 },
  ]);
});

test('an extract of nothing has no shares', async () => {
  expect(await computed([], '2021-W05')).toEqual([]);
  expect(await duckdb.rows('from missing_shares')).toEqual([]);
});
