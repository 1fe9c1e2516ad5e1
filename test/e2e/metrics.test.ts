import { panelExpressions } from '../support/dashboards';
import { EmbeddedStack } from '../support/embedded-stack';
import { parseExposition, sampleOf, samplesOf, type Family, type Sample } from '../support/exposition';
import { ForeignProject, PLAYS } from '../support/foreign-project';
import { documentedMetrics, METRICS_PAGE } from '../support/metrics-page';
import { MISSING_TOOLS, PrometheusServer, promtoolComplaints } from '../support/prometheus';
import { until } from '../support/until';

jest.setTimeout(240_000);

type Worker = 'worker-control' | 'worker-compute';

/** Nightly, for a table that must be there at six, and computed under a permit. */
const SCHEDULED = {
  ...PLAYS,
  'almanac.config.ts': PLAYS['almanac.config.ts'].replace('{ pipelines:', '{ pools: { warehouse: 2 }, pipelines:'),
  'pipelines/plays/pipeline.ts': PLAYS['pipelines/plays/pipeline.ts']
    .replace(
      'params:',
      `schedule: { cron: '30 2 * * *', timezone: 'UTC', gap: 'shift', fold: 'first', catchUp: 'all', overlap: 'queue' }, deadline: { published: '06:00' }, params:`,
    )
    .replace("each: 'bucket',", "each: 'bucket', pool: { name: 'warehouse' },"),
};

let project: ForeignProject;
let stack: EmbeddedStack;
let begun: number;
/** `HOST:PORT` of each worker's metrics. */
let addresses: Readonly<Record<Worker, string>>;

/** One day that goes live with a row in quarantine, and one that holds for want of data, which halts the backfill that runs it. */
beforeAll(async () => {
  begun = Date.now() / 1000;
  project = new ForeignProject(SCHEDULED);
  stack = await EmbeddedStack.start({ project: project.directory });
  const processes = await stack.processes();
  const address = (worker: Worker): string => processes.find(({ name }) => name === worker)?.address ?? '';
  addresses = { 'worker-control': address('worker-control'), 'worker-compute': address('worker-compute') };
  stack.land('plays', '2026-01-01', 'a.csv', 'user_id,ts\nann,2026-01-01T10:00:00\nbob,2026-01-01T11:00:00\neve,never\n');
  await stack.ok('run', 'plays', '--window', '2026-01-01', '--wait');
  const { hash } = await stack.json<{ hash: string }>('backfill', 'plan', 'plays', '--from', '2026-01-02', '--to', '2026-01-02');
  await stack.ok('backfill', 'start', hash);
  await until(
    'the backfill halted',
    async () => (await stack.json<{ state: string }>('backfill', 'show', hash)).state === 'halted',
    60_000,
    500,
  );
  await stack.ok('schedule', 'apply');
  // No stage of this stack runs on EMR: a job and a cluster as the ledger has them.
  const database = await stack.database();
  await database.query(`insert into almanac.effect
      (pipeline, window_key, branch, generation, stage, round, candidate, epoch, attempt, name, state, intent_at)
    select pipeline, window_key, branch, generation, 'add', 1, 'c', 1, 1, 'job', 'running', now() from almanac.run limit 1`);
  await database.query(`insert into almanac.emr_cluster (pipeline, window_key, branch, generation, number, name, intent_at)
    select pipeline, window_key, branch, generation, 1, 'cluster', now() from almanac.run limit 1`);
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  project?.[Symbol.dispose]();
});

async function text(worker: Worker): Promise<string> {
  const response = await fetch(`http://${addresses[worker]}/metrics`);
  expect(response.status).toBe(200);
  return response.text();
}

async function scrape(worker: Worker): Promise<ReadonlyMap<string, Family>> {
  return parseExposition(await text(worker));
}

/** Labels in a stable spelling, with the value: `a=1 b=2 → 3`. */
function told({ labels, value }: Pick<Sample, 'labels' | 'value'>): string {
  const shown = Object.entries(labels)
    .sort()
    .map(([label, of]) => `${label}=${of}`);
  return `${shown.join(' ')} → ${value}`;
}

