import type pg from 'pg';
import { openAttempt } from '../../../activities/ledger/attempts';
import { installPools, takePermits, type PermitAnswer } from '../../../activities/ledger/pools';
import { claimRun, storePlan } from '../../../activities/ledger/runs';
import { migrate } from '../../../lib/migrate';
import { audit } from '../../../operator/audit';
import { poolsOf, setPool, showPool } from '../../../operator/pools';
import { loadProject } from '../../../operator/project';
import type { OperatorSession } from '../../../operator/session';
import type { Plan } from '../../../pipelines/types';
import { ForeignProject } from '../../support/foreign-project';
import { testDatabase, type TestDatabase } from '../../support/postgres';

const NOW = new Date('2026-01-02T00:00:00Z');
const config = (pools: string): string => `import { compute, daily, definePipeline, defineProject } from 'almanac';
const plays = definePipeline({
  id: 'plays', owner: 'tests', window: daily(), chain: 'independent', datasets: {},
  stages: { load: compute({ engine: 'none'${pools === '' ? '' : ", pool: { name: 'warehouse', permits: 3 }"} }) },
});
export default defineProject({ pipelines: [plays]${pools} });
`;
const DECLARED = config(', pools: { warehouse: 4 }');

let project: ForeignProject;
let database: TestDatabase;
let pool: pg.Pool;
let session: OperatorSession;
beforeEach(async () => {
  project = new ForeignProject({ 'almanac.config.ts': DECLARED });
  database = await testDatabase();
  pool = database.pool;
  await migrate(pool);
  await storePlan(pool, { hash: 'plan', pipeline: 'plays' } as Plan);
  await installPools(pool, { warehouse: 4 }, NOW);
  session = {
    ...{ database: pool, clock: { now: () => NOW }, config: { actor: 'ann' }, project: () => loadProject(project.directory) },
  } as unknown as OperatorSession;
});
afterEach(async () => {
  await database[Symbol.asyncDispose]();
  project[Symbol.dispose]();
});

const set = (permits: number, force = false): Promise<unknown> => setPool(session, 'warehouse', { permits, reason: 'it is slow', force });

/** A stage of a run on a plan that may be older than the project, which asks for permits. */
async function ask(window: string, permits: number): Promise<PermitAnswer['state']> {
  const run = { pipeline: 'plays', window, branch: 'main', generation: 1 };
  await claimRun(pool, {
    ...{
      run,
      claim: window,
      planHash: 'plan',
      pins: {},
      bootstrap: false,
      origin: false,
      matrix: {},
      verb: 'run',
      who: 'x',
      now: NOW,
      detail: {},
    },
  });
  const order = { run, claim: window, stage: 'load', kind: 'compute', epoch: 1, stageHash: 'h', worker: 'host:1', now: NOW } as const;
  const attempt = (await openAttempt(pool, order))?.attempt ?? 0;
  return (await takePermits(pool, { ...order, attempt, pool: { name: 'warehouse', permits } })).state;
}

test('a pool is not made smaller than declared stages and waiting ones need, unless forced; closing it lets them wait', async () => {
  await set(0);
  expect(await ask('2026-01-01', 4)).toBe('waiting');
  await expect(set(2)).rejects.toMatchObject({
    code: 'pool.too-small',
    message: 'with 2 permits pool warehouse would be too small for plays.load (3), plays/2026-01-01 load (4)',
    next: expect.stringContaining('--permits 4 is the least they need'),
    details: { stages: { 'plays.load': 3, 'plays/2026-01-01 load': 4 } },
  });
  await expect(set(3)).rejects.toMatchObject({ message: expect.stringMatching(/too small for plays\/2026-01-01 load \(4\)$/) });
  expect(await showPool(session, 'warehouse')).toMatchObject({ permits: 0 });
  expect(await set(2, true)).toMatchObject({ permits: 2, declared: 4, who: 'ann', reason: 'it is slow' });
  expect(await set(4)).toMatchObject({ permits: 4 });
});

test('a pool that the project has no longer serves those of older plans as before, and operators may still set it', async () => {
  expect([await ask('2026-01-01', 4), await ask('2026-01-02', 4)]).toEqual(['held', 'waiting']);
  project.write({ 'almanac.config.ts': config('') });
  expect(await poolsOf(session)).toMatchObject([{ name: 'warehouse', undeclared: true, permits: 4, out: 4, waiting: 1 }]);
  expect(await set(8)).toMatchObject({ undeclared: true, permits: 8, line: [{ run: { window: '2026-01-02' } }] });
  expect(await ask('2026-01-02', 4)).toBe('held');
  project.write({ 'almanac.config.ts': DECLARED });
  expect(await showPool(session, 'warehouse')).toMatchObject({ undeclared: false, permits: 8, line: [] });
});

test('every change of a pool is in the audit, with who, why and what it was before; audits of runs have none of it', async () => {
  await ask('2026-01-01', 1);
  await set(0);
  await setPool(session, 'warehouse', { permits: 4, reason: 'it is well', force: false });
  expect(await audit(session, { who: 'ann', limit: 10 })).toMatchObject([
    {
      ...{ verb: 'pool set', pool: 'warehouse', run: null, reason: 'it is well', at: NOW.toISOString(), state: 'done' },
      detail: { before: 0, permits: 4 },
    },
    { verb: 'pool set', reason: 'it is slow', detail: { before: 4, permits: 0 } },
  ]);
  const run = { pipeline: 'plays', window: '2026-01-01', branch: 'main' };
  expect(await audit(session, { run, limit: 10 })).toMatchObject([{ verb: 'run', pool: null, run: { ...run, generation: 1 } }]);
});
