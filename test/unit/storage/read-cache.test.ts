import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createReadCache, folderOfThisBoot } from '../../../activities/storage/read-cache';
import { sha256 } from '../../../lib/sha256';

const LONG_AGO = new Date(Date.now() - 3_600_000);

let root: string;
let files = 0;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'almanac-cache-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function file(body: string): { name: string; hash: string } {
  const name = path.join(root, `file-${++files}`);
  writeFileSync(name, body);
  return { name, hash: sha256(body) };
}

function target(): string {
  return path.join(root, `taken-${++files}`);
}

function kept(): string[] {
  return readdirSync(path.join(root, 'cache'), { recursive: true, encoding: 'utf8' }).filter((name) => name.includes(path.sep));
}

test('gives what was kept under its hash, and knows nothing else', async () => {
  const cache = createReadCache(path.join(root, 'cache'), 1000);
  const { name, hash } = file('rows');
  const taken = target();
  expect(await cache.take(hash, taken)).toBe(false);
  await cache.keep(hash, name);
  await cache.keep(hash, name);
  expect(await cache.take(hash, taken)).toBe(true);
  expect(readFileSync(taken, 'utf8')).toBe('rows');
});

test('evicts what was used longest ago, and nothing that somebody holds loses its bytes', async () => {
  const cache = createReadCache(path.join(root, 'cache'), 250);
  const [old, used, fresh] = ['a', 'b', 'c'].map((letter) => file(letter.repeat(100)));
  if (!old || !used || !fresh) throw new Error('there are three');
  for (const { name, hash } of [old, used]) {
    await cache.keep(hash, name);
    utimesSync(name, LONG_AGO, LONG_AGO);
  }
  await cache.take(used.hash, target());
  const held = target();
  await cache.take(old.hash, held);
  utimesSync(held, LONG_AGO, LONG_AGO);
  await cache.keep(fresh.hash, fresh.name);
  expect(
    kept()
      .map((name) => path.basename(name))
      .sort(),
  ).toEqual([used.hash, fresh.hash].sort());
  expect(readFileSync(held, 'utf8')).toBe('a'.repeat(100));
});

test('what was kept before the machine last started is not trusted', () => {
  const folder = path.join(root, 'cache');
  const ours = folderOfThisBoot(folder);
  writeFileSync(path.join(ours, 'kept'), 'x');
  mkdirSync(path.join(folder, 'an-earlier-boot', 'ab'), { recursive: true });
  expect(folderOfThisBoot(folder)).toBe(ours);
  expect(readdirSync(folder)).toEqual([path.basename(ours)]);
  expect(readdirSync(ours)).toEqual(['kept']);
});

test('keeps nothing that is larger than all it may hold', async () => {
  const cache = createReadCache(path.join(root, 'cache'), 50);
  const { name, hash } = file('x'.repeat(100));
  await cache.keep(hash, name);
  expect(await cache.take(hash, target())).toBe(false);
});

test('two that share the folder, many at once, stay near the limit', async () => {
  const caches = [1, 2].map(() => createReadCache(path.join(root, 'cache'), 1000));
  const all = Array.from({ length: 200 }, (_, n) => file(`${n}`.padEnd(50, 'x')));
  await Promise.all(
    all.map(async ({ name, hash }, n) => {
      await caches[n % 2]?.keep(hash, name);
    }),
  );
  for (const cache of caches) {
    const { name, hash } = file(`${files}`.padEnd(1000, 'y'));
    await cache.keep(hash, name);
  }
  expect(kept().length).toBeLessThanOrEqual(20);
});

test('what was spoiled since another process kept it is found by its hash, and goes', async () => {
  const [{ name, hash }, whole] = [file('rows'), file('rows')];
  await createReadCache(path.join(root, 'cache'), 1000).keep(hash, name);
  writeFileSync(name, 'spoilt');
  const cache = createReadCache(path.join(root, 'cache'), 1000);
  const taken = target();
  expect(await cache.take(hash, taken)).toBe(false);
  expect([existsSync(taken), kept()]).toEqual([false, []]);
  await cache.keep(hash, whole.name);
  expect(await cache.take(hash, taken)).toBe(true);
});

test('tells what was taken and what made room', async () => {
  const told: [string, number][] = [];
  const tell = (what: string) => (bytes: number) => void told.push([what, bytes]);
  const observer = { taken: tell('taken'), fetched: tell('fetched'), evicted: tell('evicted') };
  const cache = createReadCache(path.join(root, 'cache'), 250, observer);
  const [old, fresh, newest] = ['a', 'b', 'c'].map((letter) => file(letter.repeat(100)));
  if (!old || !fresh || !newest) throw new Error('there are three');
  await cache.keep(old.hash, old.name);
  utimesSync(old.name, LONG_AGO, LONG_AGO);
  await cache.keep(fresh.hash, fresh.name);
  await cache.take(fresh.hash, target());
  await cache.keep(newest.hash, newest.name);
  expect(told).toEqual([
    ['taken', 100],
    ['evicted', 100],
  ]);
});