/** What a query over the ledger says, in the same spelling; the last column is the value. */
async function ledger(sql: string): Promise<string[]> {
  const { rows } = await (await stack.database()).query<Record<string, string | number>>(sql);
  return rows.map(({ value, ...labels }) => told({ labels: labels as Record<string, string>, value: Number(value) })).sort();
}

test.each([
  ['worker-compute', 'Of compute workers'],
  ['worker-control', 'Of control workers'],
  ['worker-compute', 'Of both'],
  ['worker-control', 'Of both'],
] as const)('%s serves every metric the page lists %s, with its type and labels', async (worker, section) => {
  const families = await scrape(worker);
  for (const { name, type, labels } of documentedMetrics(section)) {
    const family = families.get(name);
    expect([name, family?.type, family?.help]).toEqual([name, type, expect.any(String)]);
    // This stack is over files, which nothing caches.
    if (name.startsWith('almanac_read_cache_')) {
      expect([name, family?.samples]).toEqual([name, []]);
      continue;
    }
    expect([name, family?.samples.length]).not.toEqual([name, 0]);
    const used = new Set(family?.samples.flatMap((sample) => Object.keys(sample.labels)).filter((label) => label !== 'le'));
    expect([name, [...used].sort()]).toEqual([name, [...labels].sort()]);
  }
});

test('no worker serves a metric of ours that the page does not list', async () => {
  const listed = ['Of compute workers', 'Of control workers', 'Of both'].flatMap(documentedMetrics).map(({ name }) => name);
  const served = [...(await scrape('worker-control')).keys(), ...(await scrape('worker-compute')).keys()];
  const ours = served.filter((name) => name.startsWith('almanac_'));
  expect([...new Set(ours)].sort()).toEqual(listed.sort());
});

test('rows, bytes, attempts, failures and verdicts are those of the ledger', async () => {
  const families = await scrape('worker-compute');
  const served = (name: string): string[] => samplesOf(families, name).map(told).sort();
  const sums = (unit: string): string =>
    `select pipeline, stage, d.direction, sum((output ->> d.field)::bigint) as value
     from almanac.attempt, (values ('in', '${unit}In'), ('out', '${unit}Out')) d (direction, field) where state = 'succeeded' group by 1, 2, 3`;
  expect(served('almanac_stage_rows_total')).toEqual(await ledger(sums('rows')));
  expect(served('almanac_stage_bytes_total')).toEqual(await ledger(sums('bytes')));
  expect(served('almanac_stage_attempts_total')).toEqual(
    await ledger('select pipeline, stage, kind, state as outcome, count(*) as value from almanac.attempt group by 1, 2, 3, 4'),
  );
  expect(served('almanac_stage_failures_total')).toEqual(
    await ledger(
      `select pipeline, stage, failure ->> 'code' as code, count(*) as value from almanac.attempt where state = 'failed' group by 1, 2, 3`,
    ),
  );
  expect(served('almanac_gate_verdicts_total')).toEqual(
    await ledger(
      `select pipeline, stage, output -> 'gate' ->> 'status' as status, count(*) as value from almanac.attempt where output -> 'gate' is not null group by 1, 2, 3`,
    ),
  );
  expect(served('almanac_quarantined_rows_total')).toEqual(
    await ledger(`select 'plays' as pipeline, 'read' as stage, reason, rows as value from almanac.quarantine`),
  );
  expect(sampleOf(families, 'almanac_quarantined_rows_total').value).toBe(1);
});

test('times, memory and cpu are plausible', async () => {
  const families = await scrape('worker-compute');
  const elapsed = Date.now() / 1000 - begun;
  const durations = samplesOf(families, 'almanac_stage_duration_seconds_sum').map(({ labels, value }) => [labels.stage, value] as const);
  expect(new Set(durations.map(([stage]) => stage))).toEqual(new Set(['read', 'add', 'judge', 'publish']));
  for (const [, seconds] of durations) {
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThan(elapsed);
  }
  for (const { value } of samplesOf(families, 'almanac_stage_peak_memory_bytes')) {
    expect(value).toBeGreaterThan(20e6);
    expect(value).toBeLessThan(4e9);
  }
  const cpu = sampleOf(families, 'almanac_stage_cpu_seconds_total', { stage: 'add' }).value;
  expect(cpu).toBeGreaterThan(0);
  expect(cpu).toBeLessThan(elapsed * 8);
  expect(sampleOf(families, 'almanac_flip_seconds_count', { pipeline: 'plays' }).value).toBe(1);
  expect(sampleOf(families, 'almanac_attach_lock_wait_seconds_count', { pipeline: 'plays' }).value).toBe(1);
});

