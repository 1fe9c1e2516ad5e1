import type { Band, ColumnType } from '../../../pipelines/types';
import type { Cell, Fixture } from './workbench';

export type Kwargs = Readonly<Record<string, unknown>>;

/** `min_value`, `max_value` and whether they are strict, as a band. What is no number is one that nothing holds. */
export function rangeBand(kwargs: Kwargs): Band {
  const bound = (name: string): number | undefined => {
    const value = kwargs[name];
    if (value === undefined || value === null) return undefined;
    return typeof value === 'number' ? value : Number.NaN;
  };
  const [low, high] = [bound('min_value'), bound('max_value')];
  return {
    ...(low === undefined ? {} : { [kwargs['strict_min'] === true ? 'above' : 'min']: low }),
    ...(high === undefined ? {} : { [kwargs['strict_max'] === true ? 'below' : 'max']: high }),
  };
}

const DATED = /^(date|datetime|timestamp)/i;

/** Columns of a dataset, by the types one of its schemas names, else by their values. */
export function fixtureOf(data: Readonly<Record<string, readonly Cell[]>>, schemas: Readonly<Record<string, Kwargs>> | undefined): Fixture {
  const columns = Object.keys(data);
  const schema = { ...schemas?.['pandas'], ...schemas?.['spark'], ...schemas?.['sqlite'], ...schemas?.['postgresql'] };
  const texts = columns.some((column) => data[column]?.some((value) => typeof value === 'string'));
  const types = new Map<string, ColumnType>();
  const cells = columns.map((column) => {
    const declared = String(schema[column] ?? '');
    const values = data[column] ?? [];
    if (values.some((value) => typeof value === 'string') && DATED.test(declared)) {
      const instants = values.map((value) => (typeof value === 'string' ? instantOf(value) : value));
      if (instants.every((value) => value !== undefined)) {
        types.set(column, 'timestamp');
        return instants;
      }
    }
    if (values.every((value) => value === null) && (/^(str|text|varchar|object)/i.test(declared) || (declared === '' && texts)))
      types.set(column, 'text');
    const mixed = values.some((value) => typeof value === 'string') && values.some((value) => typeof value === 'number');
    return mixed ? values.map((value) => (value === null ? null : String(value))) : values;
  });
  const height = Math.max(0, ...cells.map((cell) => cell.length));
  const rows = Array.from({ length: height }, (_, i) => cells.map((cell) => cell[i] ?? null));
  return { columns, rows, types: Object.fromEntries(types) };
}

/** Values of a column as they compare: numbers by value, instants by what they name, whoever wrote them. */
export function comparable(value: unknown, type: ColumnType | undefined): unknown {
  if (value === null || value === undefined) return null;
  if (type === 'bigint' || type === 'integer' || type === 'double') return Number(value);
  if (type === 'boolean') return String(value).toLowerCase() === 'true';
  return type === 'timestamp' ? instantOf(String(value)) : String(value);
}

/** SQL Server's LIKE, which has classes of characters, as a regular expression. */
export function likeOfSqlServer(pattern: string): string {
  const parts = pattern.match(/\[[^\]]*\]|./gs) ?? [];
  const spelled = parts.map((part) => {
    if (part === '%') return '.*';
    if (part === '_') return '.';
    return part.length > 1 ? part : part.replace(/[\\^$.|?*+(){}[\]]/g, String.raw`\$&`);
  });
  return `(?s)^${spelled.join('')}$`;
}

/** Any date a person writes, as UTC without a zone; undefined for what is none. */
function instantOf(text: string): string | undefined {
  const at = Date.parse(
    /^\d{4}-\d{2}-\d{2}([T ][\d:.]+)?$/.test(text) ? `${text.replace(' ', 'T')}${text.length > 10 ? 'Z' : ''}` : `${text} UTC`,
  );
  const fallback = Number.isNaN(at) ? Date.parse(text) : at;
  return Number.isNaN(fallback) ? undefined : new Date(fallback).toISOString().replace('Z', '');
}

/** `{"$PARAMETER": "now() - timedelta(weeks=1)"}` in any argument, at a given now. */
export function evaluated(kwargs: Kwargs, now: Date): Kwargs {
  return Object.fromEntries(
    Object.entries(kwargs).map(([name, value]) => {
      const text = typeof value === 'object' && value !== null && '$PARAMETER' in value ? String(value.$PARAMETER) : undefined;
      return [name, text === undefined ? value : instantFrom(text, now)];
    }),
  );
}

const UNITS: Readonly<Record<string, number>> = { weeks: 604_800_000, days: 86_400_000, hours: 3_600_000, minutes: 60_000, seconds: 1000 };

function instantFrom(text: string, now: Date): string {
  const [, base = '', sign = '+', unit = '', amount = '0'] =
    /^(now\(\)|datetime\([^)]*\))\s*(?:([-+])\s*timedelta\((\w+)=([\d*. ]+)\))?$/.exec(text.trim()) ?? [];
  const parts = base.startsWith('datetime') ? base.slice('datetime('.length, -1).split(',').map(Number) : [];
  const [year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0] = parts;
  const start = base === 'now()' ? now.getTime() : Date.UTC(year, month - 1, day, hour, minute, second);
  if (base === '') throw new Error(`no instant: ${text}`);
  const factor = amount.split('*').reduce((product, one) => product * Number(one), 1);
  return new Date(start + (sign === '-' ? -1 : 1) * factor * (UNITS[unit] ?? 0)).toISOString().replace('Z', '');
}

/** A condition in pandas' words as ours. */
export function conditionOf(condition: string, types: Readonly<Record<string, ColumnType>>): string {
  return condition
    .replace(/\b(\w+) == (-?[\d.]+)/g, (all, column: string, value: string) => (types[column] === 'text' ? `${column} = '${value}'` : all))
    .replaceAll('==', '=')
    .replace(/\s&\s/g, ' and ')
    .replace(/\s\|\s/g, ' or ')
    .replace(/(\w+)\.notnull\(\)/g, '$1 is not null')
    .replace(/(\w+)\.isnull\(\)/g, '$1 is null')
    .replace(/"([^"]*)"/g, "'$1'");
}
