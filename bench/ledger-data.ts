/** A large ledger by generated SQL, as ordered pipelines of eight stages would have left it: the real tables, in their real proportions. */
import type pg from 'pg';
import { storePlan, storeTexts } from '../activities/ledger/runs';
import { transaction } from '../lib/postgres';
import type { Project } from '../operator/project';
import type { Plan } from '../pipelines/types';
import { enumerate, parseWindow } from '../pipelines/window';

export interface LedgerSize {
  readonly pipelines: number;
  /** Daily windows of each, from 2017-01-01 on. */
  readonly windows: number;
}

export const FIRST_WINDOW = '2017-01-01';
/** One window of so many was run twice, to the same rows. */
const REBUILT_EACH = 100;
/** So many of the newest windows of the first pipeline were built on rows that are no longer current. */
export const STALE_WINDOWS = 30;

/** The last window of a size. */
export function lastWindow({ windows }: LedgerSize): string {
  return new Date(Date.parse(`${FIRST_WINDOW}T00:00:00Z`) + (windows - 1) * 86_400_000).toISOString().slice(0, 10);
}

/** Two ingests, four computes (one of them of state), a gate and a publication. */
export function projectText(pipelines: number): string {
  const one = (id: string): string => `definePipeline({
    id: '${id}', owner: 'bench', window: daily(), chain: 'ordered',
    datasets: {
      ${id}_a: { columns: { user_id: 'text', ts: 'timestamp' } }, ${id}_b: { columns: { user_id: 'text', ts: 'timestamp' } },
      ${id}_clean: { columns: { user_id: 'text' } }, ${id}_joined: { columns: { user_id: 'text' } },
      ${id}_state: { kind: 'state', columns: { user_id: 'text' }, key: ['user_id'] }, ${id}_report: { columns: { user_id: 'text' }, key: ['user_id'] },
    },
    stages: {
      readA: ingest({ landing: 'a', writes: '${id}_a', eventTime: 'ts' }), readB: ingest({ landing: 'b', writes: '${id}_b', eventTime: 'ts' }),
      clean: compute({ reads: { x: '${id}_a' }, sql: 'clean.sql', writes: '${id}_clean' }),
      join: compute({ reads: { x: '${id}_clean', y: '${id}_b' }, sql: 'join.sql', writes: '${id}_joined' }),
      state: compute({ reads: { x: '${id}_joined', before: previous('${id}_state') }, sql: 'state.sql', bootstrap: 'clean.sql', writes: '${id}_state' }),
      report: compute({ reads: { x: '${id}_state' }, sql: 'clean.sql', writes: '${id}_report' }),
      judge: check({ needs: ['report'], suite: { checks: [{ id: 'some', dataset: '${id}_report', measure: { metric: 'rows' }, fail: { min: 1 }, why: 'No row is no report.' }] } }),
      publish: publish({ needs: ['judge'], mode: 'newest', tables: { ${id}_table: { from: '${id}_report', key: ['user_id'] } } }),
    },
  })`;
  return `import { check, compute, daily, defineProject, definePipeline, ingest, previous, publish } from 'almanac';
export default defineProject({ pipelines: [${Array.from({ length: pipelines }, (_, index) => one(pipelineName(index))).join(',\n')}] });
`;
}

export function pipelineName(index: number): string {
  return `p${index}`;
}

/** The texts that every pipeline of the project has, by file name. */
export const TEXTS: Readonly<Record<string, string>> = {
  'clean.sql': 'select distinct user_id from x',
  'join.sql': 'select x.user_id from x join y using (user_id)',
  'state.sql': 'select user_id from x union select user_id from before',
};

/** Fills the ledger and the catalog; the tables must be empty. Tells of every pipeline that is done. */
export async function fillLedger(database: pg.Pool, project: Project, size: LedgerSize, done: (pipeline: string) => void): Promise<void> {
  for (const [id, pipeline] of project.pipelines) {
    const plan = pipeline.plan();
    await storeTexts(database, pipeline.texts);
    await storePlan(database, plan);
    await transaction(database, async (client) => {
      // The rows are consistent by construction; looking each one's run up again would take most of the time.
      await client.query('set local session_replication_role = replica');
      await client.query('set local synchronous_commit = off');
      await fillPipeline(client, id, plan, size, id === pipelineName(0));
    });
    done(id);
  }
  await database.query('analyze');
}

