import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { isAlive } from '../../activities/compute/child-identity';
import type { BackfillRow } from '../../activities/ledger/backfills';
import type { PlannedBackfill } from '../../operator/backfills/plan';
import type { BackfillProof } from '../../operator/backfills/step';
import { deliver } from '../../operator/stack/process-identity';
import { EmbeddedStack } from './embedded-stack';
import { ForeignProject } from './foreign-project';
import { Random } from './random';
import { until } from './until';

/** For anything to come about, however slow the machine. */
const SOON_MS = 300_000;
const LOOK_MS = 250;

const chain = (id: string): string => `definePipeline({
    id: '${id}', owner: 'tests', window: daily(), chain: 'ordered',
    datasets: {
      ${id}_plays: { columns: { user_id: 'text', ts: 'timestamp' } },
      ${id}_totals: { kind: 'state', columns: { user_id: 'text', plays: 'bigint' }, key: ['user_id'] },
    },
    stages: {
      read: ingest({ landing: 'plays', writes: '${id}_plays', eventTime: 'ts' }),
      add: compute({ reads: { added: '${id}_plays', before: previous('${id}_totals') }, sql: 'add.sql', bootstrap: 'all.sql', writes: '${id}_totals' }),
    },
  })`;
const wide = (id: string, rows: number, table = false): string => `definePipeline({
    id: '${id}', owner: 'tests', window: daily(), chain: 'independent', params: { rows: ${rows} },
    datasets: { ${id}_counted: { columns: { pairs: 'bigint' }, key: ['pairs'] } },
    stages: {
      count: compute({ sql: 'count.sql', writes: '${id}_counted' }),
      ${table ? `publish: publish({ needs: ['count'], mode: 'newest', tables: { ${id}_table: { from: '${id}_counted', key: ['pairs'] } } }),` : ''}
    },
  })`;
export const ADD = `select user_id, sum(n)::bigint as plays
from (select user_id, 1 as n from added where ts < $window_end union all select user_id, plays from before) group by user_id`;
const ALL = 'select user_id, count(*) as plays from added where ts < $window_end group by user_id';
const COUNT = 'select count(*) as pairs from range($rows) as a, range($rows) as b where (a.range * 7919 + b.range) % 1000003 = 0';

/** Backfills that are cancelled side by side, each of a pipeline of its own. */
export const LANES = ['lane0', 'lane1', 'lane2', 'lane3', 'lane4'] as const;
const INDEPENDENT = { wide: 9000, slow: 10_000_000, live: 1, ...Object.fromEntries(LANES.map((lane) => [lane, 12_000])) };

/** Windows are days from 2025-01-01 on, counted from 1. */
export function day(at: number): string {
  return new Date(Date.UTC(2025, 0, at)).toISOString().slice(0, 10);
}

/** Every user at other intervals, so that no two days are alike. */
function plays(at: number): string {
  const users = ['ann', 'bob', 'cid', 'dee'].filter((_, index) => at % (index + 1) === 0);
  return ['user_id,ts', ...users.map((user) => `${user},${day(at)}T10:00:00`)].join('\n') + '\n';
}

export interface Span {
  readonly window: string;
  /** Milliseconds; an open run has no end. */
  readonly from: number;
  readonly to: number;
}

/** The most runs open at one time. */
export function widest(list: readonly Span[]): number {
  return Math.max(0, ...list.map(({ from }) => list.filter((other) => other.from <= from && from < other.to).length));
}

/** When a live run was claimed, and milliseconds from then to the start of its first stage. */
export interface LiveStart {
  readonly at: number;
  readonly ms: number;
}

/** What was done to a build while it went on. */
export interface BuildReport {
  readonly hash: string;
  readonly windows: readonly string[];
  readonly drift: string;
  /** When each worker was killed. */
  readonly kills: readonly number[];
  readonly pauses: number;
  readonly halts: number;
  /** Windows in the order of their runs. */
  readonly ran: readonly string[];
  readonly widest: number;
  readonly seconds: number;
}

export interface CancelReport {
  readonly lane: string;
  readonly afterMs: number;
  /** `done` when it was done before the cancel came. */
  readonly state: BackfillRow['state'];
  readonly ended: readonly string[];
  readonly complaints: readonly string[];
}

