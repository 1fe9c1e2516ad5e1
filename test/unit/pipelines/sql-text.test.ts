import fc from 'fast-check';
import type { SqlValue } from '../../../pipelines/sql-text';
import { placeholdersOf, renderSql, sqlLiteral, windowValues } from '../../../pipelines/sql-text';
import { parseWindow } from '../../../pipelines/window';
import { quoteName, quoteText } from '../../../pipelines/quote-sql';

const refusal = (code: string, message: string): Error => expect.objectContaining({ code, message: expect.stringContaining(message) });

describe('renderSql', () => {
  it.each<[string, SqlValue, string]>([
    ['an instant', { timestamp: '2026-11-20T00:00:00.000Z' }, "TIMESTAMP '2026-11-20 00:00:00'"],
    ['an instant with microseconds', { timestamp: '2026-11-20T01:02:03.000004Z' }, "TIMESTAMP '2026-11-20 01:02:03.000004'"],
    ['a date', { date: '2026-11-20' }, "DATE '2026-11-20'"],
    ['a whole number', 30, '30'],
    ['a negative number, which would start a comment', -1, '(-1)'],
    ['a fraction', 0.05, 'CAST(5e-2 AS DOUBLE)'],
    ['a number beyond 64 bits', 1e21, 'CAST(1e+21 AS DOUBLE)'],
    ['a bigint beyond doubles', 9007199254740993n, '9007199254740993'],
    ['text that ends the literal', "o'clock'; drop table x; --", "'o''clock''; drop table x; --'"],
    ['a truth', true, 'TRUE'],
    ['nothing', null, 'NULL'],
  ])('writes %s as a typed literal', (_what, value, literal) => {
    expect(renderSql('select x -$value', { value })).toBe(`select x -${literal}`);
  });

  it.each([
    ['a string', "select '$a', '$a''$a'"],
    ['a string with backslashes', "select E'it\\'s $a', e'$a''$a'"],
    ['an identifier', 'select "$a" from `$a`'],
    ['a line comment', 'select 1 -- $a\n'],
    ['a block comment', 'select /* $a /* $a */ $a */ 1'],
    ['a comment that never ends', 'select 1 /* $a'],
    ['dollar quotes', 'select $$ $a $$, $body$ $a $$ $a $body$'],
    ['a name that holds a dollar', 'select x$a from y'],
    ['a number', 'select $1'],
  ])('leaves %s alone', (_what, text) => {
    expect(renderSql(text, {})).toBe(text);
  });

  it('fills placeholders beside all of these', () => {
    expect(renderSql("select $a, '$a' /* $a */ + $a -- $a\n, $b", { a: 1, b: 2 })).toBe("select 1, '$a' /* $a */ + 1 -- $a\n, 2");
  });

  it('writes text for Spark with backslashes, and leaves its quotes and comments alone', () => {
    const spark = (text: string, a: SqlValue): string => renderSql(text, { a }, 'x.spark.sql', 'spark');
    expect(spark('select $a', "o'clock\\ \n")).toBe("select 'o\\'clock\\\\ \\u000a'");
    expect(spark("select 'it\\'s $a', r'\\', $a", 1)).toBe("select 'it\\'s $a', r'\\', 1");
    expect(spark('select "\\"$a", `\\` as b, $a -- $a \\\n $a\n, /* /* $a */ $a */ $a', 1)).toBe(
      'select "\\"$a", `\\` as b, 1 -- $a \\\n $a\n, /* /* $a */ $a */ 1',
    );
    expect(() => spark('select $a', 'a\0b')).toThrow(refusal('sql.placeholder', 'cannot be written as SQL'));
  });

  it('does not look into what it filled in', () => {
    expect(renderSql('select $a, $b', { a: '$b', b: 1 })).toBe("select '$b', 1");
  });

  it('names the text, the line and the known names for a placeholder without a value', () => {
    expect(() => renderSql('select\n/*\n*/ $dayz', { days: 1 }, 'update.sql')).toThrow(
      refusal('sql.placeholder', '$dayz at line 3 of update.sql has no value; known are $days'),
    );
  });

  it('knows no value of a name every object has', () => {
    expect(() => renderSql('select $constructor', {})).toThrow(refusal('sql.placeholder', '$constructor'));
  });

  it.each<[string, SqlValue]>([
    ['NaN', Number.NaN],
    ['infinity', Number.POSITIVE_INFINITY],
    ['NUL', 'a\0b'],
    ['a local time', { timestamp: '2026-11-20T00:00:00+01:00' }],
    ['a date that ends its literal', { date: "2026-11-20' or '1" }],
  ])('refuses %s', (_what, value) => {
    expect(() => renderSql('$value', { value })).toThrow(refusal('sql.placeholder', 'cannot be written as SQL'));
  });
});

describe('windowValues', () => {
  it('gives the bounds and the date of a window', () => {
    const window = parseWindow({ every: 'day', timezone: 'America/New_York' }, '2026-11-20');
    expect(renderSql('$window_start $window_end $as_of', windowValues(window))).toBe(
      "TIMESTAMP '2026-11-20 05:00:00' TIMESTAMP '2026-11-21 05:00:00' DATE '2026-11-20'",
    );
  });
});

describe('quoteName', () => {
  it('doubles quotes and refuses what names nothing', () => {
    expect(quoteName('a"b')).toBe('"a""b"');
    expect(() => quoteName('')).toThrow(refusal('sql.placeholder', 'names nothing'));
    expect(() => quoteName('a\0')).toThrow(refusal('sql.placeholder', 'names nothing'));
  });
});

describe('any text', () => {
  const fragment = fc.constantFrom("'", '"', '`', '$', '$$', '$a', '$tag$', '--', '/*', '*/', '\n', '\\', 'E', ' ', 'x', '1');
  const text = fc.array(fragment, { maxLength: 25 }).map((parts) => parts.join(''));

  it('is changed at its placeholders only', () => {
    fc.assert(
      fc.property(text, (sql) => {
        const found = placeholdersOf(sql).filter(({ name }) => name !== 'a');
        const values = { a: 7, ...Object.fromEntries(found.map(({ name }) => [name, 7])) };
        const pieces: string[] = [];
        let from = 0;
        for (const { start, end } of placeholdersOf(sql)) {
          pieces.push(sql.slice(from, start), '7');
          from = end;
        }
        expect(renderSql(sql, values)).toBe([...pieces, sql.slice(from)].join(''));
      }),
    );
  });

  it('as a value is one quoted literal, whatever it holds', () => {
    fc.assert(
      fc.property(fc.oneof(text, fc.string()), (value) => {
        fc.pre(!value.includes('\0'));
        const literal = quoteText(value);
        expect(literal).toBe(sqlLiteral(value));
        expect(literal.slice(1, -1).replaceAll("''", "'")).toBe(value);
        expect(literal.slice(1, -1).replaceAll("''", '')).not.toContain("'");
        expect(placeholdersOf(`select ${literal}`)).toEqual([]);
        expect(placeholdersOf(`select ${sqlLiteral(value, 'a literal', 'spark')}`, 'spark')).toEqual([]);
      }),
    );
  });
});