test('the run without data shows as held; the live table shows the day before', async () => {
  const families = await scrape('worker-control');
  expect(sampleOf(families, 'almanac_ledger_up').value).toBe(1);
  expect(
    samplesOf(families, 'almanac_runs')
      .filter(({ value }) => value > 0)
      .map(told),
  ).toEqual(['pipeline=plays state=held → 1']);
  expect(
    samplesOf(families, 'almanac_held_runs')
      .filter(({ value }) => value > 0)
      .map(told),
  ).toEqual(['class=data pipeline=plays → 1']);
  const age = sampleOf(families, 'almanac_oldest_hold_age_seconds', { pipeline: 'plays' }).value;
  expect(age).toBeGreaterThan(0);
  expect(age).toBeLessThan(Date.now() / 1000 - begun);
  expect(samplesOf(families, 'almanac_table_window_end_timestamp_seconds').map(told)).toEqual([
    `pipeline=plays table=play_totals → ${Date.UTC(2026, 0, 2) / 1000}`,
  ]);
  const published = sampleOf(families, 'almanac_table_published_timestamp_seconds', { table: 'play_totals' }).value;
  expect(published).toBeGreaterThan(begun);
  expect(published).toBeLessThan(Date.now() / 1000);
});

test('the backfill of the day without data shows as halted, with its window failed', async () => {
  const families = await scrape('worker-control');
  const told = (name: string): string[] =>
    samplesOf(families, name)
      .filter(({ value }) => value > 0)
      .map(({ labels, value }) => `${labels.pipeline} ${labels.state} ${value}`);
  expect([told('almanac_backfill_state'), told('almanac_backfill_windows')]).toEqual([['plays halted 1'], ['plays failed 1']]);
});

test('the Temporal SDK’s own metrics are beside ours, named and measured alike', async () => {
  const [control, compute] = [await scrape('worker-control'), await scrape('worker-compute')];
  for (const { name, type, labels } of documentedMetrics('Of the Temporal SDK')) {
    const family = control.get(name) ?? compute.get(name);
    expect([name, family?.type]).toEqual([name, type]);
    expect(Object.keys(family?.samples[0]?.labels ?? {})).toEqual(expect.arrayContaining([...labels]));
  }
  const stages = samplesOf(compute, 'temporal_activity_execution_latency_seconds_count', { activity_type: 'runStage' });
  expect(stages.reduce((sum, { value }) => sum + value, 0)).toBeGreaterThanOrEqual(5);
  for (const families of [control, compute]) expect(sampleOf(families, 'almanac_sdk_metrics_up').value).toBe(1);
  const latencies = [...control.keys(), ...compute.keys()].filter((name) => name.includes('latency'));
  expect(latencies.filter((name) => !name.endsWith('_seconds'))).toEqual([]);
});

test('nothing a worker serves names a window, a run or a path', async () => {
  for (const worker of ['worker-control', 'worker-compute'] as const) {
    const values = [...(await scrape(worker)).values()].flatMap(({ samples }) => samples.flatMap(({ labels }) => Object.values(labels)));
    expect(values.filter((value) => value.includes('2026-') || value.includes('/'))).toEqual([]);
  }
});

