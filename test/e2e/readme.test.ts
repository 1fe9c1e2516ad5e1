import { appendFileSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../../lib/package-root';
import type { RunRow } from '../../activities/ledger/runs';
import type { PublicationView } from '../../operator/publications';
import { EmbeddedStack } from '../support/embedded-stack';

jest.setTimeout(900_000);

const readme = readFileSync(path.join(packageRoot(), 'README.md'), 'utf8');
const contributing = readFileSync(path.join(packageRoot(), 'CONTRIBUTING.md'), 'utf8');
const DAYS = 40;

/** Command lines in the fenced blocks of a page, without their comments. */
function commands(page: string, tool: string): string[] {
  return [...page.matchAll(/^```\n([\s\S]*?)^```/gm)]
    .flatMap(([, block = '']) => block.split('\n'))
    .map((line) =>
      line
        .replace(/ # .*$/, '')
        .replace(/ {2,}#.*$/, '')
        .trim(),
    )
    .filter((line) => line.startsWith(tool));
}

/** Splits as a shell does where only double quotes are used. */
function words(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

let stack: EmbeddedStack;
let told: string;

beforeAll(async () => {
  stack = await EmbeddedStack.start();
  const { code, stdout, stderr } = await stack.run('demo', '--keep');
  told = stdout + stderr;
  if (code !== 0) throw new Error(`the demo ended with ${code}:\n${told}`);
});
afterAll(() => stack?.[Symbol.asyncDispose]());

test('the demo tells a line a day, and three products with the segments furthest from what is expected', () => {
  const lines = told.split('\n').filter((line) => /^2011-1[0-2]-\d\d {2}\d/.test(line));
  expect(lines).toHaveLength(DAYS);
  expect(lines.filter((line) => line.includes('idle day')).length).toBeGreaterThan(0);
  expect(told.match(/users were in a segment before/g)).toHaveLength(3);
  expect(told).toMatch(/\bover\b/);
  expect(told).toMatch(/\bunder\b/);
});

test('run again it computes nothing twice', async () => {
  // Histories are exported in the background.
  const runs = async (): Promise<unknown[]> =>
    (await stack.json<RunRow[]>('runs', '--limit', '100')).map(({ run, claim, state, endedAt }) => ({ run, claim, state, endedAt }));
  const before = await runs();
  const { code, stderr } = await stack.run('demo', '--keep');
  expect(code).toBe(0);
  expect(stderr.match(/accepted already/g)).toHaveLength(DAYS);
  expect(await runs()).toEqual(before);
});

test('every almanac command of the README ends with 0', async () => {
  const lines = commands(readme, 'npx almanac');
  expect(lines.length).toBeGreaterThan(12);
  const holding = [...readme.matchAll(/^(npx almanac .*?) +# holds/gm)].map(([, line = '']) => line);
  expect(holding).toHaveLength(1);
  for (const line of lines) {
    if (holding.includes(line)) expect((await stack.run(...words(line).slice(2))).code).toBe(10);
    else await stack.ok(...words(line).slice(2));
  }
});

test('a day whose file was replaced goes through again as its next generation, and a newer day stays live', async () => {
  appendFileSync(path.join(stack.data, 'landing/pixel-fires/dt=2011-11-03/part.csv'), '17850,1,2011-11-03T12:00:00\n');
  await stack.ok('retry', 'audience-index/2011-11-03', '--reason', 'file replaced', '--wait');
  const [mended] = await stack.json<RunRow[]>('runs', '--from', '2011-11-03', '--to', '2011-11-03');
  expect(mended).toMatchObject({ state: 'succeeded', run: { generation: 2 } });
  const live = await stack.json<PublicationView[]>('publish', 'list');
  expect(live.find(({ state }) => state === 'live')?.run.window).toBe('2011-12-09');
});

test('every npm script the pages name exists', () => {
  const { scripts } = JSON.parse(readFileSync(path.join(packageRoot(), 'package.json'), 'utf8')) as { scripts: Record<string, string> };
  const named = [
    ...commands(readme, 'npm'),
    ...commands(contributing, 'npm'),
    ...[...contributing.matchAll(/`(npm run [a-z:]+)`/g)].map(([, line = '']) => line),
  ];
  for (const line of named) expect(Object.keys(scripts)).toContain(line.replace(/^npm (run )?/, '').split(' ')[0]);
});
