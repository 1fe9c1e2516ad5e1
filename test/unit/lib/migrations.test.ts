import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { migrations, schemaMark, type Migration } from '../../../lib/migrations';

/** What the build before may not survive: it reads what is gone, writes what is refused, or leaves out what must be there. */
const DOUBTFUL: readonly RegExp[] = [
  /\bdrop\s+(table|column|constraint|view|function|trigger|schema|type|index|not\s+null|default)\b/i,
  /\brename\b/i,
  /\balter\s+column\s+\w+\s+(set\s+data\s+)?type\b/i,
  /\bset\s+not\s+null\b/i,
  /\badd\s+constraint\b/i,
  /\badd\s+column\s+(?!.*\bdefault\b)[^,;]*\bnot\s+null\b/i,
];

function unexplained({ sql, breaking }: Pick<Migration, 'sql' | 'breaking'>): string[] {
  if (breaking !== undefined || /^-- safe for the build before: \S/m.test(sql)) return [];
  const statements = sql.replace(/^\s*--.*$/gm, '');
  return DOUBTFUL.flatMap((pattern) => pattern.exec(statements)?.[0] ?? []);
}

test('a migration that takes away or narrows says whether the build before can go on beside it', () => {
  expect(migrations().flatMap((migration) => unexplained(migration).map((found) => `${migration.name}: ${found}`))).toEqual([]);
});

test.each([
  'alter table almanac.run drop column claim;',
  'drop table almanac.run;',
  'alter table almanac.run rename column claim to token;',
  'alter table almanac.run alter column claim type uuid using claim::uuid;',
  'alter table almanac.run alter column claim set data type uuid;',
  'alter table almanac.run alter column reason set not null;',
  "alter table almanac.run add constraint named check (who <> '');",
  'alter table almanac.run add column host text not null;',
])('the rule sees %s', (sql) => {
  expect(unexplained({ sql, breaking: undefined })).not.toEqual([]);
  expect(unexplained({ sql: `-- safe for the build before: nobody read it.\n${sql}`, breaking: undefined })).toEqual([]);
});

test.each([
  'create table almanac.x (a int primary key, b text not null);',
  'alter table almanac.run add column host text, add column hold int not null default 0;',
  'create index x on almanac.run (claim);',
])('the rule lets pass %s', (sql) => {
  expect(unexplained({ sql, breaking: undefined })).toEqual([]);
});

test('a migration says that it is breaking, and why, in a line of its file', () => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'almanac-migrations-'));
  try {
    writeFileSync(path.join(directory, '000001-a.sql'), 'create table a ();\n');
    writeFileSync(path.join(directory, '000002-b.sql'), '-- Tidy.\n-- breaking: the build before reads a.\ndrop table a;\n');
    writeFileSync(path.join(directory, 'README'), '');
    const found = migrations(directory);
    expect(found.map(({ name, breaking }) => [name, breaking])).toEqual([
      ['000001-a.sql', undefined],
      ['000002-b.sql', 'the build before reads a.'],
    ]);
    expect(schemaMark(found)).not.toBe(schemaMark(found.slice(1)));
    expect(schemaMark(found)).toBeLessThan(2 ** 31);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
