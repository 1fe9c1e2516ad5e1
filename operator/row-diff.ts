/** Pure: two bags of rows, what differs between them, and how that reads. Floats are equal within 1e-9, relative to the larger. */
import type { ColumnType } from '../pipelines/types';

export type Row = Readonly<Record<string, unknown>>;

export interface ChangedRow {
  readonly key: Row;
  readonly columns: readonly { readonly column: string; readonly expected: unknown; readonly actual: unknown }[];
}

/** Rows that have a partner with the same key are `changed`; the others are missing or unexpected. All empty: the bags are equal. */
export interface RowDiff {
  readonly missing: readonly Row[];
  readonly unexpected: readonly Row[];
  readonly changed: readonly ChangedRow[];
}

export interface RowShape {
  /** The columns compared. */
  readonly columns: Readonly<Record<string, ColumnType>>;
  /** Columns that pair an expected row with an actual one; none when empty. */
  readonly key: readonly string[];
}

const TOLERANCE = 1e-9;

export function diffRows(expected: readonly Row[], actual: readonly Row[], shape: RowShape): RowDiff {
  const left = [...actual];
  const missing: Row[] = [];
  for (const row of expected) {
    const at = left.findIndex((other) => differing(row, other, shape).length === 0);
    if (at < 0) missing.push(row);
    else left.splice(at, 1);
  }
  return paired(missing, left, shape);
}

export function isEqual(diff: RowDiff): boolean {
  return diff.missing.length + diff.unexpected.length + diff.changed.length === 0;
}

/** The diff as lines: `~` a row that differs, `-` one that is missing, `+` one too many; at most `limit` of them. */
export function renderDiff(diff: RowDiff, limit = 20): string {
  const lines = [
    ...diff.changed.map(({ key, columns }) => {
      const changes = columns.map(({ column, expected, actual }) => `${column} is ${show(actual)}, expected ${show(expected)}`);
      return `~ ${showRow(key)}: ${changes.join('; ')}`;
    }),
    ...diff.missing.map((row) => `- missing    ${showRow(row)}`),
    ...diff.unexpected.map((row) => `+ unexpected ${showRow(row)}`),
  ];
  const shown = lines.slice(0, limit);
  if (lines.length > shown.length) shown.push(`… and ${lines.length - shown.length} more`);
  return shown.join('\n');
}

function paired(missing: readonly Row[], left: readonly Row[], shape: RowShape): RowDiff {
  if (shape.key.length === 0) return { missing, unexpected: left, changed: [] };
  const unexpected = [...left];
  const alone: Row[] = [];
  const changed: ChangedRow[] = [];
  for (const row of missing) {
    const at = unexpected.findIndex((other) => shape.key.every((column) => equal(row[column], other[column], shape.columns[column])));
    const [partner] = at < 0 ? [] : unexpected.splice(at, 1);
    if (partner === undefined) alone.push(row);
    else {
      const columns = differing(row, partner, shape).map((column) => ({ column, expected: row[column], actual: partner[column] }));
      changed.push({ key: Object.fromEntries(shape.key.map((column) => [column, row[column]])), columns });
    }
  }
  return { missing: alone, unexpected, changed };
}

function differing(expected: Row, actual: Row, { columns }: RowShape): string[] {
  return Object.entries(columns)
    .filter(([column, type]) => !equal(expected[column], actual[column], type))
    .map(([column]) => column);
}

function equal(a: unknown, b: unknown, type: ColumnType | undefined): boolean {
  if (a === b || (a ?? null) === (b ?? null)) return true;
  if (type !== 'double' || a == null || b == null) return false;
  const [x, y] = [Number(a), Number(b)];
  return Math.abs(x - y) <= TOLERANCE * Math.max(1, Math.abs(x), Math.abs(y));
}

function showRow(row: Row): string {
  return Object.entries(row)
    .map(([column, value]) => `${column}=${show(value)}`)
    .join(' ');
}

function show(value: unknown): string {
  if (value === null || value === undefined) return 'NULL';
  return typeof value === 'string' ? (/^[\w.:+-]+$/.test(value) ? value : JSON.stringify(value)) : String(value);
}
