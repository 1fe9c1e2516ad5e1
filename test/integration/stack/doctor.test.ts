import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { doctor } from '../../../operator/stack/doctor';
import type { Finding } from '../../../operator/stack/finding';
import { testDatabase } from '../../support/postgres';
import { freePort } from '../../support/ports';
import { temporalAddress } from '../../support/temporal';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'almanac-doctor-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

async function examine(env: Record<string, string>, check: string): Promise<readonly Finding[]> {
  const findings = await doctor({ PATH: process.env.PATH, ...env }, directory);
  return findings.filter((finding) => finding.check === check);
}

test('a machine without a Temporal server and without Go is told what to install', async () => {
  const [finding] = await examine({ PATH: directory, XDG_CACHE_HOME: directory }, 'temporal');
  expect(finding).toMatchObject({ state: 'fail', next: expect.stringMatching(/Go on PATH.*TEMPORAL_ADDRESS/) });
});

test('a machine with Go is told how the server comes', async () => {
  const go = path.join(directory, 'go');
  writeFileSync(go, '#!/bin/sh\n', { mode: 0o755 });
  const [finding] = await examine({ PATH: directory, XDG_CACHE_HOME: directory }, 'temporal');
  expect(finding).toMatchObject({ state: 'warn', next: expect.stringContaining('Go') });
});

test('a data root that cannot be written to is named', async () => {
  const data = path.join(directory, 'data');
  expect(await examine({ ALMANAC_DATA: data }, 'data')).toMatchObject([{ state: 'ok' }]);
  mkdirSync(data);
  writeFileSync(path.join(data, 'scratch'), '');
  const [finding] = await examine({ ALMANAC_DATA: data }, 'data');
  expect(finding).toMatchObject({
    state: 'fail',
    message: expect.stringContaining(path.join(data, 'scratch')),
    next: expect.stringContaining('ALMANAC_DATA'),
  });
});

test('a wrong variable is named, and what does not depend on it is checked all the same', async () => {
  const findings = await doctor({ ALMANAC_TREADS: '2' }, directory);
  expect(findings.find(({ check }) => check === 'configuration')).toMatchObject({
    state: 'fail',
    message: expect.stringContaining('ALMANAC_TREADS'),
    next: expect.stringContaining('ALMANAC_THREADS'),
  });
  expect(findings.find(({ check }) => check === 'node')).toMatchObject({ state: 'ok', next: null });
});

test('more memory promised than there is is a warning', async () => {
  const [finding] = await examine({ ALMANAC_MEMORY: '1000GB' }, 'memory');
  expect(finding).toMatchObject({ state: 'warn', next: expect.stringContaining('ALMANAC_MEMORY') });
});

test('a database that calls a waiting flip a deadlock is refused, with the statement that mends it', async () => {
  await using database = await testDatabase();
  expect((await examine({ DATABASE_URL: database.url }, 'postgres')).map(({ state }) => state)).toEqual(['ok']);
  const name = new URL(database.url).pathname.slice(1);
  await database.pool.query(`alter database "${name}" set deadlock_timeout = '50ms'`);
  const findings = await examine({ DATABASE_URL: database.url }, 'postgres');
  expect(findings).toContainEqual(
    expect.objectContaining({
      state: 'fail',
      message: expect.stringContaining('deadlock_timeout is 50 ms'),
      next: expect.stringContaining('set deadlock_timeout'),
    }),
  );
});

test('a database that does not answer is named without its password', async () => {
  const [finding] = await examine({ DATABASE_URL: `postgres://u:secret-word@127.0.0.1:${await freePort()}/d` }, 'postgres');
  expect(finding).toMatchObject({ state: 'fail', next: expect.stringContaining('DATABASE_URL') });
  expect(JSON.stringify(finding)).not.toContain('secret-word');
});

test('an external cluster is reached, or named with what to check', async () => {
  expect(await examine({ TEMPORAL_ADDRESS: temporalAddress() }, 'temporal')).toEqual([expect.objectContaining({ state: 'ok' })]);
  const absent = await examine({ TEMPORAL_ADDRESS: temporalAddress(), TEMPORAL_NAMESPACE: 'not-there' }, 'temporal');
  expect(absent).toEqual([expect.objectContaining({ state: 'fail', next: expect.stringContaining('not-there') })]);
});

test('an external service that takes no connections is mended in the environment, not in a log there is none of', async () => {
  const port = await freePort();
  const findings = await doctor(
    { PATH: process.env.PATH, TEMPORAL_ADDRESS: `127.0.0.1:${port}`, DATABASE_URL: `postgres://u@127.0.0.1:${port}/d` },
    directory,
  );
  const of = (check: string): readonly (string | null)[] => findings.filter((finding) => finding.check === check).map(({ next }) => next);
  expect(of('temporal')).toEqual([expect.stringMatching(/^correct TEMPORAL_ADDRESS/)]);
  expect(of('postgres')).toEqual([expect.stringMatching(/^correct DATABASE_URL/)]);
  expect(findings.map(({ next }) => next ?? '').join()).not.toMatch(/almanac doctor|\.log/);
}, 30_000);

test('looking at a stack that never ran changes nothing', async () => {
  expect(await examine({}, 'stack')).toEqual([{ check: 'stack', state: 'ok', message: 'not running', next: null }]);
  expect(readdirSync(directory)).toEqual([]);
});