if (MISSING_TOOLS.length > 0 && process.env.CI !== 'true') {
  process.stderr.write(
    `no ${MISSING_TOOLS.join(', no ')} here: what a real Prometheus makes of the metrics is not tested (Debian package prometheus)\n`,
  );
} else {
  describe('a real Prometheus', () => {
    let prometheus: PrometheusServer;

    /** Scrapes as the page says, only at our addresses and oftener. */
    beforeAll(async () => {
      if (MISSING_TOOLS.length > 0) throw new Error(`CI needs ${MISSING_TOOLS.join(' and ')} (Debian package prometheus)`);
      const scraping = /^```yaml\n([\s\S]*?)^```/m.exec(METRICS_PAGE)?.[1] ?? '';
      const configuration = scraping
        .replace('127.0.0.1:9464', addresses['worker-control'])
        .replace('127.0.0.1:9465', addresses['worker-compute']);
      prometheus = await PrometheusServer.start(`global: { scrape_interval: 1s }\n${configuration}`);
      await until('both workers were scraped', async () => (await prometheus.query('up == 1')).length === 2, 60_000, 200);
    });
    afterAll(() => prometheus?.[Symbol.asyncDispose]());

    /** The answer to an expression that the page gives its readers. */
    async function documentedQuery(expression: string): Promise<string[]> {
      expect(METRICS_PAGE).toContain(`\`${expression}\``);
      return (await prometheus.query(expression)).map(told).sort();
    }

    test('promtool has nothing against what either worker serves', async () => {
      for (const worker of ['worker-control', 'worker-compute'] as const) expect(promtoolComplaints(await text(worker))).toBe('');
    });

    test('it scrapes both workers without an error', async () => {
      const targets = await prometheus.targets();
      expect(targets).toHaveLength(2);
      for (const target of targets) expect(target).toMatchObject({ health: 'up', lastError: '' });
    });

    test('it answers with the rows of the ledger', async () => {
      const rows = await prometheus.query('sum by (stage) (almanac_stage_rows_total{direction="out"})');
      expect(rows.map(told).sort()).toEqual(
        await ledger(
          `select stage, sum((output ->> 'rowsOut')::bigint) as value from almanac.attempt where state = 'succeeded' group by 1`,
        ),
      );
    });

    test('the queries of the page answer: open runs, and the age of a table’s data', async () => {
      expect(await documentedQuery('max by (pipeline, state) (almanac_runs)')).toEqual([
        'pipeline=plays state=claimed → 0',
        'pipeline=plays state=held → 1',
        'pipeline=plays state=running → 0',
      ]);
      const [age = ''] = await documentedQuery('time() - max by (table) (almanac_table_window_end_timestamp_seconds)');
      expect(age).toContain('table=play_totals → ');
      expect(Math.abs(Number(age.split('→ ')[1]) - (Date.now() - Date.UTC(2026, 0, 2)) / 1000)).toBeLessThan(60);
    });

    test('it computes quantiles from the histograms of both, ours and the SDK’s', async () => {
      for (const name of ['almanac_stage_duration_seconds', 'temporal_activity_execution_latency_seconds']) {
        const [quantile] = await prometheus.query(`histogram_quantile(0.5, sum by (le) (${name}_bucket))`);
        expect(quantile?.value).toBeGreaterThan(0);
        expect(quantile?.value).toBeLessThan(60);
      }
    });

    test('no panel of the dashboards is without data', async () => {
      const empty = async (): Promise<string[]> => {
        const answers = panelExpressions('plays').map(async ({ dashboard, title, expression }) =>
          (await prometheus.query(expression)).some(({ value }) => !Number.isNaN(value)) ? [] : [`${dashboard}: ${title}`],
        );
        return (await Promise.all(answers)).flat();
      };
      // Rates take two scrapes, with something between them.
      await stack.ok('run', 'plays', '--window', '2026-01-01', '--again', '--wait');
      await until('all have data', async () => (await empty()).length === 0, 30_000, 500).catch(() => undefined);
      expect(await empty()).toEqual([]);
    });

    test('it sees the hold end once the data came and the run was retried', async () => {
      stack.land('plays', '2026-01-02', 'a.csv', 'user_id,ts\nann,2026-01-02T10:00:00\n');
      await stack.ok('retry', 'plays/2026-01-02', '--reason', 'the data came', '--wait');
      const held = async (): Promise<number | undefined> => (await prometheus.query('max (almanac_runs{state="held"})'))[0]?.value;
      const newest = async (): Promise<number | undefined> =>
        (await prometheus.query('max (almanac_table_window_end_timestamp_seconds)'))[0]?.value;
      await until('the day is live', async () => (await newest()) === Date.UTC(2026, 0, 3) / 1000, 30_000, 200);
      expect(await held()).toBe(0);
      expect((await prometheus.query('max (almanac_oldest_hold_age_seconds)'))[0]?.value).toBe(0);
    });
  });
}
