import { runCli } from '../../../cli/main';

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

test('an epoch that is no number is refused before any service is asked', async () => {
  const { code, err } = await run('retry', 'p/2026-01-01', '--reason', 'mended', '--expect', 'two');
  expect(code).toBe(11);
  expect(err).toMatch(/^error run.usage: --expect "two" is not a whole number\nnext: /);
});
