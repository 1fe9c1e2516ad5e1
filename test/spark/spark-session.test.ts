import { SparkSession } from '../support/spark';

describe('a Spark session of the tests', () => {
  let spark: SparkSession;

  beforeAll(() => {
    spark = new SparkSession();
  });
  afterAll(() => spark[Symbol.asyncDispose]());

  it('answers with values as an engine session of DuckDB returns them', async () => {
    const { rows, columns } = await spark.sql(`
      select 9007199254740993 as big, 7 as "small", 0.5D as half, double('NaN') as nan, true as yes, 'a"é' as word, null as nothing,
        date '2026-11-20' as day, timestamp '2026-11-20 01:02:03' as instant, timestamp '2026-11-20 01:02:03.000004' as micros`);
    expect(rows).toEqual([
      {
        ...{ big: '9007199254740993', small: 7, half: 0.5, nan: 'NaN', yes: true, word: 'a"é', nothing: null },
        ...{ day: '2026-11-20', instant: '2026-11-20T01:02:03.000Z', micros: '2026-11-20T01:02:03.000004Z' },
      },
    ]);
    expect(columns.map(({ type }) => type)).toEqual([
      ...['bigint', 'int', 'double', 'double', 'boolean', 'string', 'void'],
      ...['date', 'timestamp', 'timestamp'],
    ]);
  });

  it('keeps temporary views and counts the jobs of a statement', async () => {
    await spark.sql('create temporary view numbers as select id from range(0, 1000, 1, 2)');
    const { rows, jobs } = await spark.sql('select count(*) as counted, max(id) as largest from numbers');
    expect(rows).toEqual([{ counted: '1000', largest: '999' }]);
    expect(jobs).toBeGreaterThanOrEqual(1);
    expect((await spark.sql('show functions')).jobs).toBe(0);
  });

  it('rejects with the message of Spark, and goes on', async () => {
    await expect(spark.sql('select * from nowhere')).rejects.toThrow(/TABLE_OR_VIEW_NOT_FOUND/);
    await expect(spark.sql("select cast('x' as int)")).rejects.toThrow(/CAST_INVALID_INPUT/);
    expect(await spark.rows('select 1 as one')).toEqual([{ one: 1 }]);
  });
});
