import type { Command } from 'commander';
import { createIo } from '../../../cli/io';
import { createProgram, runCli } from '../../../cli/main';

async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const code = await runCli(argv, {
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
  });
  return { code, out, err };
}

test('--help explains by example and ends 0', async () => {
  const { code, out } = await run('--help');
  expect(code).toBe(0);
  expect(out).toContain('Examples:');
});

function leaves(command: Command, path: readonly string[] = []): [string, Command][] {
  if (command.commands.length === 0) return [[path.join(' '), command]];
  return command.commands.flatMap((child) => leaves(child, [...path, child.name()]));
}

function groups(command: Command, path: readonly string[] = []): string[] {
  const inner = command.commands.filter((child) => child.commands.length > 0);
  return inner.flatMap((child) => [[...path, child.name()].join(' '), ...groups(child, [...path, child.name()])]);
}

const streams = { stdout: { write: () => undefined }, stderr: { write: () => undefined } };
const io = createIo({ streams, json: () => false, projectDirectory: () => '.', openSession: () => Promise.reject(new Error('unused')) });

test.each(leaves(createProgram(io, streams)))(
  'almanac %s --help says what each option does, and shows an example',
  async (name, command) => {
    expect(command.description()).not.toBe('');
    expect(command.options.filter(({ description }) => description === '').map(({ flags }) => flags)).toEqual([]);
    const { code, out } = await run(...name.split(' '), '--help');
    expect(code).toBe(0);
    expect(out).toMatch(/Examples?:\n {2}(\w+=\S+ )*almanac /);
  },
);

test.each(groups(createProgram(io, streams)))('almanac %s --help shows an example', async (name) => {
  const { code, out } = await run(...name.split(' '), '--help');
  expect(code).toBe(0);
  expect(out).toMatch(new RegExp(`Examples?:\\n  almanac ${name} `));
});

test.each(['--version', '-V'])('almanac %s is the version of the package', async (option) => {
  expect(await run(option)).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
});

test.each(['show', 'why', 'logs'])('almanac %s --help says how a run is named', async (verb) => {
  expect((await run(verb, '--help')).out).toContain('PIPELINE/WINDOW#N');
});

test('an unknown verb is a usage error: exit 2, one line what is wrong, one line what to do', async () => {
  const { code, out, err } = await run('hlep');
  expect(code).toBe(2);
  expect(out).toBe('');
  expect(err).toMatch(/^error usage: unknown command 'hlep'\n[^]*next: almanac --help\n$/);
});

test('with --json a usage error is JSON on stdout', async () => {
  const { code, out, err } = await run('nothing-like-it', '--json');
  expect(code).toBe(2);
  expect(err).toBe('');
  expect(JSON.parse(out)).toMatchObject({ error: { code: 'usage', next: 'almanac --help' } });
});

test.each([
  [['runs', '--limit', 'many'], '--limit "many" is not a whole number from 1', '--limit 10'],
  [['runs', '--limit', '0'], '--limit "0" is not a whole number from 1', '--limit 10'],
  [['run', 'p', '--window', '2026-01-01', '--patience', '1h'], '--patience "1h" is not a whole number from 0 to 8640000', '--patience 10'],
  [['run', 'p', '--window', '2026-01-01', '--patience', '9000000'], '--patience "9000000" is not a whole number', '--patience 10'],
  [['publish', 'list', '--limit', '-1'], '--limit "-1" is not a whole number from 1', '--limit 10'],
  [
    ['publish', 'restore', 'x', '--reason', 'r'],
    'the publication "x" is not a whole number from 1',
    'almanac publish list shows the numbers',
  ],
] as const)('%j is refused before any service is asked', async (argv, message, next) => {
  const { code, out } = await run(...argv, '--json');
  expect(code).toBe(11);
  expect(JSON.parse(out)).toMatchObject({
    error: { code: 'run.usage', message: expect.stringContaining(message), next: expect.stringContaining(next) },
  });
});

test('an epoch that is no number is refused before any service is asked', async () => {
  const { code, err } = await run('retry', 'p/2026-01-01', '--reason', 'mended', '--expect', 'two');
  expect(code).toBe(11);
  expect(err).toMatch(/^error run.usage: --expect "two" is not a whole number\nnext: /);
});

test('a look before a deploy leaves the control schema as it is; every other verb brings it up to its build', async () => {
  const opened: (boolean | undefined)[] = [];
  const openSession = (_directory: string, how?: { unmigrated?: boolean }): Promise<never> => {
    opened.push(how?.unmigrated);
    return Promise.reject(new Error('unused'));
  };
  for (const verb of ['deploy-check', 'runs']) {
    const program = createProgram(createIo({ streams, json: () => false, projectDirectory: () => '.', openSession }), streams);
    await expect(program.parseAsync([verb], { from: 'user' })).rejects.toThrow('unused');
  }
  expect(opened).toEqual([true, undefined]);
});
