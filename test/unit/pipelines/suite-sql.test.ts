import fc from 'fast-check';
import {
  metricQuery,
  metricOf,
  readMeasurements,
  suiteMetrics,
  suiteQueries,
  versionView,
  type Measurement,
  type SuiteScope,
} from '../../../pipelines/suite-sql';
import type { CheckDeclaration, DatasetSpec, Metric } from '../../../pipelines/types';
import { testDuckDb, type TestDuckDb } from '../../support/duckdb';

type BlockingCheck = Exclude<CheckDeclaration, { onFail: 'quarantine' }>;

const DATASETS: Readonly<Record<string, DatasetSpec>> = {
  report: { columns: { id: 'bigint', name: 'text', user_id: 'text', index: 'double' }, key: ['id'], pii: ['user_id'] },
  names: { columns: { id: 'bigint' }, key: ['id'] },
};
const SCOPE: SuiteScope = { datasets: DATASETS, salt: 'audience-index/2026-11-20' };

let duckdb: TestDuckDb;
beforeAll(async () => {
  duckdb = await testDuckDb();
});
afterAll(() => duckdb[Symbol.dispose]());

function check(measure: Metric, more: Partial<BlockingCheck> = {}): CheckDeclaration {
  return { id: measure.metric, dataset: 'report', measure, why: 'It must hold.', ...more };
}

async function load(report: string, names = 'select 1::bigint as id'): Promise<void> {
  await duckdb.connection.run(`create or replace table report as ${report}; create or replace table names as ${names}`);
}

/** The measurement of each check, by its id, as the generated statements give it. */
async function measured(...checks: CheckDeclaration[]): Promise<Record<string, Measurement | undefined>> {
  const byKey = new Map<string, Measurement | undefined>();
  for (const query of suiteQueries(suiteMetrics({ checks }, DATASETS), SCOPE)) {
    const [row = {}] = await duckdb.rows(query.sql);
    const sampleSql = query.sampleSql?.(row);
    const [samples] = sampleSql === undefined ? [] : await duckdb.rows(sampleSql);
    for (const [key, value] of readMeasurements(query, { ...row, ...samples }))
      byKey.set(key, value !== undefined && 'value' in value ? value : undefined);
  }
  return Object.fromEntries(checks.map((declared) => [declared.id, byKey.get(metricOf(declared, DATASETS[declared.dataset])?.key ?? '')]));
}

const row = (id: number | null, name: string | null, user = 'u', index = 1): string =>
  `select ${id}::bigint as id, ${name === null ? 'null' : `'${name}'`}::varchar as name, '${user}'::varchar as user_id, ${index}::double as index`;

