import path from 'node:path';
import { AlmanacError } from '../../../pipelines/failures';
import { organicShare } from '../../../pipelines/organic-share/pipeline';
import { quoteText } from '../../../pipelines/quote-sql';
import { PipelineBench, textOf } from '../../support/pipeline-bench';
import { describeOn, sharedData } from '../../support/shared-data';

describeOn(sharedData('organic-share'), 'on poisoned copies of the real sample', (sample) => {
  const SAMPLE = `read_parquet(${quoteText(path.join(sample, 'sample.parquet'))})`;
  const WINDOW = '2021-W50';
  /** One row of the sample, and only one. */
  const ONE = `name = 'Email' and start_date = date '2021-11-10' and country = 'GB' and os_name = 'all'`;

  jest.setTimeout(240_000);

  let bench: PipelineBench;
  beforeAll(async () => {
    bench = await PipelineBench.open(organicShare);
  });
  afterAll(() => bench[Symbol.asyncDispose]());

  /** Lands a query over the sample as the extract of the week. */
  async function land(into: PipelineBench, rows: string): Promise<void> {
    into.remove('landing/acquisitions');
    const file = into.file('landing/acquisitions/dt=2021-12-13/extract.parquet');
    await into.exec(`copy (${rows}) to ${quoteText(file)} (format parquet)`);
  }

  const replaced = (expression: string): string => `select * replace (${expression}) from ${SAMPLE}`;
  const changed = (column: string, value: string): string => replaced(`case when ${ONE} then ${value} else ${column} end as ${column}`);

  /** The rows a failing gate names, as one text. */
  async function failure(run: Promise<unknown>): Promise<AlmanacError> {
    return run.then(
      () => {
        throw new Error('every gate let it through');
      },
      (error: unknown) => {
        if (error instanceof AlmanacError) return error;
        throw error;
      },
    );
  }

  test('the row that is poisoned is one row', async () => {
    expect(await bench.query(`select count(*)::int as rows from ${SAMPLE} where ${ONE}`)).toEqual([{ rows: 1 }]);
  });

  const failing: [what: string, check: string, rows: string, named: readonly string[]][] = [
    ['a week without its underscore', 'year-week-form', changed('year_week', `'2021-45'`), ['2021-45', 'Email', 'GB']],
    ['a row without a week', 'year-week-form', changed('year_week', 'null'), ['Email', '2021-11-10', 'GB']],
    ['the week after', 'year-week-of-date', changed('year_week', `'2021_46'`), ['2021_46', '2021-11-10', 'Email']],
    [
      'a calendar year at the end of an ISO year',
      'year-week-of-date',
      replaced(`case when start_date = date '2021-01-02' then '2021_53' else year_week end as year_week`),
      ['2021_53', '2021-01-02'],
    ],
    ['less than no users', 'value-not-negative', changed('value', '-1'), ['-1', 'Email', '2021-11-10']],
    ['a channel with two tokens', 'name-has-one-token', changed('token', `'another'`), ['Email', 'another']],
    ['a row without a token', 'name-has-one-token', changed('token', 'null'), ['Email', '(none)']],
    [
      'a channel with subtrackers and without',
      'name-has-one-subtracker-flag',
      changed('has_subtrackers', 'not has_subtrackers'),
      ['Email', 'false and true'],
    ],
    [
      'a third of the rows unreadable',
      'acquisitions-unusable',
      `select * replace (case when hash(name, start_date) % 3 = 0 then 'n/a' else cast(value as varchar) end as value) from ${SAMPLE}`,
      ['is not a double'],
    ],
    ['an extract without rows', 'extract-not-empty', `from ${SAMPLE} where false`, ['holds no rows']],
  ];

  test.each(failing)('raw → staging holds %s', async (_what, check, rows, named) => {
    await land(bench, rows);
    const error = await failure(bench.run(WINDOW));
    expect(error.code).toBe('gate.failed');
    expect(error.message).toContain('gate landed');
    expect(error.details).toMatchObject({ failed: [{ check }] });
    const told = `${error.message} ${JSON.stringify(error.details)} ${JSON.stringify(await samples(bench, check))}`;
    for (const value of named) expect(told).toContain(value);
  });

  test('staging → final holds an extract of which no row tells a share', async () => {
    await land(bench, `from ${SAMPLE} where os_name <> 'all'`);
    const error = await failure(bench.run(WINDOW));
    expect(error.message).toContain('gate judge');
    expect(error.details).toMatchObject({ failed: [{ check: 'shares-not-empty', observed: 0 }] });
  });

  const warning: [what: string, check: string, rows: string, named: readonly string[]][] = [
    [
      'an unknown channel',
      'names-known',
      `from ${SAMPLE} union all select * replace ('Pigeons' as name, 'p1g30n5' as token) from ${SAMPLE} where ${ONE}`,
      ['Pigeons'],
    ],
    [
      'an unknown country',
      'countries-known',
      `from ${SAMPLE} union all select * replace ('DE' as country) from ${SAMPLE} where ${ONE}`,
      ['DE'],
    ],
    ['a row without a value', 'value-missing', changed('value', 'null'), ['Email', '2021-11-10']],
    ['a token of two channels', 'token-has-one-name', `from ${SAMPLE}`, ['f91turk', 'Google Ads ACI to Google Ads UAC']],
  ];

  test.each(warning)('raw → staging warns of %s', async (_what, check, rows, named) => {
    await land(bench, rows);
    const { outputs } = await bench.run(WINDOW);
    expect(outputs.landed?.gate).toMatchObject({ status: 'WARN', failed: [], warned: expect.arrayContaining([check]) });
    const told = JSON.stringify(await samples(bench, check));
    for (const value of named) expect(told).toContain(value);
  });

  test('an extract older than its week is used, and the gate warns', async () => {
    await land(bench, `from ${SAMPLE}`);
    const { outputs, versions } = await bench.run('2021-W51');
    expect(outputs.landed?.gate?.warned).toContain('extract-of-this-week');
    expect(await bench.rows(versions.organic_share)).toHaveLength(192);
  });

  test('weeks after the window are ignored, and of folders the newest one before its end is read', async () => {
    await land(bench, `from ${SAMPLE}`);
    await bench.exec(
      `copy (from ${SAMPLE} where false) to ${quoteText(bench.file('landing/acquisitions/dt=2021-12-20/next.parquet'))} (format parquet)`,
    );
    await bench.exec(
      `copy (from ${SAMPLE} where false) to ${quoteText(bench.file('landing/acquisitions/dt=2021-12-06/old.parquet'))} (format parquet)`,
    );
    const { versions } = await bench.run(WINDOW);
    expect(await bench.rows(versions.organic_share)).toHaveLength(192);
    bench.remove('landing/acquisitions/dt=2021-12-06');
    await bench.exec(
      `copy (from ${SAMPLE}) to ${quoteText(bench.file('landing/acquisitions/dt=2021-03-01/all.parquet'))} (format parquet)`,
    );
    const early = await bench.rows((await bench.run('2021-W09')).versions.organic_share);
    expect(early).toHaveLength(3 * 15);
    await expect(bench.run('2021-W08')).rejects.toMatchObject({ code: 'landing.missing' });
  });

  /** A copy of the text that computes the shares, spoiled. */
  const spoiled: [what: string, check: string, text: string, named: readonly string[]][] = [
    [
      'a week left out',
      'no-week-missing',
      `from (values (2021, 7, 'GB')) as gone (y, w, c) join ORIGINAL on not (year = y and week = w and country = c)`,
      ['2021', '7', 'GB'],
    ],
    [
      'a row twice',
      'share-key-unique',
      `from ORIGINAL union all from ORIGINAL where year = 2021 and week = 7 and country = 'GB'`,
      ['2021', '7', 'GB'],
    ],
    [
      'a share above 1',
      'share-within-bounds',
      `from (select * replace (case when week = 7 and country = 'GB' then 1.5 else share_organic_p4w end as share_organic_p4w) from ORIGINAL)`,
      ['1.5', '7', 'GB'],
    ],
    [
      'a share without a country',
      'share-country-complete',
      `from (select * replace (nullif(country, 'FR') as country) from ORIGINAL)`,
      ['2021'],
    ],
  ];

  test.each(spoiled)('staging → final holds %s', async (_what, check, rows, named) => {
    const original = textOf(organicShare, 'share.sql');
    const text = `with original_share as (${original})\nselect year, week, country, share_organic_p4w ${rows.replaceAll('ORIGINAL', 'original_share')}`;
    await using poisoned = await PipelineBench.open(organicShare, { 'share.sql': text });
    await land(poisoned, `from ${SAMPLE}`);
    const error = await failure(poisoned.run(WINDOW));
    expect(error.message).toContain('gate judge');
    expect(error.details).toMatchObject({ failed: expect.arrayContaining([expect.objectContaining({ check })]) });
    const told = JSON.stringify(await samples(poisoned, check));
    for (const value of named) expect(told).toContain(value);
  });

  /** Failing rows of a check as the newest run stored them. */
  async function samples(of: PipelineBench, check: string): Promise<unknown> {
    const { rows } = await of.database.pool.query(
      'select * from almanac.check_result where check_id = $1 order by generation desc limit 1',
      [check],
    );
    return rows;
  }
});
