import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { SparkEnd, SparkRunner, SparkWork } from '../../activities/compute/spark-runner';
import type { ObjectStore } from '../../activities/storage/object-store';
import { SHORT_LIVED_JVM, sparkRuntime, type SparkSession } from './spark';
import { until } from './until';

export interface JobEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly errors: string;
}

export interface RunningJob {
  readonly process: ChildProcess;
  readonly end: Promise<JobEnd>;
}

/** Begins one job as `spark-submit` does, with this process's credentials; it leads a process group of its own. */
export function submitJob(orderUri: string, settings: Readonly<Record<string, string>> = {}): RunningJob {
  const { sparkSubmit, jars, jobJar, environment: ofSpark } = sparkRuntime();
  const conf = [
    'spark.ui.enabled=false',
    'spark.driver.host=127.0.0.1',
    'spark.driver.bindAddress=127.0.0.1',
    'spark.sql.shuffle.partitions=2',
  ];
  const child = spawn(
    sparkSubmit,
    [
      ...[
        '--master',
        'local[2]',
        '--driver-memory',
        '1g',
        '--driver-java-options',
        SHORT_LIVED_JVM,
        '--driver-class-path',
        jars.join(':'),
        '--class',
        'almanac.Job',
      ],
      ...[...conf, ...Object.entries(settings).map(([name, value]) => `${name}=${value}`)].flatMap((setting) => ['--conf', setting]),
      ...[jobJar, orderUri],
    ],
    { env: { ...process.env, ...ofSpark }, stdio: ['ignore', 'ignore', 'pipe'], detached: true },
  );
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors = (errors + text).slice(-20_000)));
  const end = once(child, 'close').then(([code, signal]: unknown[]) => ({
    ...{ code: code as number | null, signal: signal as NodeJS.Signals | null, errors },
  }));
  return { process: child, end };
}

/** Kills a job with all it started. */
export function killJob({ process: child }: RunningJob): void {
  if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
}

const DUPLICATE = 3;
const DEADLINE_MS = 500_000;

/**
 * Runs jobs on this machine, each by one spark-submit of its own. A job that was killed is followed by the next round; where another job has
 * the token, its result is waited for.
 */
export class LocalSpark implements SparkRunner {
  readonly ends: JobEnd[] = [];

  /** `started` sees each job, and may kill it. */
  constructor(
    private readonly store: Pick<ObjectStore, 'get'>,
    private readonly started: (job: RunningJob, round: number) => void = () => undefined,
    private readonly settings: Readonly<Record<string, string>> = {},
  ) {}

  async run(work: SparkWork, signal: AbortSignal): Promise<SparkEnd> {
    const began = performance.now();
    for (let round = 1; ; round++) {
      signal.throwIfAborted();
      const order = await work.place(round);
      await work.point(`placed-${round}`);
      const job = submitJob(order.uri, this.settings);
      this.started(job, round);
      const end = await job.end;
      this.ends.push(end);
      if (end.code === DUPLICATE) await until('the result of the job that has the token', () => this.#isThere(order.result), DEADLINE_MS);
      else if (end.code === null) continue;
      else if (end.code !== 0) throw new Error(`spark-submit ended with ${end.code}: ${end.errors}`);
      return { round, order, seconds: (performance.now() - began) / 1000 };
    }
  }

  async #isThere(path: string): Promise<boolean> {
    return (await this.store.get(path)) !== undefined;
  }
}

/** Runs jobs one after another in one session: the same code from order to result, without the start of a JVM for each. */
export class WarmSpark implements SparkRunner {
  constructor(private readonly session: SparkSession) {}

  async run(work: SparkWork): Promise<SparkEnd> {
    const began = performance.now();
    const order = await work.place(1);
    const code = await this.session.job(order.uri);
    if (code !== 0) throw new Error(`the job ended with ${code}`);
    return { round: 1, order, seconds: (performance.now() - began) / 1000 };
  }
}
