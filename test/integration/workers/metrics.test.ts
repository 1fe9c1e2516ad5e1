import { createServer, type Server } from 'node:http';
import { createServer as createSocketServer, type AddressInfo } from 'node:net';
import { Registry } from 'prom-client';
import { publishStage } from '../../../activities/publish/publish-stage';
import { claimRun, storePlan } from '../../../activities/ledger/runs';
import { migrate } from '../../../lib/migrate';
import { FAILURE_CLASSES } from '../../../pipelines/failures';
import type { Plan, RunRef } from '../../../pipelines/types';
import { LedgerGauges } from '../../../workers/ledger-gauges';
import { StageMetrics } from '../../../workers/metrics';
import { SdkMetrics } from '../../../workers/metrics-sdk';
import { serveMetrics, type MetricsSources } from '../../../workers/metrics-server';
import { parseExposition, sampleOf, samplesOf, type Family } from '../../support/exposition';
import { freePort } from '../../support/ports';
import { testDatabase, type TestDatabase } from '../../support/postgres';
import { createPublishing, day, stampedRows } from '../../support/publishing';
import { until } from '../../support/until';

const ANY_PORT = { host: '127.0.0.1', port: 0 };
type Families = ReadonlyMap<string, Family>;

async function scrape(address: string): Promise<Families> {
  const response = await fetch(`http://${address}/metrics`);
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
  return parseExposition(await response.text());
}

async function scrapeOnce(sources: MetricsSources): Promise<Families> {
  await using server = await serveMetrics(sources, ANY_PORT);
  return await scrape(server.address);
}