/** One embedded stack with ordered and independent pipelines to backfill, driven by its verbs and watched in its ledger. */
export class BackfillScenario implements AsyncDisposable {
  /** Live windows that were run. */
  private live = 0;

  private constructor(
    readonly project: ForeignProject,
    readonly stack: EmbeddedStack,
    readonly days: number,
    private readonly random: Random,
  ) {}

  /** `days` have landing data. */
  static async create(days: number, seed: number, places = 4): Promise<BackfillScenario> {
    const project = new ForeignProject({
      'almanac.config.ts': `import { compute, daily, defineProject, definePipeline, ingest, previous, publish } from 'almanac';
export default defineProject({ pipelines: [${[
        ...[chain('broken'), chain('clean')],
        ...Object.entries(INDEPENDENT).map(([id, rows]) => wide(id, rows, id.startsWith('lane'))),
      ].join(', ')}] });
`,
      ...Object.fromEntries(
        ['broken', 'clean'].flatMap((id) => [
          [`pipelines/${id}/sql/add.sql`, ADD],
          [`pipelines/${id}/sql/all.sql`, ALL],
        ]),
      ),
      ...Object.fromEntries(Object.keys(INDEPENDENT).map((id) => [`pipelines/${id}/sql/count.sql`, COUNT])),
    });
    const env = { ALMANAC_BACKFILL_PLACES: String(places), ALMANAC_MEMORY: '256MB' };
    const stack = await EmbeddedStack.start({ project: project.directory, env });
    for (let at = 1; at <= days; at++) stack.land('plays', day(at), 'a.csv', plays(at));
    return new BackfillScenario(project, stack, days, new Random(seed));
  }

  plan(pipeline: string, from: number, to: number, ...options: readonly string[]): Promise<PlannedBackfill> {
    return this.stack.json<PlannedBackfill>('backfill', 'plan', pipeline, '--from', day(from), '--to', day(to), ...options);
  }

  async start(hash: string): Promise<void> {
    await this.stack.ok('backfill', 'start', hash);
  }

  /** Resolves once it is in one of the states; looks into the ledger, which costs the machine less than a command does. */
  async reaches(hash: string, ...states: readonly BackfillRow['state'][]): Promise<BackfillRow['state']> {
    await until(`${hash} is ${states.join(' or ')}`, async () => states.includes(await this.state(hash)), SOON_MS, LOOK_MS);
    return this.state(hash);
  }

  async done(hash: string): Promise<number> {
    const [{ done } = { done: 0 }] = await this.rows<{ done: number }>(
      `select count(*)::int as done from almanac.backfill b join almanac.backfill_window w using (hash)
       where b.hash = $1 and exists (select from almanac.run r where r.pipeline = b.pipeline and r.window_key = w.window_key and r.generation > w.after_generation and r.state = 'succeeded')`,
      hash,
    );
    return done;
  }

  async rows<T extends object>(text: string, ...values: readonly unknown[]): Promise<T[]> {
    return (await (await this.stack.database()).query<T>(text, [...values])).rows;
  }

  /** When each run of a pipeline was open, in the order of their claims. */
  async spans(pipeline: string): Promise<Span[]> {
    const found = await this.rows<{ window_key: string; claimed_at: Date; ended_at: Date | null }>(
      'select window_key, claimed_at, ended_at from almanac.run where pipeline = $1 order by claimed_at',
      pipeline,
    );
    return found.map((row) => ({ window: row.window_key, from: row.claimed_at.getTime(), to: row.ended_at?.getTime() ?? Infinity }));
  }

  digests(pipeline: string): Promise<{ window_key: string; digest: string }[]> {
    return this.rows(
      `select a.window_key, v.digest from almanac.accepted_version a join almanac.dataset_version v
         on (v.dataset, v.window_key, v.version) = (a.dataset, a.version_window, a.version)
       where a.dataset = $1 order by a.window_key`,
      `${pipeline}_totals`,
    );
  }