describe('the statements of a suite', () => {
  test('are one a dataset, and one for each metric that groups', () => {
    const metrics = suiteMetrics(
      {
        checks: [
          check({ metric: 'rows' }),
          check({ metric: 'null-count', column: 'id' }),
          check({ metric: 'rows-where', predicate: 'index < 0' }),
          check({ metric: 'missing-references', column: 'id', in: { dataset: 'names', column: 'id' } }),
          check({ metric: 'duplicate-keys', key: ['id'] }),
          check({ metric: 'rows' }, { dataset: 'names' }),
        ],
      },
      DATASETS,
    );
    const queries = suiteQueries(metrics, SCOPE);
    expect(queries.map(({ dataset, metrics: answered }) => [dataset, answered.map(({ measure }) => measure.metric)])).toEqual([
      ['report', ['rows', 'null-count', 'rows-where', 'missing-references']],
      ['names', ['rows']],
      ['report', ['duplicate-keys']],
    ]);
    expect(queries[0]?.sql.match(/from "report"/g)).toHaveLength(1);
  });

  test('read a dataset once in the engine’s own plan, and a reference once beside it', async () => {
    await load(row(1, 'x'));
    const checks = [
      check({ metric: 'null-count', column: 'id' }),
      check({ metric: 'rows-where', predicate: 'index < 0' }),
      check({ metric: 'missing-references', column: 'id', in: { dataset: 'names', column: 'id' } }),
    ];
    const [query] = suiteQueries(suiteMetrics({ checks }, DATASETS), SCOPE);
    const plan = (await duckdb.rows(`explain (format json) ${query?.sql ?? ''}`)).map(({ explain_value }) => String(explain_value)).join();
    const scanned = [...plan.matchAll(/"Table": "memory\.main\.\W*(\w+)/g)].map(([, table]) => table);
    expect(scanned.sort()).toEqual(['names', 'report']);
  });

  test('samples are asked for where rows fail, of the metrics whose rows fail, and of nothing else', async () => {
    await load(`${row(1, null)} union all ${row(2, 'x')}`);
    const asked = async (...checks: CheckDeclaration[]): Promise<string | undefined> => {
      const [query] = suiteQueries(suiteMetrics({ checks }, DATASETS), SCOPE);
      const [answer = {}] = await duckdb.rows(query?.sql ?? '');
      return query?.sampleSql?.(answer);
    };
    const whole = check({ metric: 'null-count', column: 'id' });
    const known = check({ metric: 'completeness', column: 'user_id' });
    expect(await asked(whole, known, check({ metric: 'rows' }))).toBeUndefined();
    const sql = await asked(whole, known, check({ metric: 'completeness', column: 'name' }));
    expect(sql).toContain('as s2\n');
    expect(sql).not.toContain('user_id');
    expect(sql).not.toContain('as s0');
  });

  test('measure once what several checks ask; quarantine ratios ask no engine', () => {
    const suite = {
      checks: [
        check({ metric: 'rows' }, { id: 'idle' }),
        check({ metric: 'rows' }, { id: 'size' }),
        check({ metric: 'quarantine-ratio', stage: 'adds', reasons: ['late'] }),
      ],
    };
    expect(suiteMetrics(suite, DATASETS)).toHaveLength(1);
  });
});

describe('a measured value', () => {
  test('counts what a loop counts, NULL being not true', async () => {
    const id = fc.option(fc.integer({ min: -2, max: 3 }));
    await fc.assert(
      fc.asyncProperty(fc.array(id, { maxLength: 12 }), async (ids) => {
        await load(
          ids.length === 0 ? `${row(1, 'x')} where false` : ids.map((value) => row(value, 'x')).join(' union all '),
          'select unnest([1, 2, 2])::bigint as id',
        );
        const got = await measured(
          check({ metric: 'rows' }),
          check({ metric: 'null-count', column: 'id' }),
          check({ metric: 'rows-where', predicate: 'id < 0' }),
          check({ metric: 'missing-references', column: 'id', in: { dataset: 'names', column: 'id' } }),
          check({ metric: 'duplicate-keys', key: ['id'] }),
        );
        expect(Object.fromEntries(Object.entries(got).map(([metric, value]) => [metric, value?.value]))).toEqual({
          'rows': ids.length,
          'null-count': ids.filter((value) => value === null).length,
          'rows-where': ids.filter((value) => value !== null && value < 0).length,
          'missing-references': ids.filter((value) => value !== null && value !== 1 && value !== 2).length,
          'duplicate-keys': ids.length - new Set(ids).size,
        });
        for (const value of Object.values(got)) expect(value?.rows).toBe(ids.length);
      }),
      { numRuns: 40 },
    );
  });

  test('of a predicate that ends in a comment is that of the predicate', async () => {
    await load(`${row(1, 'x')} union all ${row(7, 'x')}`);
    const got = await measured(check({ metric: 'rows-where', predicate: 'id > 5 -- or fewer' }));
    expect(got['rows-where']?.value).toBe(1);
  });

  test.each(['id', 'name', 'id + 1'])('is refused for %s, which is no condition', async (predicate) => {
    await load(row(1, 'true'));
    await expect(measured(check({ metric: 'rows-where', predicate }))).rejects.toThrow(/bool_or/);
  });

  test('is nothing where the engine gave no number', () => {
    const [metric] = suiteMetrics({ checks: [check({ metric: 'rows' })] }, DATASETS);
    if (metric === undefined) throw new Error('the suite has no metric');
    const query = metricQuery(metric, SCOPE);
    for (const v0 of [null, 'NaN', 'Infinity', '', undefined])
      expect([...readMeasurements(query, { rows: '3', v0 }).values()]).toEqual([undefined]);
    expect([...readMeasurements(query, { rows: '3', v0: '3' }).values()]).toEqual([{ value: 3, rows: 3, sample: [] }]);
  });
});

describe('failing rows', () => {
  const many = `select i::bigint as id, 'n' || i as name, 'u' || i as user_id, (i % 3)::double as index from range(1000) r(i)`;
  const negative = check({ metric: 'rows-where', predicate: 'index > 1' }, { sample: ['id', 'index'] });

  test('are five at most, real ones, and the same ones whatever the order of the rows', async () => {
    await load(many);
    const first = (await measured(negative))['rows-where']?.sample;
    expect(first).toHaveLength(5);
    for (const shown of first ?? []) expect(shown).toEqual({ id: expect.any(String), index: '2.0' });
    await load(`select * from (${many}) order by hash(id, 'other')`);
    expect((await measured(negative))['rows-where']?.sample).toEqual(first);
  });

  test('show the key and the column that is missing, or the columns the check names', async () => {
    await load(`${row(1, null)} union all ${row(2, 'x')}`);
    const got = await measured(
      check({ metric: 'null-count', column: 'name' }),
      check({ metric: 'rows-where', predicate: 'name is null' }, { sample: ['index'] }),
    );
    expect(got['null-count']?.sample).toEqual([{ id: '1', name: null }]);
    expect(got['rows-where']?.sample).toEqual([{ index: '1.0' }]);
  });

  test('of repeated keys show the key and how often it is there', async () => {
    await load([row(1, 'a'), row(1, 'b'), row(1, 'c'), row(2, 'd')].join(' union all '));
    expect((await measured(check({ metric: 'duplicate-keys', key: ['id'] })))['duplicate-keys']).toEqual({
      value: 2,
      rows: 4,
      sample: [{ id: '1', copies: '3' }],
    });
  });

  test('never show personal columns, nor anything that could be looked up for them', async () => {
    await load(`${row(1, 'x', 'ann@example.org')} union all ${row(2, 'x', 'bob@example.org')}`);
    const sample =
      (await measured(check({ metric: 'rows-where', predicate: 'true' }, { sample: ['id', 'user_id'] })))['rows-where']?.sample ?? [];
    expect(sample.map(({ user_id }) => user_id)).toEqual(['(personal)', '(personal)']);
  });

  test('are cut at 200 characters', async () => {
    await load(`${row(1, 'ü'.repeat(200))} union all ${row(2, 'ü'.repeat(201))}`);
    const sample =
      (await measured(check({ metric: 'rows-where', predicate: 'true' }, { sample: ['id', 'name'] })))['rows-where']?.sample ?? [];
    const shown = Object.fromEntries(sample.map(({ id, name }) => [id, name]));
    expect(shown).toEqual({ 1: 'ü'.repeat(200), 2: `${'ü'.repeat(199)}…` });
  });
});

test('names and values of a declaration never end a statement early', async () => {
  const odd = 'a"b\'c';
  const datasets: Readonly<Record<string, DatasetSpec>> = { [odd]: { columns: { [odd]: 'text' } } };
  await duckdb.connection.run(versionView(odd, [{ name: odd, type: 'text' }], []));
  const metrics = suiteMetrics(
    {
      checks: [
        check({ metric: 'null-count', column: odd }, { dataset: odd }),
        check({ metric: 'duplicate-keys', key: [odd] }, { dataset: odd }),
      ],
    },
    datasets,
  );
  for (const query of suiteQueries(metrics, { datasets, salt: odd })) {
    const [answer] = await duckdb.rows(query.sql);
    expect([...readMeasurements(query, answer ?? {}).values()]).toEqual([{ value: 0, rows: 0, sample: [] }]);
  }
});