describe('what the ledger says', () => {
  let database: TestDatabase;
  let failures: unknown[];
  const NOW = new Date('2026-01-10T00:00:00Z');

  beforeEach(async () => {
    database = await testDatabase();
    await migrate(database.pool);
    failures = [];
  });
  afterEach(() => database[Symbol.asyncDispose]());

  function gauges(databaseUrl = database.url, now = NOW): LedgerGauges {
    return new LedgerGauges({ databaseUrl, clock: { now: () => now }, failed: (error) => failures.push(error) });
  }

  async function figures(now = NOW): Promise<Families> {
    await using ledger = gauges(database.url, now);
    return await scrapeOnce({ registry: ledger.registry, refresh: () => ledger.refresh() });
  }

  async function claim(window: string, state: string, more: { failure?: unknown; at?: string; pipeline?: string } = {}): Promise<void> {
    const pipeline = more.pipeline ?? 'plays';
    const run: RunRef = { pipeline, window, branch: 'main', generation: 1 };
    await storePlan(database.pool, { hash: `plan-${pipeline}`, pipeline } as Plan);
    const at = new Date(more.at ?? '2026-01-09T00:00:00Z');
    await claimRun(database.pool, {
      ...{ run, claim: `${pipeline}-${window}`, planHash: `plan-${pipeline}`, pins: {}, bootstrap: false, origin: false, matrix: {} },
      ...{ verb: 'run', who: 'test', now: at },
    });
    await database.pool.query('update almanac.run set state = $3, failure = $4 where pipeline = $1 and window_key = $2', [
      ...[pipeline, window, state],
      more.failure === undefined ? null : JSON.stringify(more.failure),
    ]);
  }

  test('jobs and clusters of EMR are told of while they are not over', async () => {
    await claim('2026-01-08', 'running');
    const key = `'plays', '2026-01-08', 'main', 1`;
    await database.pool.query(
      `insert into almanac.effect (pipeline, window_key, branch, generation, stage, round, candidate, epoch, attempt, name, state, intent_at, ended_at)
       values (${key}, 'add', 1, 'c', 1, 1, 'n1', 'failed', now(), now()), (${key}, 'add', 2, 'c', 1, 1, 'n2', 'running', now(), null)`,
    );
    await database.pool.query(
      `insert into almanac.emr_cluster (pipeline, window_key, branch, generation, number, name, intent_at, ended_at)
       values (${key}, 1, 'c1', now(), now()), (${key}, 2, 'c2', now(), null)`,
    );
    const families = await figures();
    expect(samplesOf(families, 'almanac_emr_steps')).toEqual([
      { name: 'almanac_emr_steps', labels: { pipeline: 'plays', state: 'running' }, value: 1 },
    ]);
    expect(sampleOf(families, 'almanac_emr_clusters', { pipeline: 'plays' }).value).toBe(1);
  });

  test('a ledger without runs has no pipelines and is up', async () => {
    const families = await figures();
    expect(sampleOf(families, 'almanac_ledger_up').value).toBe(1);
    expect([...families.values()].filter(({ samples }) => samples.length > 0).map(({ name }) => name)).toEqual(['almanac_ledger_up']);
  });

  test('each check has its newest status and the value of the newest accepted window; what tells of a person has none', async () => {
    await claim('2026-01-08', 'succeeded');
    const result = async (window: string, generation: number, stage: string, check: string, status: string, observed: number | null) =>
      database.pool.query(
        `insert into almanac.check_result (pipeline, window_key, branch, generation, stage, attempt, check_id, dataset, status, observed, method, message, judged_at)
         values ('plays', $1, 'main', $2, $3, 1, $4, 'totals', $5, $6, 'band', 'm', $7)`,
        [window, generation, stage, check, status, observed, NOW],
      );
    await result('2026-01-07', 1, 'judge', 'dropped', 'PASS', 1);
    await result('2026-01-08', 1, 'judge', 'few', 'FAIL', 7);
    await result('2026-01-08', 2, 'judge', 'few', 'PASS', 3);
    await result('2026-01-08', 2, 'judge', 'age', 'PASS', null);
    await result('2026-01-08', 2, 'last', 'sums', 'WARN', 0.5);
    await result('2026-01-09', 1, 'judge', 'few', 'FAIL', 9);
    await database.pool.query(
      `insert into almanac.accepted_set (pipeline, branch, window_key, sequence, since, generation, gates, bootstrap, origin, tainted, accepted_at, run_branch)
       values ('plays', 'main', '2026-01-08', 1, 1, 2, '{}', false, false, false, $1, 'main')`,
      [NOW],
    );
    const families = await figures();
    const current = samplesOf(families, 'almanac_check_status').filter(({ value }) => value === 1);
    expect(current.map(({ labels }) => `${labels.stage} ${labels.check} ${labels.status}`).sort()).toEqual([
      'judge few FAIL',
      'last sums WARN',
    ]);
    expect(samplesOf(families, 'almanac_check_status')).toHaveLength(10);
    const values = samplesOf(families, 'almanac_check_value').map(({ labels, value }) => `${labels.dataset} ${labels.check} ${value}`);
    expect(values.sort()).toEqual(['totals few 3', 'totals sums 0.5']);
    expect(failures).toEqual([]);
  });

  test('open runs count by pipeline and state, closed ones do not, and what there is none of is 0', async () => {
    await claim('w1', 'running');
    await claim('w2', 'running');
    await claim('w3', 'held');
    for (const closed of ['succeeded', 'abandoned', 'cancelled', 'lost']) await claim(`w-${closed}`, closed);
    await claim('w1', 'claimed', { pipeline: 'other' });
    await claim('w2', 'succeeded', { pipeline: 'idle' });
    const runs = samplesOf(await figures(), 'almanac_runs').map(({ labels, value }) => `${labels.pipeline} ${labels.state} ${value}`);
    expect(runs.sort()).toEqual(
      ['idle claimed 0', 'idle held 0', 'idle running 0', 'other claimed 1', 'other held 0', 'other running 0'].concat([
        'plays claimed 0',
        'plays held 1',
        'plays running 2',
      ]),
    );
  });

  test('held runs count once for each class of their failures, whatever number of stages failed', async () => {
    await claim('w1', 'held', { failure: { a: { class: 'data' }, b: { class: 'data' } } });
    await claim('w2', 'held', { failure: { a: { class: 'data' }, b: { class: 'resource' } } });
    await claim('w3', 'running', { failure: { a: { class: 'user' } } });
    const families = await figures();
    const held = (name: string): number => sampleOf(families, 'almanac_held_runs', { pipeline: 'plays', class: name }).value;
    expect({ data: held('data'), resource: held('resource'), user: held('user') }).toEqual({ data: 2, resource: 1, user: 0 });
    expect(samplesOf(families, 'almanac_held_runs')).toHaveLength(Object.keys(FAILURE_CLASSES).length);
  });

  test('the oldest hold has an age; a pipeline without one has 0, and so has a clock that went back', async () => {
    await claim('w1', 'held', { at: '2026-01-09T23:00:00Z' });
    await claim('w2', 'held', { at: '2026-01-09T22:30:00Z' });
    await claim('w3', 'running', { at: '2026-01-01T00:00:00Z' });
    await claim('w1', 'running', { pipeline: 'other' });
    const families = await figures();
    expect(sampleOf(families, 'almanac_oldest_hold_age_seconds', { pipeline: 'plays' }).value).toBe(5400);
    expect(sampleOf(families, 'almanac_oldest_hold_age_seconds', { pipeline: 'other' }).value).toBe(0);
    const earlier = await figures(new Date('2026-01-01T00:00:00Z'));
    expect(sampleOf(earlier, 'almanac_oldest_hold_age_seconds', { pipeline: 'plays' }).value).toBe(0);
  });

  test('every live table tells when it went live and where the window it shows ends', async () => {
    await using publishing = createPublishing({ databaseUrl: database.url });
    const before = Date.now() / 1000;
    for (const n of [1, 2]) await publishing.publish(publishStage, await publishing.accept(day(n), stampedRows(n)));
    const families = await figures();
    const { rows } = await database.pool.query<{ window_end: Date }>(`select window_end from almanac.publication where state = 'live'`);
    const tables = samplesOf(families, 'almanac_table_window_end_timestamp_seconds');
    expect(tables.map(({ labels }) => labels.table).sort()).toEqual(['audience_index', 'audience_pixels', 'audience_segments']);
    expect(new Set(tables.map(({ value }) => value))).toEqual(new Set([(rows[0]?.window_end.getTime() ?? NaN) / 1000]));
    for (const { value } of samplesOf(families, 'almanac_table_published_timestamp_seconds')) {
      expect(value).toBeGreaterThanOrEqual(before);
      expect(value).toBeLessThanOrEqual(Date.now() / 1000);
    }
  });

  test('several control workers say the same', async () => {
    await claim('w1', 'held', { failure: { a: { class: 'data' } } });
    expect(await figures()).toEqual(await figures());
  });

  test('scrapes within a second share one reading; a later one is new', async () => {
    await using ledger = gauges();
    const runs = async (): Promise<number> => {
      await ledger.refresh();
      return samplesOf(parseExposition(await ledger.registry.metrics()), 'almanac_runs').length;
    };
    expect(await Promise.all([runs(), runs(), runs()])).toEqual([0, 0, 0]);
    await claim('w1', 'running');
    expect(await runs()).toBe(0);
    await until('the new run is read', async () => (await runs()) > 0, 10_000);
  });

  test('a ledger that goes away takes its figures along, is told of once, and comes back', async () => {
    await claim('w1', 'held');
    await using ledger = gauges();
    await using server = await serveMetrics({ registry: ledger.registry, refresh: () => ledger.refresh() }, ANY_PORT);
    const up = async (): Promise<number> => sampleOf(await scrape(server.address), 'almanac_ledger_up').value;
    expect(await up()).toBe(1);
    await database.pool.query('alter schema almanac rename to away');
    await until('the ledger is missed', async () => (await up()) === 0, 10_000);
    expect(samplesOf(await scrape(server.address), 'almanac_runs')).toEqual([]);
    await until('it is read again and fails again', async () => {
      await ledger.refresh();
      const { rows } = await database.pool.query(
        `select from pg_stat_activity where datname = current_database() and application_name = 'almanac metrics'`,
      );
      return (await up()) === 0 && rows.length <= 1;
    });
    await database.pool.query('alter schema away rename to almanac');
    await until('the ledger is back', async () => (await up()) === 1, 10_000);
    expect(samplesOf(await scrape(server.address), 'almanac_runs', { state: 'held' })).toHaveLength(1);
    expect(failures).toHaveLength(1);
  });

  test('a database nobody serves does not fail the scrape', async () => {
    await using ledger = gauges(`postgres://nobody@127.0.0.1:${await freePort()}/none`);
    const families = await scrapeOnce({ registry: ledger.registry, refresh: () => ledger.refresh() });
    expect(sampleOf(families, 'almanac_ledger_up').value).toBe(0);
  });

  test('a database that takes the connection and never answers holds no scrape for long', async () => {
    const silent = createSocketServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    try {
      await using ledger = gauges(`postgres://nobody@127.0.0.1:${(silent.address() as AddressInfo).port}/none`);
      const families = await scrapeOnce({ registry: ledger.registry, refresh: () => ledger.refresh() });
      expect(sampleOf(families, 'almanac_ledger_up').value).toBe(0);
    } finally {
      silent.close();
    }
  });

  test('a database that stops answering in the middle of its session is given up, and taken up by a new one', async () => {
    await using ledger = gauges();
    const up = async (): Promise<number> => {
      await ledger.refresh();
      return sampleOf(parseExposition(await ledger.registry.metrics()), 'almanac_ledger_up').value;
    };
    expect(await up()).toBe(1);
    const { rows } = await database.pool.query<{ pid: number }>(
      `select pid from pg_stat_activity where datname = current_database() and application_name = 'almanac metrics'`,
    );
    const [{ pid } = { pid: NaN }] = rows;
    process.kill(pid, 'SIGSTOP');
    try {
      await until('the frozen session is given up', async () => (await up()) === 0, 20_000);
      await until('a new session answers', async () => (await up()) === 1, 20_000);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });

  test('a statement that waits for a lock is ended, and its session with it', async () => {
    const client = await database.pool.connect();
    try {
      await client.query('begin; lock table almanac.run in access exclusive mode');
      await using ledger = gauges();
      await ledger.refresh();
      expect(sampleOf(parseExposition(await ledger.registry.metrics()), 'almanac_ledger_up').value).toBe(0);
      await until('no session of the metrics waits', async () => {
        const { rows } = await database.pool.query(
          `select from pg_stat_activity where datname = current_database() and application_name = 'almanac metrics' and state = 'active'`,
        );
        return rows.length === 0;
      });
    } finally {
      await client.query('rollback');
      client.release();
    }
  });
});

describe('the metrics of the Temporal SDK', () => {
  let sdk: Server;
  let url: string;
  let answer: { status: number; text: string };

  beforeEach(async () => {
    answer = { status: 200, text: '# TYPE temporal_worker_start_total counter\ntemporal_worker_start_total{task_queue="q"} 1\n' };
    sdk = createServer((_, response) => response.writeHead(answer.status).end(answer.text));
    await new Promise<void>((resolve) => sdk.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(sdk.address() as AddressInfo).port}/metrics`;
  });
  afterEach(async () => {
    sdk.closeAllConnections();
    await new Promise((resolve) => sdk.close(resolve));
  });

  function sources(failed: (error: unknown) => void = () => undefined): MetricsSources {
    const { registry } = new StageMetrics();
    return { registry, sdk: new SdkMetrics(registry, url, failed) };
  }

  test('they follow ours in one exposition', async () => {
    const families = await scrapeOnce(sources());
    expect(sampleOf(families, 'temporal_worker_start_total').value).toBe(1);
    expect(sampleOf(families, 'almanac_sdk_metrics_up').value).toBe(1);
    expect(families.has('almanac_stage_duration_seconds')).toBe(true);
  });

  test.each([
    ['nothing', ''],
    ['only a family without samples', '# HELP temporal_a x\n# TYPE temporal_a gauge\n'],
  ])('an SDK that has %s yet is up', async (_, text) => {
    answer = { status: 200, text };
    expect(sampleOf(await scrapeOnce(sources()), 'almanac_sdk_metrics_up').value).toBe(1);
  });

  test.each([
    ['an error', { status: 503, text: '' }],
    ['the page of another server', { status: 200, text: '<html></html>\n' }],
    ['a metric we have', { status: 200, text: 'almanac_stage_rows_total 1\n' }],
    ['a text that breaks off', { status: 200, text: 'temporal_a 1\ntemporal_b{' }],
  ])('when it answers with %s, ours are served without', async (_, wrong) => {
    answer = wrong;
    const families = await scrapeOnce(sources());
    expect(sampleOf(families, 'almanac_sdk_metrics_up').value).toBe(0);
    expect([...families.keys()].filter((name) => !name.startsWith('almanac_'))).toEqual([]);
  });

  test('one that went away is told of once, and its return is seen', async () => {
    const failures: unknown[] = [];
    await using server = await serveMetrics(
      sources((error) => failures.push(error)),
      ANY_PORT,
    );
    const up = async (): Promise<number> => sampleOf(await scrape(server.address), 'almanac_sdk_metrics_up').value;
    const { port } = sdk.address() as AddressInfo;
    expect(await up()).toBe(1);
    sdk.closeAllConnections();
    await new Promise((resolve) => sdk.close(resolve));
    expect([await up(), await up(), failures.length]).toEqual([0, 0, 1]);
    await new Promise<void>((resolve) => sdk.listen(port, '127.0.0.1', resolve));
    expect(await up()).toBe(1);
  });

  test('one that never answers holds no scrape for long', async () => {
    sdk.removeAllListeners('request');
    expect(sampleOf(await scrapeOnce(sources()), 'almanac_sdk_metrics_up').value).toBe(0);
  });
});

test('only reading /metrics is answered', async () => {
  await using server = await serveMetrics({ registry: new Registry() }, ANY_PORT);
  const status = async (path: string, method = 'GET'): Promise<number> =>
    (await fetch(`http://${server.address}${path}`, { method })).status;
  expect([await status('/metrics'), await status('/metrics?a=b'), await status('/metrics', 'HEAD')]).toEqual([200, 200, 200]);
  expect([await status('/'), await status('/metrics/x'), await status('/metrics', 'POST')]).toEqual([404, 404, 405]);
});

test('a bug that cannot render is an error of the scrape, not of the process', async () => {
  await using server = await serveMetrics({ registry: new Registry(), refresh: () => Promise.reject(new Error('a bug')) }, ANY_PORT);
  const response = await fetch(`http://${server.address}/metrics`);
  expect([response.status, await response.text()]).toEqual([500, 'Error: a bug\n']);
});