  /**
   * Builds the whole ordered chain `broken` while its inputs are wrong now and then, workers are killed, and somebody pauses; the first
   * plan drifts before it is started.
   */
  async build(): Promise<BuildReport> {
    const begun = Date.now();
    const stale = await this.plan('broken', 1, this.days);
    await this.stack.ok('run', 'broken', '--window', day(1), '--wait');
    const { code, message } = await this.stack.failure('backfill', 'start', stale.hash);
    const planned = await this.plan('broken', 1, this.days);
    const { hash } = planned;
    const disturbances = this.disturbances();
    const broken = disturbances.flatMap(({ what, at }) => (what === 'broken' ? [at] : []));
    for (const at of broken) this.stack.land('plays', day(at), 'a.csv', 'wrong,header\n1,2\n');
    await this.start(hash);
    const kills: number[] = [];
    const counts = { pauses: 0, halts: 0 };
    for (let next = 0; ;) {
      const state = await this.state(hash);
      if (state === 'done') break;
      if (state === 'halted') {
        await this.mend(hash);
        counts.halts += 1;
      }
      const due = disturbances[next];
      if (due === undefined || state !== 'running' || (await this.done(hash)) + 1 < due.at) {
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
        if (Date.now() - begun > SOON_MS + this.days * 30_000) throw new Error(`${hash} is ${state} and does not come to its end`);
        continue;
      }
      next += 1;
      if (due.what === 'pause') {
        await this.stack.ok('backfill', 'pause', hash, '--reason', 'look at it');
        if ((await this.reaches(hash, 'paused', 'halted')) === 'paused')
          await this.stack.ok('backfill', 'resume', hash, '--reason', 'fine');
        counts.pauses += 1;
      }
      if (due.what === 'worker-control' || due.what === 'worker-compute') {
        deliver(await this.stack.pid(due.what), 'SIGKILL');
        kills.push(Date.now());
      }
    }
    const spans = await this.spans('broken');
    return {
      ...{ hash, windows: planned.plan.windows.map(({ window }) => window), drift: `${code}: ${message}`, kills, ...counts },
      ...{ ran: spans.map(({ window }) => window), widest: widest(spans), seconds: (Date.now() - begun) / 1000 },
    };
  }

