import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { runKey } from '../../../activities/ledger/runs';
import { reproduceStage } from '../../../operator/runs/reproduce';
import { startRun } from '../../../operator/runs/start';
import type { StageOutput, VersionRef } from '../../../pipelines/types';
import { ForeignProject, PLAYS } from '../../support/foreign-project';
import { operatorSession } from '../../support/operator-session';

test.each<[StageOutput['engine'], string | undefined]>([
  ['spark', '-- computed on Spark by add.spark.sql; here DuckDB runs add.sql'],
  [undefined, undefined],
])('a version that %s made is reproduced by the text of DuckDB, which says whose rows it comes to', async (engine, fact) => {
  using project = new ForeignProject({
    ...PLAYS,
    'pipelines/plays/sql/add.spark.sql': 'select `user_id`, 1 as plays, 0.5 as share from added',
  });
  await using session = await operatorSession(project.directory);
  const { run } = await startRun(session, { pipeline: 'plays', window: '2026-01-01' });
  const file = path.join(await session.store.scratch(), 'x');
  writeFileSync(file, 'rows');
  const { version } = await session.datasets.commit({
    dataset: 'plays',
    window: run.window,
    key: 't1',
    digest: 'd1',
    columns: [{ name: 'user_id', type: 'text' }],
    files: [{ file, rows: 1 }],
    rowsIn: 1,
    provenance: { run, stage: 'read', attempt: 1, stageHash: 'h', inputs: [] },
  });
  const note = async (stage: string, kind: string, written: VersionRef, more: Partial<StageOutput>): Promise<void> => {
    const output = { versions: [written], rowsIn: 1, rowsOut: 1, bytesIn: 1, bytesOut: 1, ...more };
    await session.database.query(
      `insert into almanac.attempt (pipeline, window_key, branch, generation, stage, attempt, epoch, kind, state, stage_hash, output, started_at, ended_at)
       values ($1, $2, $3, $4, $5, 1, 1, $6, 'succeeded', 'h', $7, now(), now())`,
      [...runKey(run), stage, kind, JSON.stringify(output)],
    );
  };
  await note('read', 'ingest', { dataset: 'plays', window: run.window, version, digest: 'd1' }, {});
  await note(
    'add',
    'compute',
    { dataset: 'totals', window: run.window, version: 'v', digest: 'd2' },
    engine === undefined ? {} : { engine },
  );

  const reproduction = (await reproduceStage(session, run, 'add')).over((objectPath) => `/store/${objectPath}`);
  expect(reproduction).toMatchObject({ engine: engine ?? 'duckdb', digest: 'd2', dataset: 'totals' });
  expect(reproduction.script).toContain('sum(n)::bigint');
  expect(reproduction.script).not.toContain('`user_id`');
  expect(reproduction.script.split('\n').find((line) => line.startsWith('-- computed on'))).toBe(fact);
});
