import type pg from 'pg';
import { DEMO_REPORT_SQL, renderDemoReport, type DemoReportRow } from '../../../operator/demo-report';
import { testDatabase, type TestDatabase } from '../../support/postgres';

describe('the report at the end of the demo', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await testDatabase();
    await database.pool.query(`
      create table audience_index (pixel_id bigint, segment_id bigint, segment_group text, users_segment_pixel bigint, users_group_pixel bigint,
        users_segment bigint, users_group bigint, "index" double precision, index_low double precision, index_high double precision, as_of date);
      create table audience_segments (segment_id bigint, segment_name text, segment_group text);
      create table audience_pixels (pixel_id bigint, pixel_name text, advertiser text)`);
  });
  beforeEach(async () => {
    await database.pool.query('truncate audience_index, audience_segments, audience_pixels');
    await database.pool.query(`insert into audience_segments select n, 'segment ' || n, 'g' from generate_series(1, 9) n`);
    await database.pool.query(`insert into audience_pixels select n, 'product ' || n, 'family' from generate_series(1, 9) n`);
  });
  afterAll(() => database[Symbol.asyncDispose]());

  const read = async (): Promise<DemoReportRow[]> => (await database.pool.query<DemoReportRow>(DEMO_REPORT_SQL)).rows;

  it('takes the three products with most qualifying users, and names those without a clear segment too', async () => {
    for (const [pixel, users] of [
      [1, 10],
      [2, 1500],
      [3, 30],
      [4, 20],
    ] as const)
      await insert(database.pool, { pixel, segment: 1, users, index: [90, 100, 110] });
    const rows = await read();
    expect(rows.map(({ pixel_name, pixel_users, side }) => [pixel_name, pixel_users, side])).toEqual([
      ['product 2', 1500, null],
      ['product 3', 30, null],
      ['product 4', 20, null],
    ]);
    expect(renderDemoReport(rows)).toContain(
      'product 2 (family): 1,500 users were in a segment before they bought it\n  no segment whose interval excludes 100\n',
    );
  });

  it('shows three segments on each side whose interval excludes 100, the furthest from it first', async () => {
    const over = [
      [101, 150, 200],
      [120, 300, 400],
      [99, 900, 999],
      [110, 130, 150],
      [105, 110, 120],
    ] as const;
    const under = [
      [10, 50, 101],
      [1, 20, 99],
      [50, 60, 70],
    ] as const;
    for (const [n, index] of [...over, ...under].entries()) await insert(database.pool, { pixel: 1, segment: n + 1, users: 40, index });
    const rows = await read();
    expect(rows.map(({ side, segment_name, index }) => [side, segment_name, index])).toEqual([
      ['over', 'segment 2', 300],
      ['over', 'segment 4', 130],
      ['over', 'segment 5', 110],
      ['under', 'segment 8', 60],
      ['under', 'segment 7', 20],
    ]);
    expect(renderDemoReport(rows))
      .toBe(`Audience index as of 2011-12-09: 100 is the share expected. Segments of 20 users and more whose interval excludes 100:

product 1 (family): 40 users were in a segment before they bought it
         segment    group  index  95 % interval  of its buyers     of all users
  over   segment 2  g        300     120 to 400       30 of 40  1,000 of 20,000
  over   segment 4  g        130     110 to 150       30 of 40  1,000 of 20,000
  over   segment 5  g        110     105 to 120       30 of 40  1,000 of 20,000
  under  segment 8  g         60       50 to 70       30 of 40  1,000 of 20,000
  under  segment 7  g         20        1 to 99       30 of 40  1,000 of 20,000
`);
  });

  it('leaves out segments of fewer than 20 users, whose own share is a guess', async () => {
    await insert(database.pool, { pixel: 1, segment: 1, users: 40, index: [300, 400, 500], ofSegment: 19 });
    await insert(database.pool, { pixel: 1, segment: 2, users: 40, index: [110, 120, 130], ofSegment: 20 });
    expect((await read()).map(({ segment_name }) => segment_name)).toEqual(['segment 2']);
  });

  it('says so when there is nothing to report', async () => {
    expect(renderDemoReport(await read())).toBe('No user was in a segment before a first purchase, so there is nothing to report.\n');
  });
});

interface Row {
  readonly pixel: number;
  readonly segment: number;
  readonly users: number;
  /** Low, index, high. */
  readonly index: readonly [number, number, number];
  readonly ofSegment?: number;
}

async function insert(pool: pg.Pool, { pixel, segment, users, index: [low, index, high], ofSegment = 1000 }: Row): Promise<void> {
  await pool.query(`insert into audience_index values ($1, $2, 'g', 30, $3, $7, 20000, $4, $5, $6, '2011-12-09')`, [
    pixel,
    segment,
    users,
    index,
    low,
    high,
    ofSegment,
  ]);
}
