import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../../lib/package-root';

const ROOT = packageRoot();

interface Case {
  readonly what: string;
  /** An existing file, so that typed rules know its project; its text is replaced by `code`. */
  readonly file: string;
  readonly code: string;
  /** The rule that must refuse; undefined when nothing may. */
  readonly rule?: string;
}

const WALL = '@typescript-eslint/no-restricted-imports';
const value = (from: string): string => `import { x } from '${from}';\nexport const y = x;\n`;
const type = (from: string): string => `import type { X } from '${from}';\nexport type Y = X;\n`;

const refused: readonly (Case & { readonly rule: string })[] = [
  { what: 'pipelines importing a package', file: 'pipelines/graph.ts', code: value('zod'), rule: WALL },
  { what: 'pipelines importing a builtin', file: 'pipelines/graph.ts', code: value('node:crypto'), rule: WALL },
  { what: 'pipelines importing luxon outside local-day.ts and calendar.ts', file: 'pipelines/plan.ts', code: value('luxon'), rule: WALL },
  { what: 'calendar.ts importing croner', file: 'pipelines/calendar.ts', code: value('croner'), rule: WALL },
  { what: 'cron-times.ts importing luxon', file: 'pipelines/cron-times.ts', code: value('luxon'), rule: WALL },
  { what: 'pipelines importing activities, if only a type', file: 'pipelines/graph.ts', code: type('../activities/stage'), rule: WALL },
  { what: 'pipelines importing lib', file: 'pipelines/graph.ts', code: value('../lib/clock'), rule: WALL },
  { what: 'a declaration importing lib', file: 'pipelines/audience-index/pipeline.ts', code: value('../../lib/clock'), rule: WALL },
  {
    what: 'pipelines importing dynamically',
    file: 'pipelines/graph.ts',
    code: "export const y = import('node:fs');\n",
    rule: 'no-restricted-syntax',
  },
  {
    what: 'pipelines reading the clock',
    file: 'pipelines/graph.ts',
    code: 'export const y = (): Date => new Date();\n',
    rule: 'no-restricted-syntax',
  },
  {
    what: 'workflows reading the clock',
    file: 'workflows/messages.ts',
    code: 'export const y = (): number => Date.now();\n',
    rule: 'no-restricted-syntax',
  },
  { what: 'workflows importing a value of activities', file: 'workflows/messages.ts', code: value('../activities/stage'), rule: WALL },
  { what: 'workflows importing lib', file: 'workflows/messages.ts', code: value('../lib/clock'), rule: WALL },
  { what: 'workflows importing a builtin', file: 'workflows/messages.ts', code: value('node:fs'), rule: WALL },
  { what: 'workflows importing zod', file: 'workflows/messages.ts', code: value('zod'), rule: WALL },
  { what: 'activities importing workflows', file: 'activities/stage.ts', code: value('../workflows/messages'), rule: WALL },
  { what: 'activities importing operator', file: 'activities/storage/manifest.ts', code: value('../../operator/project'), rule: WALL },
  { what: 'workers importing operator', file: 'workers/worker.ts', code: value('../operator/project'), rule: WALL },
  { what: 'operator importing cli', file: 'operator/project.ts', code: type('../cli/io'), rule: WALL },
  { what: 'cli importing a value of activities', file: 'cli/io.ts', code: value('../activities/stage'), rule: WALL },
  { what: 'lib importing activities', file: 'lib/clock.ts', code: value('../activities/stage'), rule: WALL },
  { what: 'lib importing more of pipelines than failures', file: 'lib/clock.ts', code: value('../pipelines/window'), rule: WALL },
  {
    what: 'a cycle',
    file: 'pipelines/failures.ts',
    code: "import { isTimezone } from './window';\nexport const y = isTimezone;\n",
    rule: 'import-x/no-cycle',
  },
  { what: 'a star export', file: 'lib/clock.ts', code: "export * from './package-root';\n", rule: 'no-restricted-syntax' },
  { what: 'a default export', file: 'lib/clock.ts', code: 'export default 1;\n', rule: 'import-x/no-default-export' },
  {
    what: 'a promise left alone',
    file: 'lib/clock.ts',
    code: 'export function y(): void {\n  Promise.resolve(1);\n}\n',
    rule: '@typescript-eslint/no-floating-promises',
  },
  {
    what: 'a type imported as a value',
    file: 'lib/clock.ts',
    code: "import { Pool } from 'pg';\nexport type Y = Pool;\n",
    rule: '@typescript-eslint/consistent-type-imports',
  },
  { what: 'an equality that converts', file: 'lib/clock.ts', code: 'export const y = (a: unknown): boolean => a == 1;\n', rule: 'eqeqeq' },
  {
    what: 'a rule switched off by a comment',
    file: 'lib/clock.ts',
    code: '// eslint-disable-next-line eqeqeq\nexport const y = (a: unknown): boolean => a == 1;\n',
    rule: 'eqeqeq',
  },
  { what: 'an any', file: 'lib/clock.ts', code: 'export const y = (a: any): unknown => a;\n', rule: '@typescript-eslint/no-explicit-any' },
  { what: 'a file of 401 lines', file: 'lib/clock.ts', code: 'export const y = 1;\n'.repeat(1) + '//\n'.repeat(400), rule: 'max-lines' },
  { what: 'a test of 601 lines', file: 'test/support/ports.ts', code: 'export const y = 1;\n' + '//\n'.repeat(600), rule: 'max-lines' },
];

