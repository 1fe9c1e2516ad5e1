import {
  backfillWindows,
  beginWindow,
  changeBackfill,
  resumeWindows,
  storeBackfill,
  type BackfillChange,
} from '../../../activities/ledger/backfills';
import { claimRun, storePlan } from '../../../activities/ledger/runs';
import { migrate } from '../../../lib/migrate';
import type { BackfillPlan } from '../../../pipelines/backfill-plan';
import type { Plan } from '../../../pipelines/types';
import { testDatabase } from '../../support/postgres';

const at = new Date('2026-01-10T12:00:00Z');
const window = '2026-01-09';
const hash = 'abc';
const plan = { planHash: 'h', windows: [{ window, after: 0, stages: [], carried: [] }] } as unknown as BackfillPlan;
const change = (to: BackfillChange['to'], ...from: BackfillChange['from']): BackfillChange => ({
  ...{ hash, from, to, who: 'x', verb: to === 'running' ? 'resume' : to, reason: 'x' },
});

test('of two who resume, the one that comes too late takes back no window that runs again', async () => {
  await using database = await testDatabase();
  const { pool } = database;
  await migrate(pool);
  await storePlan(pool, { hash: 'h', pipeline: 'plays', stages: [] } as unknown as Plan);
  await storeBackfill(pool, { hash, pipeline: 'plays', plan, concurrency: 1, who: 'x' }, at);
  const claim = (generation: number): Promise<boolean> =>
    claimRun(pool, {
      ...{ run: { pipeline: 'plays', window, branch: 'main', generation }, claim: `c${generation}`, planHash: 'h', pins: {} },
      ...{ bootstrap: false, origin: false, pinsTainted: false, matrix: {}, verb: 'backfill', who: 'x', reason: undefined, now: at },
    });
  await changeBackfill(pool, change('running', 'planned'), at);
  await beginWindow(pool, hash, window, at);
  await claim(1);
  await pool.query("update almanac.run set state = 'cancelled', ended_at = $1", [at]);
  await changeBackfill(pool, change('halted', 'running'), at);

  const seen = await backfillWindows(pool, hash);
  expect(await resumeWindows(pool, change('running', 'halted'), seen, at)).toBe(true);
  expect(await backfillWindows(pool, hash)).toMatchObject([{ after: 1, begunAt: null, run: null }]);
  await beginWindow(pool, hash, window, at);
  await claim(2);

  // What it runs is stopped by a cancel only as long as it is known to have begun it.
  expect(await resumeWindows(pool, change('running', 'halted'), seen, at)).toBe(false);
  expect(await backfillWindows(pool, hash)).toMatchObject([{ after: 1, begunAt: at.toISOString(), run: { generation: 2 } }]);
});