  /** Orders live windows one after the other until there are enough. */
  async liveStarts(everyMs: number, enough: (count: number) => boolean): Promise<LiveStart[]> {
    const first = this.live;
    while (!enough(this.live - first)) {
      this.live += 1;
      await this.stack.ok('run', 'live', '--window', day(this.live));
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
    const windows = Array.from({ length: this.live - first }, (_, index) => day(first + index + 1));
    const closed = async (): Promise<boolean> =>
      (await this.rows("select from almanac.run where pipeline = 'live' and window_key = any($1) and state = 'succeeded'", windows))
        .length === windows.length;
    await until('every live run is done', closed, SOON_MS, LOOK_MS);
    const starts = await this.rows<{ at: Date; ms: number }>(
      `select r.claimed_at as at, extract(epoch from min(a.started_at) - r.claimed_at)::float8 * 1000 as ms
       from almanac.run r join almanac.attempt a using (pipeline, window_key, branch, generation)
       where r.pipeline = 'live' and r.window_key = any($1) group by r.window_key, r.claimed_at`,
      windows,
    );
    return starts.map(({ at, ms }) => ({ at: at.getTime(), ms }));
  }

  /** Plans windows of a lane, starts them, cancels at a random moment, and watches that nothing of it changes any more. */
  async cancel(lane: string, watchMs: number): Promise<CancelReport> {
    const { hash } = await this.plan(lane, 1, 4, '--concurrency', '2', '--reprocess', 'all');
    await this.start(hash);
    const afterMs = this.random.below(4000);
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    const answer = await this.stack.run('backfill', 'cancel', hash, '--reason', 'at random', '--json');
    const state = await this.state(hash);
    if (state === 'done') return { lane, afterMs, state, ended: [], complaints: [] };
    const complaints = answer.code === 0 ? [] : [`cancel ended with ${String(answer.code)}: ${answer.stdout}`];
    if (state !== 'quiesced') return { lane, afterMs, state, ended: [], complaints: [...complaints, 'it is not quiesced'] };
    const [{ proof } = { proof: { runs: [], neverBegun: [] } }] = await this.rows<{ proof: BackfillProof }>(
      'select proof from almanac.backfill where hash = $1',
      hash,
    );
    const attempts = proof.runs.flatMap((run) => run.attempts);
    for (const { stage, ended, child } of attempts) {
      if (ended === 'child-dead' && child !== undefined && isAlive(child)) complaints.push(`the child of ${stage} lives`);
    }
    const before = await this.snapshot(lane);
    const from = Date.now();
    do {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      const now = await this.snapshot(lane);
      if (now !== before) complaints.push(`changed after ${Date.now() - from} ms: ${before} → ${now}`);
    } while (Date.now() - from < watchMs && complaints.length === 0);
    return { lane, afterMs, state, ended: attempts.map(({ ended }) => ended), complaints };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack[Symbol.asyncDispose]();
    this.project[Symbol.dispose]();
  }

  /** What happens at which window: of every thirty, one wrong input, one kill of each worker and one pause. */
  private disturbances(): { what: 'broken' | 'pause' | 'worker-control' | 'worker-compute'; at: number }[] {
    const size = Math.min(30, this.days);
    const found = (['worker-control', 'broken', 'pause', 'worker-compute'] as const).flatMap((what, index) =>
      Array.from({ length: Math.floor(this.days / size) }, (_, block) => ({
        what,
        at: block * size + Math.floor((size * (index + 1)) / 5) - this.random.below(3),
      })),
    );
    return found.sort((a, b) => a.at - b.at);
  }

  private async state(hash: string): Promise<BackfillRow['state']> {
    const [row] = await this.rows<{ state: BackfillRow['state'] }>('select state from almanac.backfill where hash = $1', hash);
    return row?.state ?? 'planned';
  }

  /** What an operator does who finds it halted: replaces the file, retries the run, and lets the backfill go on. */
  private async mend(hash: string): Promise<void> {
    const [held] = await this.rows<{ window_key: string }>(
      "select window_key from almanac.run where pipeline = 'broken' and state = 'held'",
    );
    if (held === undefined) throw new Error(`${hash} halted, and no run of it is held`);
    const window = held.window_key;
    this.stack.land('plays', window, 'a.csv', plays((Date.parse(window) - Date.parse(day(1))) / 86_400_000 + 1));
    await this.stack.ok('retry', `broken/${window}`, '--reason', 'file replaced');
    await until(
      `${window} is accepted`,
      async () =>
        (await this.rows("select from almanac.run where pipeline = 'broken' and window_key = $1 and state = 'succeeded'", window)).length >
        0,
      SOON_MS,
      LOOK_MS,
    );
    await this.stack.ok('backfill', 'resume', hash, '--reason', 'mended');
  }

  /** Runs, attempts, versions, sets and publications of a pipeline, what its table shows, and its files in the store. */
  private async snapshot(pipeline: string): Promise<string> {
    const [ledger] = await this.rows(
      `select (select md5(coalesce(string_agg((to_jsonb(r) - 'history_path')::text, '' order by window_key, generation), '')) from almanac.run r where pipeline = $1) as runs,
         (select md5(coalesce(string_agg(to_jsonb(a)::text, '' order by window_key, generation, stage, attempt), '')) from almanac.attempt a where pipeline = $1) as attempts,
         (select count(*) from almanac.dataset_version where pipeline = $1) as versions,
         (select md5(coalesce(string_agg(to_jsonb(s)::text, '' order by window_key), '')) from almanac.accepted_set s where pipeline = $1) as sets,
         (select md5(coalesce(string_agg(p.id || p.state, ',' order by id), '')) from almanac.publication p where pipeline = $1) as publications,
         (select publication from almanac.live where pipeline = $1) as live`,
      pipeline,
    );
    const files = [path.join('datasets', `${pipeline}_counted`), path.join('accepted', pipeline)].flatMap((directory) =>
      filesBelow(path.join(this.stack.data, directory)),
    );
    return JSON.stringify({ ...ledger, files });
  }
}

function filesBelow(directory: string): string[] {
  try {
    return readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => {
        const file = path.join(entry.parentPath, entry.name);
        return `${entry.name} ${statSync(file).mtimeMs}`;
      })
      .sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