const allowed: readonly Case[] = [
  { what: 'luxon in local-day.ts', file: 'pipelines/local-day.ts', code: value('luxon') },
  { what: 'croner in cron-times.ts', file: 'pipelines/cron-times.ts', code: value('croner') },
  { what: 'pipelines importing itself', file: 'pipelines/audience-index/pipeline.ts', code: value('../define') },
  { what: 'a date made of a number', file: 'pipelines/graph.ts', code: 'export const y = new Date(0);\n' },
  { what: 'workflows importing types of activities', file: 'workflows/messages.ts', code: type('../activities/stage') },
  { what: 'workflows importing pipelines', file: 'workflows/messages.ts', code: value('../pipelines/window') },
  { what: 'lib importing failures', file: 'lib/clock.ts', code: value('../pipelines/failures') },
  { what: 'operator importing activities', file: 'operator/project.ts', code: value('../activities/stage') },
  { what: 'cli importing types of activities', file: 'cli/io.ts', code: type('../activities/stage') },
  { what: 'the clock in lib/clock.ts', file: 'lib/clock.ts', code: 'export const y = (): Date => new Date();\n' },
  { what: 'a default export of a project', file: 'almanac.config.ts', code: 'export default 1;\n' },
  { what: 'a test of 600 lines', file: 'test/support/ports.ts', code: 'export const y = 1;\n' + '//\n'.repeat(599) },
];

/** ESLint's config is a module jest cannot load, so one process of its own lints all snippets. */
const LINT = `
import { ESLint } from 'eslint';
let input = '';
for await (const chunk of process.stdin) input += chunk;
const eslint = new ESLint();
const results = [];
for (const { file, code } of JSON.parse(input)) {
  const [{ messages }] = await eslint.lintText(code, { filePath: file });
  results.push(messages.map(({ ruleId, message }) => ruleId ?? message));
}
console.log(JSON.stringify(results));
`;

async function lint(cases: readonly Case[]): Promise<string[][]> {
  const run = promisify(execFile)(process.execPath, ['--input-type=module', '--eval', LINT], { cwd: ROOT, maxBuffer: 2 ** 24 });
  run.child.stdin?.end(JSON.stringify(cases.map(({ file, code }) => ({ file: path.join(ROOT, file), code }))));
  return JSON.parse((await run).stdout) as string[][];
}

describe('lint', () => {
  let found: ReadonlyMap<Case, string[]>;
  beforeAll(async () => {
    const cases = [...refused, ...allowed];
    const results = await lint(cases);
    found = new Map(cases.map((one, at) => [one, results[at] ?? []]));
  }, 120_000);

  it.each(refused.map((one) => [one.what, one] as const))('refuses %s', (_what, one) => {
    expect(found.get(one)).toContain(one.rule);
  });

  it.each(allowed.map((one) => [one.what, one] as const))('allows %s', (_what, one) => {
    expect(found.get(one)).toEqual([]);
  });
});
