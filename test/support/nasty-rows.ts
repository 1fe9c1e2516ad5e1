import { columnsOf, DUCKDB_TYPES } from '../../pipelines/duckdb-sql';
import { quoteName, quoteText } from '../../pipelines/quote-sql';
import type { ColumnType, DatasetSpec, Window } from '../../pipelines/types';
import type { Random } from './random';

/** Makes one value of a column, as text that DuckDB casts to its type; NULL is undefined. `row` has the columns before it. */
export type Value = (random: Random, row: Readonly<Record<string, string | undefined>>) => string | undefined;

const DAY_MS = 86_400_000;

/** Texts that are cut, trimmed, folded, escaped or sorted wrongly by those who do. */
export const TEXTS = [
  '',
  ' ',
  'a',
  'A',
  'b ',
  "o'clock",
  'back\\slash',
  '"quoted"',
  '$as_of',
  '${user}',
  'Zoë',
  'Zoë',
  '用户',
  '😀',
  'x'.repeat(65),
];
/** Ids at the edges of 32 bits, of exact doubles and of 64 bits. */
export const IDS = ['0', '1', '2', '3', '-1', '2147483648', '9007199254740993', '9223372036854775807', '-9223372036854775808'];
/** Doubles whose sums are exact in any order. */
const QUARTERS = ['0', '-0.0', '0.25', '1', '2.5', '100', '16777216.75', '10000000', '123456789012'];

export const someOf =
  (values: readonly string[]): Value =>
  (random) =>
    random.pick(values);

export const orNull =
  (value: Value, probability = 0.2): Value =>
  (random, row) =>
    random.chance(probability) ? undefined : value(random, row);

/** Instants at the edges of a window, of its hours and of the thirty days before its end, and any between. */
function instants({ start, end }: Window): Value {
  const [from, to] = [Date.parse(start), Date.parse(end)];
  const edges = [from, to, to - 30 * DAY_MS, from - 30 * DAY_MS, to - 31 * DAY_MS, from + 5 * 3_600_000, from + 22 * 3_600_000];
  return (random) => {
    const micros = random.chance(0.6)
      ? BigInt(random.pick(edges)) * 1000n + BigInt(random.pick([-1, 0, 1]))
      : BigInt(to - random.below(45 * DAY_MS)) * 1000n + BigInt(random.below(1000));
    return `${new Date(Number(micros / 1000n)).toISOString().slice(0, -1)}${String(micros % 1000n).padStart(3, '0')}`;
  };
}

const daysNear =
  ({ end }: Window): Value =>
  (random) =>
    new Date(Date.parse(end) - DAY_MS * random.below(60)).toISOString().slice(0, 10);

function valueOf(type: ColumnType, window: Window): Value {
  const values: Record<ColumnType, Value> = {
    text: someOf(TEXTS),
    bigint: someOf(IDS),
    integer: someOf(['0', '1', '-1', '2147483647', '-2147483648']),
    double: someOf(QUARTERS),
    boolean: someOf(['true', 'false']),
    timestamp: instants(window),
    date: daysNear(window),
  };
  return values[type];
}

/**
 * A select of random rows of a dataset, unlike in its key, with NULL in optional columns. `values` makes those of single columns instead.
 */
export function nastyRows(
  random: Random,
  dataset: DatasetSpec,
  window: Window,
  count: number,
  values: Readonly<Record<string, Value>> = {},
): string {
  const columns = columnsOf(dataset);
  const rows = new Map<string, (string | undefined)[]>();
  for (let n = 0; n < count; n++) {
    const row: Record<string, string | undefined> = {};
    for (const { name, type } of columns) {
      const own = values[name] ?? valueOf(type, window);
      row[name] = (dataset.optional?.includes(name) === true ? orNull(own) : own)(random, row);
    }
    const key = dataset.key?.map((name) => row[name]) ?? [n];
    rows.set(JSON.stringify(key), Object.values(row));
  }
  const casts = columns.map(({ name, type }) => `cast(${quoteName(name)} as ${DUCKDB_TYPES[type]}) as ${quoteName(name)}`);
  const none = `(${columns.map(() => 'cast(null as varchar)').join(', ')})`;
  const tuples = [...rows.values()].map((row) => `(${row.map((value) => (value === undefined ? 'null' : quoteText(value))).join(', ')})`);
  const names = columns.map(({ name }) => quoteName(name)).join(', ');
  return `select ${casts.join(', ')} from (values ${[none, ...tuples].join(', ')}) as t(${names}) offset 1`;
}
