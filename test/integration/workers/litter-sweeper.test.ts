import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createLocalStore } from '../../../activities/storage/local-store';
import { createLogger } from '../../../lib/log';
import { migrate } from '../../../lib/migrate';
import { sweepStore } from '../../../workers/litter-sweeper';
import { testDatabase } from '../../support/postgres';
import { until } from '../../support/until';

const log = createLogger({ logLevel: 'error' }, {});
const DAY_MS = 24 * 3_600_000;

test('a worker sweeps by itself what a killed writer left, and leaves what is young', async () => {
  await using database = await testDatabase();
  await migrate(database.pool);
  const root = mkdtempSync(path.join(os.tmpdir(), 'almanac-sweep-'));
  const scratch = path.join(root, 'scratch', 'stage-dead');
  const dead = path.join(scratch, 'part.parquet');
  const young = path.join(root, 'scratch', 'put-young');
  mkdirSync(scratch, { recursive: true });
  writeFileSync(dead, 'x');
  writeFileSync(young, 'x');
  const empty = path.join(root, 'scratch', 'stage-empty');
  mkdirSync(empty);
  const old = new Date(Date.now() - 2 * DAY_MS);
  utimesSync(empty, old, old);
  utimesSync(dead, old, old);
  let now = new Date();
  const stop = new AbortController();
  const sweeping = sweepStore({ store: createLocalStore(root), database: database.pool, clock: { now: () => now } }, log, stop.signal, 20);
  try {
    await until('the litter is marked', async () => (await database.pool.query('select from almanac.gc_mark')).rowCount === 1);
    expect(existsSync(dead)).toBe(true);
    now = new Date(now.getTime() + 2 * 3_600_000);
    await until('the litter is gone', () => !existsSync(dead));
    expect(existsSync(young)).toBe(true);
    expect(existsSync(scratch)).toBe(false);
    expect(existsSync(empty)).toBe(false);
  } finally {
    stop.abort();
    await sweeping;
    rmSync(root, { recursive: true, force: true });
  }
});