async function fillPipeline(client: pg.PoolClient, id: string, plan: Plan, size: LedgerSize, withStale: boolean): Promise<void> {
  const keys = enumerate(plan.window, parseWindow(plan.window, FIRST_WINDOW).key, lastWindow(size)).map(({ key }) => key);
  const changed = withStale ? keys.length - STALE_WINDOWS : 0;
  await client.query(
    `create temporary table made on commit drop as
     select key, n::int as n, g::int as g, '2017-01-02T02:30:00Z'::timestamptz + make_interval(days => n::int - 1, mins => 30 * (g - 1)) as at,
       (n % $2 = 0 or n = $3)::int + 1 as newest
     from unnest($1::text[]) with ordinality as k (key, n), generate_series(1, 2) as g where g = 1 or n % $2 = 0 or n = $3`,
    [keys, REBUILT_EACH, changed],
  );
  const stages = plan.stages.map((stage, index) => ({
    stage: stage.id,
    kind: stage.kind,
    hash: stage.hash,
    position: index,
    dataset: 'writes' in stage.spec ? (stage.spec.writes ?? null) : null,
  }));
  await client.query(
    `create temporary table staged on commit drop as
     select s.*, m.*, case when s.dataset is not null then 'v' || m.g || '-' || substr(md5(s.dataset || m.key || m.g), 1, 16) end as version,
       -- A second generation finds the same rows, but for the one that is to make others stale.
       case when s.dataset is not null then 'duckdb1-' || md5(s.dataset || m.key || case when m.n = $2 then m.g else 1 end) end as digest
     from jsonb_to_recordset($1::jsonb) as s (stage text, kind text, hash text, position int, dataset text), made m`,
    [JSON.stringify(stages), changed],
  );
  await client.query(
    `insert into almanac.run (pipeline, window_key, branch, generation, state, claim, plan_hash, pins, verb, who, claimed_at, started_at, changed_at, ended_at, history_path)
     select $1, key, 'main', g, 'succeeded', md5($1 || key || g), $2, '{}', case g when 1 then 'run' else 'run --again' end, 'bench', at, at, at + interval '4 minutes',
       at + interval '4 minutes', 'histories/' || key from made`,
    [id, plan.hash],
  );
  await client.query("update almanac.run set state = 'held', ended_at = null where pipeline = $1 and window_key = $2", [id, keys.at(-1)]);
  await client.query(
    `insert into almanac.attempt (pipeline, window_key, branch, generation, stage, attempt, epoch, kind, state, stage_hash, worker, output, started_at, ended_at)
     select $1, key, 'main', g, stage, 1, 1, kind, 'succeeded', hash, 'host:1',
       jsonb_build_object('versions', case when dataset is null then '[]' else jsonb_build_array(jsonb_build_object('dataset', dataset, 'window', key, 'version', version, 'digest', digest)) end,
         'rowsIn', 1000 + n, 'rowsOut', 900 + n, 'bytesIn', 100000 + n, 'bytesOut', 90000 + n),
       at + make_interval(secs => position * 30), at + make_interval(secs => position * 30 + 20 + n % 7) from staged`,
    [id],
  );
  await client.query(
    `insert into almanac.log_line (pipeline, window_key, branch, generation, stage, attempt, at, line)
     select $1, key, 'main', g, stage, 1, at + make_interval(secs => position * 30), 'rows in ' || 1000 + n || ', rows out ' || 900 + n from staged`,
    [id],
  );
  await client.query(
    `insert into almanac.action (pipeline, window_key, branch, generation, at, who, verb, detail)
     select $1, key, 'main', g, at, 'bench', case g when 1 then 'run' else 'run --again' end, '{}' from made`,
    [id],
  );
  await fillCatalog(client, id, changed);
}

async function fillCatalog(client: pg.PoolClient, id: string, changed: number): Promise<void> {
  await client.query(
    `insert into almanac.dataset_version (dataset, window_key, version, digest, pipeline, branch, generation, stage, stage_hash, rows, bytes, files, rows_in, bootstrap, written_at)
     select dataset, key, version, digest, $1, 'main', g, stage, hash, 900 + n, 90000 + n, 1, 1000 + n, false, at from staged where dataset is not null`,
    [id],
  );
  // What the plans of the project read: of the same generation, or what the window before accepted then.
  await client.query(
    `insert into almanac.version_input (dataset, window_key, version, input_dataset, input_window, input_version, input_digest)
     select w.dataset, w.key, w.version, r.dataset, r.key, r.version, r.digest
     from staged w
     join (values ('clean', 'readA', 0), ('join', 'clean', 0), ('join', 'readB', 0), ('state', 'join', 0), ('state', 'state', 1), ('report', 'state', 0)) as e (writer, read, back)
       on e.writer = w.stage
     join staged r on r.stage = e.read and r.n = w.n - e.back and r.g = case e.back when 0 then w.g else 1 end`,
  );
  await client.query(
    `insert into almanac.accepted_set (pipeline, branch, window_key, sequence, since, generation, gates, bootstrap, origin, tainted, accepted_at, run_branch, same_rows)
     select $1, 'main', key, g, g, g, '{}', false, n = 1, false, at, 'main', g = 2 and n <> $2 from made where g = newest`,
    [id, changed],
  );
  await client.query(
    `insert into almanac.accepted_version (pipeline, branch, window_key, dataset, version_window, version)
     select $1, 'main', key, dataset, key, version from staged where dataset is not null and g = newest`,
    [id],
  );
}
