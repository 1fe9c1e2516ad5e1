import { checkStage } from '../../../activities/quality/check-stage';
import { migrate } from '../../../lib/migrate';
import { metricHistory, showChecks } from '../../../operator/checks';
import { checkReport } from '../../../cli/check-report';
import { renderChecks } from '../../../cli/render-check';
import { AlmanacError } from '../../../pipelines/failures';
import type { CheckDeclaration, DatasetSpec, Metric, RunRef } from '../../../pipelines/types';
import { GateHarness } from '../../support/gate-harness';
import { testDatabase, type TestDatabase } from '../../support/postgres';

const COLUMNS = { id: 'bigint', zip: 'text', age: 'bigint', born: 'timestamp', pay: 'double' } as const;
const DATASETS: Record<string, DatasetSpec> = {
  people: { columns: COLUMNS, key: ['id'], pii: ['zip', 'age', 'born', 'pay'] },
  others: { columns: { id: 'bigint' }, key: ['id'] },
};
const RUN: RunRef = { pipeline: 'example', window: '2026-11-20', branch: 'main', generation: 1 };
/** Personal values of the rows below, as an engine prints them. */
const PERSONAL = /90210|73|1953|4711/;

let database: TestDatabase;
let harness: GateHarness;
beforeAll(async () => {
  database = await testDatabase();
  await migrate(database.pool);
  harness = new GateHarness(DATASETS, database.pool);
});
beforeEach(() => database.pool.query('truncate almanac.check_metric, almanac.check_result'));
afterAll(async () => {
  await harness[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

function check(id: string, measure: Metric, more: Partial<Exclude<CheckDeclaration, { onFail: 'quarantine' }>> = {}): CheckDeclaration {
  return { id, dataset: 'people', measure, why: 'It must hold.', ...more };
}

/** All a gate leaves behind and says of checks: its failure, its log, its rows, the pages and tables made of them. */
async function everything(checks: readonly CheckDeclaration[], rows = 1): Promise<string> {
  const person = `select i::bigint as id, '"90210"' as zip, 73::bigint as age, timestamp '1953-04-01' as born, 47.11e2::double as pay from range(${rows}) r(i)`;
  const inputs = { people: await harness.version('people', person), others: await harness.version('others', 'select 1::bigint as id') };
  const context = harness.stageContext('judge', { kind: 'check', suite: { checks } }, { inputs });
  const error: unknown = await checkStage(context).catch((failure: unknown) => failure);
  if (!(error instanceof AlmanacError)) throw error;
  const { rows: stored } = await database.pool.query<{ row: string }>(
    'select to_jsonb(r)::text as row from almanac.check_result r union all select to_jsonb(m)::text from almanac.check_metric m',
  );
  const shown = await showChecks(database.pool, RUN);
  return [
    ...[error.message, error.next, JSON.stringify(error.details), ...context.lines, ...stored.map(({ row }) => row)],
    ...[renderChecks(shown), checkReport('a run', shown), JSON.stringify(shown)],
  ]
    .join('\n')
    .replaceAll(/"(judged_at|measured_at|judgedAt)": ?"[^"]*"|"version": ?"[^"]*"/g, '');
}

const BROKEN = check('broken', { metric: 'compliance', predicate: 'id < 0' }, { fail: { min: 1 } });

test('least, greatest and middle values are judged and not told', async () => {
  const seen = await everything([
    check('least', { metric: 'minimum', column: 'age' }, { fail: { min: 100 } }),
    check('greatest', { metric: 'maximum', column: 'age' }, { fail: { max: 100 } }),
    check('middle', { metric: 'median', column: 'age' }, { warn: { max: 1 } }),
    check('exact', { metric: 'exact-quantile', column: 'age', quantile: 0.5 }),
    check('sketched', { metric: 'approx-quantile', column: 'age', quantile: 0.5 }),
    check('newest', { metric: 'freshness', column: 'born' }, { fail: { max: 1 } }),
  ]);
  expect(seen).not.toMatch(PERSONAL);
  expect(seen).toMatch(/least: minimum\(age\) of people is not allowed; age is personal, so the value is not told/);
  expect(seen).toMatch(/greatest: maximum\(age\) of people is as it should be/);
  await expect(metricHistory(database.pool, 'people', 'minimum')).rejects.toMatchObject({ code: 'check.unknown' });
});

test('a mean and a sum are told of many rows, and not of a few', async () => {
  const checks = [
    BROKEN,
    check('mean', { metric: 'mean', column: 'pay' }, { fail: { max: 1e6 } }),
    check('sum', { metric: 'sum', column: 'pay' }),
    check('ratio', { metric: 'ratio-of-sums', numerator: 'pay', denominator: 'id' }),
  ];
  expect(await everything(checks)).not.toMatch(PERSONAL);
  expect(await everything(checks, 20)).toContain('mean(pay) of people is 4,711');
});

test('distributions keep no values, and rows show a mask that nothing can be looked up by', async () => {
  const seen = await everything([
    check('kinds', { metric: 'histogram', column: 'zip' }),
    check('once', { metric: 'uniqueness', columns: ['zip'] }),
    check('known', { metric: 'contained-in', column: 'zip', values: ['10115'] }, { fail: { min: 1 }, sample: ['id', 'zip', 'age'] }),
  ]);
  expect(seen).not.toMatch(PERSONAL);
  expect(seen).toContain('id 0, zip (personal), age (personal)');
  expect(seen).not.toContain('sha256');
});

test('the words of the engine quote no value, whatever it is quoted by and whichever dataset it is of', async () => {
  const seen = await everything([
    check('cast', { metric: 'compliance', predicate: 'cast(zip as integer) > 1' }),
    check('dated', { metric: 'compliance', predicate: 'cast(zip as date) is not null' }),
    check('thrown', { metric: 'compliance', predicate: `case when age > 1 then error('"' || age || '" of ' || age) end is null` }),
    check(
      'elsewhere',
      { metric: 'custom-sql', sql: 'select max(cast(zip as integer)) from people', datasets: ['people'] },
      { dataset: 'others' },
    ),
  ]);
  expect(seen).not.toMatch(PERSONAL);
  expect(seen.match(/could not be measured/g)?.length).toBeGreaterThanOrEqual(4);
});
