import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { createIo } from '../../../cli/io';
import { createProgram } from '../../../cli/main';
import { packageRoot } from '../../../lib/package-root';

const root = packageRoot();
const page = readFileSync(path.join(root, 'docs', 'deploying.md'), 'utf8');

const streams = { stdout: { write: () => undefined }, stderr: { write: () => undefined } };
const io = createIo({ streams, json: () => false, projectDirectory: () => '.', openSession: () => Promise.reject(new Error('unused')) });
const program = createProgram(io, streams);

/** Lines that one types, of the blocks without a language. */
const lines = [...page.matchAll(/^```(\w*)\n([\s\S]*?)^```/gm)]
  .filter(([, language]) => language === '')
  .flatMap(([, , block = '']) => block.split('\n').filter((line) => line !== ''));

/** Splits as a shell does where only double quotes are used. */
function words(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

/** What is wrong with a command line of ours; undefined: nothing. It is not run. */
function problem(line: string): string | undefined {
  const rest = words(line.replace(/^npx /, '')).slice(1);
  let command: Command = program;
  while (rest.length > 0) {
    const next = command.commands.find((known) => known.name() === rest[0]);
    if (next === undefined) break;
    command = next;
    rest.shift();
  }
  if (command === program || command.commands.length > 0) return `no such command: ${rest[0]}`;
  const { operands, unknown } = command.parseOptions(rest);
  if (unknown.length > 0) return `no such option: ${unknown.join(' ')}`;
  const required = command.registeredArguments.filter((argument) => argument.required).length;
  if (operands.length < required || operands.length > command.registeredArguments.length) return `${operands.length} arguments`;
  return undefined;
}

test('every almanac command of the page exists, with its options and as many arguments', () => {
  const ours = lines.filter((line) => /^(npx )?almanac /.test(line));
  expect(ours.length).toBeGreaterThan(8);
  expect(ours.map((line) => [line, problem(line)])).toEqual(ours.map((line) => [line, undefined]));
});

test('a command, an option or an argument that does not exist would be found', () => {
  expect(problem('npx almanac schedule aply')).toBe('no such command: aply');
  expect(problem('npx almanac schedule apply --dryrun')).toBe('no such option: --dryrun');
  expect(problem('npx almanac schedule preview')).toBe('0 arguments');
});

test('the page names every setting of infra/, and no other', () => {
  const [, names = ''] =
    /const NAMES: readonly string\[\] = \[([^\]]*)\]/.exec(readFileSync(path.join(root, 'infra/lib/settings.ts'), 'utf8')) ?? [];
  const known = [...names.matchAll(/'(\w+)'/g)].map(([, name]) => name);
  const table = page.slice(page.indexOf('| Setting |'), page.indexOf('All but the workers'));
  const told = [...table.matchAll(/^\| (`[^|]*) \|/gm)].flatMap(([, cell = '']) => [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name));
  expect(known.length).toBeGreaterThan(10);
  expect(told.sort()).toEqual(known.sort());
  for (const [, name] of page.matchAll(/almanac:(\w+)/g)) expect(known).toContain(name);
});

test('every file, folder and script that the page names is there', () => {
  const files = [...page.matchAll(/`(infra\/[\w/.-]+)`|(?:--file|node) ((?:infra|bin)\/[\w/.-]+)/g)].map(
    ([, named, used]) => named ?? used ?? '',
  );
  expect(files.length).toBeGreaterThan(2);
  // One's own settings are not part of the project.
  for (const file of files.filter((named) => !named.endsWith('cdk.context.json')))
    expect([file, existsSync(path.join(root, file))]).toEqual([file, true]);
  const { scripts } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
  for (const [, script = ''] of page.matchAll(/npm run ([\w:]+)/g)) expect(scripts).toHaveProperty([script]);
});
