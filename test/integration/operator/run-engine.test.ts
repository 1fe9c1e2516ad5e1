import { planReader } from '../../../activities/ledger/plans';
import { readRun } from '../../../activities/ledger/runs';
import { makeBackfill } from '../../../operator/backfills/plan';
import { startBackfill } from '../../../operator/backfills/verbs';
import { runAgain } from '../../../operator/runs/again';
import { retryRun, type RetryAnswer } from '../../../operator/runs/retry';
import { startRun, type RunAnswer } from '../../../operator/runs/start';
import type { EngineName, Plan } from '../../../pipelines/types';
import { ForeignProject, PLAYS } from '../../support/foreign-project';
import { operatorSession, type TestSession } from '../../support/operator-session';

const VARIANT = { 'pipelines/plays/sql/add.spark.sql': PLAYS['pipelines/plays/sql/add.sql'].replace('n)::bigint', 'n)') };

let project: ForeignProject;
let session: TestSession;
const address = { pipeline: 'plays', window: '2026-01-01', branch: 'main' };
const run = (engine?: EngineName): Promise<RunAnswer> => startRun(session, { pipeline: 'plays', window: '2026-01-01', engine });

async function planOf(generation: number): Promise<Plan> {
  const row = await readRun(session.database, { ...address, generation });
  if (row === undefined) throw new Error('the run is not there');
  return planReader(session.database)(row.planHash);
}

const hashes = ({ stages }: Plan): string[] => stages.map(({ hash }) => hash);
async function giveUp(): Promise<void> {
  await (await session.temporal()).workflow.getHandle('plays/2026-01-01').terminate();
  await session.database.query("update almanac.run set state = 'abandoned', ended_at = now() where ended_at is null");
}

beforeAll(async () => {
  project = new ForeignProject({ ...PLAYS, ...VARIANT });
  session = await operatorSession(project.directory);
});
afterAll(async () => {
  await session[Symbol.asyncDispose]();
  project[Symbol.dispose]();
});

test('the engine of a run is frozen into its plan and told in its matrix, with the text for Spark stored', async () => {
  expect(await run('spark')).toMatchObject({ did: 'started' });
  const plan = await planOf(1);
  expect(plan.engine).toBe('spark');
  expect((await readRun(session.database, { ...address, generation: 1 }))?.matrix).toMatchObject({ engine: 'spark' });
  const declared = (await session.project()).pipeline('plays').plan();
  expect(hashes(plan)).toEqual(hashes(declared));
  const { rows } = await session.database.query('select body from almanac.text where hash = $1', [
    plan.stages.find(({ id }) => id === 'add')?.sparkHash,
  ]);
  expect(rows).toEqual([{ body: VARIANT['pipelines/plays/sql/add.spark.sql'] }]);
});

test('another engine is named as not used: only a new generation takes it', async () => {
  expect(await run('duckdb')).toMatchObject({ run: { generation: 1 }, unusedEngine: 'duckdb' });
  for (const engine of ['spark', undefined] as const) expect(await run(engine)).not.toHaveProperty('unusedEngine');
});

test('a re-run keeps the engine, by either code and with other params, unless it is given another', async () => {
  await giveUp();
  const again = (code: 'same' | 'latest', engine?: EngineName, params = {}): Promise<RetryAnswer> =>
    runAgain(session, { address, code, engine, params, reason: 'test', dryRun: true });
  for (const code of ['same', 'latest'] as const) {
    expect((await again(code)).matrix).toMatchObject({ engine: 'spark', params: 'same' });
    expect((await again(code, undefined, { floor: 3 })).matrix).toMatchObject({ engine: 'spark', params: 'new', values: { floor: 3 } });
    expect((await again(code, 'duckdb')).matrix).toMatchObject({ engine: 'duckdb', params: 'same' });
  }
});

test('a retry on another engine freezes it and keeps the hashes of all stages', async () => {
  const before = await planOf(1);
  const answer = await retryRun(session, { address, stages: ['add'], code: 'same', engine: 'duckdb', reason: 'no EMR here' });
  expect(answer).toMatchObject({ run: { generation: 2 }, matrix: { engine: 'duckdb' }, codeDiffers: [] });
  const after = await planOf(2);
  expect(after.engine).toBe('duckdb');
  expect(hashes(after)).toEqual(hashes(before));
  expect(after.stages).toEqual(before.stages);
});

test('a backfill on an engine is another backfill of the same stages, and its next command says so', async () => {
  await giveUp();
  const request = { pipeline: 'plays', from: '2026-01-01', to: '2026-01-01', reprocess: 'all', fromStage: null, order: 'forward' } as const;
  const plain = await makeBackfill(session, request, 1);
  const spark = await makeBackfill(session, { ...request, engine: 'spark' }, 1);
  expect(spark.hash).not.toBe(plain.hash);
  expect(spark.plan.windows).toEqual(plain.plan.windows);
  expect((await planReader(session.database)(spark.plan.planHash)).engine).toBe('spark');
  expect((await makeBackfill(session, { ...request, engine: 'spark' }, 1)).hash).toBe(spark.hash);

  project.write({ 'pipelines/plays/sql/add.spark.sql': 'select 1' });
  await expect(startBackfill(session, spark.hash, 'go')).rejects.toMatchObject({
    code: 'backfill.drift',
    next: expect.stringContaining('--reprocess all --engine spark, look at it') as string,
  });
});
