import fc from 'fast-check';
import { AlmanacError } from '../../../pipelines/failures';
import type { Column } from '../../../pipelines/duckdb-sql';
import {
  columnChange,
  exportSql,
  liveTables,
  parsePartitionName,
  partitionName,
  POSTGRES_TYPES,
  viewSql,
  type LiveTable,
} from '../../../pipelines/publish-sql';
import { quoteName, quoteText } from '../../../pipelines/quote-sql';
import type { ColumnType, DatasetSpec, PublishSpec } from '../../../pipelines/types';

const datasets: Record<string, DatasetSpec> = { report: { columns: { id: 'bigint', name: 'text' } } };

function tables(name: string, more: Partial<PublishSpec['tables'][string]> = {}, from = datasets): LiveTable[] {
  return liveTables('p', { kind: 'publish', mode: 'newest', tables: { [name]: { from: 'report', key: ['id'], ...more } } }, from);
}

function failure(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    if (error instanceof AlmanacError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'no failure';
}

describe('live tables', () => {
  it('take columns from the dataset, in its order', () => {
    expect(tables('t', { indexes: [['name']] })).toEqual([
      {
        name: 't',
        from: 'report',
        columns: [
          { name: 'id', type: 'bigint' },
          { name: 'name', type: 'text' },
        ],
        key: ['id'],
        indexes: [['name']],
      },
    ]);
  });

  it.each([
    ['an unknown dataset', () => tables('t', { from: 'nowhere' }), 'live table t of p is published from nowhere'],
    ['a key column that is not there', () => tables('t', { key: ['nope'] }), 'dataset report has no column nope'],
    ['an index column that is not there', () => tables('t', { indexes: [['nope']] }), 'dataset report has no column nope'],
    ['no key', () => tables('t', { key: [] }), 'live table t of p has no key'],
    ['a name Postgres would cut', () => tables('x'.repeat(43)), 'is not 1 to 42 bytes long'],
    ['a name whose bytes are too many', () => tables('é'.repeat(22)), 'is not 1 to 42 bytes long'],
    ['a system column', () => tables('t', { key: ['ctid'] }, { report: { columns: { ctid: 'text' } } }), 'reserves the column name ctid'],
    [
      'the partition column',
      () => tables('t', { key: ['almanac_publication'] }, { report: { columns: { almanac_publication: 'bigint' } } }),
      'reserves the column name almanac_publication',
    ],
    [
      'a column name Postgres would cut',
      () => tables('t', { key: ['k'.repeat(64)] }, { report: { columns: { ['k'.repeat(64)]: 'text' } } }),
      'is longer than 63 bytes',
    ],
  ])('refuse %s', (_what, make, message) => {
    expect(failure(make)).toMatch(/^pipeline\.invalid: /);
    expect(failure(make)).toContain(message);
  });
});

describe('a change of columns', () => {
  const column = fc.record({
    name: fc.string({ minLength: 1, maxLength: 4 }),
    type: fc.constantFrom<ColumnType>('text', 'bigint', 'double', 'date'),
  });
  const columns = fc.uniqueArray(column, { selector: ({ name }) => name, minLength: 1, maxLength: 6 });
  const present = (of: readonly Column[]): { name: string; type: string }[] =>
    of.map(({ name, type }) => ({ name, type: POSTGRES_TYPES[type] }));

  it('is none, or appends exactly what comes after what is there', () => {
    fc.assert(
      fc.property(columns, fc.nat(6), (declared, cut) => {
        const there = declared.slice(0, Math.max(1, cut));
        const added = declared.slice(there.length);
        expect(columnChange(present(there), declared)).toEqual(added.length === 0 ? { change: 'none' } : { change: 'append', added });
      }),
    );
  });

  it('is breaking when a column went, moved or changed its type', () => {
    fc.assert(
      fc.property(
        columns.filter((all) => all.length > 1),
        fc.nat(),
        (declared, pick) => {
          const at = pick % declared.length;
          expect(
            columnChange(
              present(declared),
              declared.filter((_, i) => i !== at),
            ).change,
          ).toBe('breaking');
          expect(columnChange(present(declared), [...declared.slice(1), ...declared.slice(0, 1)]).change).toBe('breaking');
          const retyped = declared.map((each, i) => (i === at ? { ...each, type: 'boolean' as const } : each));
          expect(columnChange(present(declared), retyped).change).toBe('breaking');
        },
      ),
    );
  });
});

it('finds table and publication in the name of any partition, and in nothing else', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, maxLength: 42 }), fc.integer({ min: 1 }), (table, publication) => {
      expect(parsePartitionName(partitionName(table, publication))).toEqual({ table, publication });
    }),
  );
  expect(parsePartitionName('audience_index')).toBeUndefined();
  expect(parsePartitionName('audience_p')).toBeUndefined();
  expect(parsePartitionName('audience_p007')).toBeUndefined();
});

it('quotes every name and text', () => {
  expect(quoteName('a"b')).toBe('"a""b"');
  expect(quoteText("it's")).toBe("'it''s'");
  const [table] = tables('t"; drop table x; --');
  if (table === undefined) throw new Error('no table');
  expect(viewSql('pub"lic', table, "p'; --", false)).toBe(
    `create view "pub""lic"."t""; drop table x; --" as select "id", "name" from almanac_live."t""; drop table x; --" ` +
      `where almanac_publication = (select live.publication from almanac.live where live.pipeline = 'p''; --')`,
  );
  expect(exportSql(table, ["/data/o'clock.parquet"], "/tmp/o'clock.csv")).toContain(`read_parquet(['/data/o''clock.parquet'])`);
});
