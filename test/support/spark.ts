import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { packageRoot } from '../../lib/package-root';
import { SPARK_SETTINGS } from '../../pipelines/spark-settings';

/** Where `bin/spark.mjs` put Spark, its S3 connector and our job. */
export interface SparkRuntime {
  readonly sparkHome: string;
  readonly sparkSubmit: string;
  readonly python: string;
  /** The S3 connector: absolute paths. */
  readonly jars: readonly string[];
  readonly jobJar: string;
  /** What a process of Spark's needs beside the caller's own environment. */
  readonly environment: Readonly<Record<string, string>>;
}

/** For a JVM that lives seconds on a machine that others use too. */
export const SHORT_LIVED_JVM = '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC';

let runtime: SparkRuntime | undefined;

/** Makes Spark ready, which takes minutes once per user, and says where it is. */
export function sparkRuntime(): SparkRuntime {
  if (runtime !== undefined) return runtime;
  const made = spawnSync(process.execPath, [path.join(packageRoot(), 'bin', 'spark.mjs')], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`bin/spark.mjs ended with ${made.status}: ${made.stderr}`);
  runtime = JSON.parse(made.stdout) as SparkRuntime;
  return runtime;
}

export interface SparkAnswer {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** Values as an engine session of DuckDB returns them: BIGINT and DECIMAL as text, instants as ISO 8601 in UTC. */
  readonly rows: Record<string, unknown>[];
  /** Spark jobs that answered it. */
  readonly jobs: number;
}

/** What one statement has cost, as Spark's own listeners saw it. */
export interface SparkWork {
  /** SQL executions: a statement is one of them, whatever jobs it comes as. */
  readonly executions: number;
  /** Nodes of the executed plan that read files. */
  readonly scans: number;
  /** Rows that its tasks read from files. */
  readonly recordsRead: number;
}

interface Reply {
  readonly id: number;
  readonly error?: string;
  readonly columns: SparkAnswer['columns'];
  readonly rows: readonly unknown[][];
  readonly jobs: number;
  readonly code?: number;
  readonly work?: SparkWork;
}

/**
 * A Spark in a process of its own: 2 cores, 1 GB, the settings of our jobs. Begin one a suite, it takes seconds. Statements run one after
 * another; temporary views stay. `environment` and `settings` come on top, for instance the endpoint of an S3.
 */
export class SparkSession implements AsyncDisposable {
  readonly #directory = mkdtempSync(path.join(tmpdir(), 'almanac-spark-'));
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (reply: Reply) => void; reject: (error: Error) => void }>();
  #statements = 0;
  #errors = '';

  constructor(options: { environment?: Readonly<Record<string, string>>; settings?: Readonly<Record<string, string>> } = {}) {
    const { environment, jars, jobJar, python } = sparkRuntime();
    // Jobs read their orders with what their JVM was submitted with.
    const submitted = Object.entries(options.settings ?? {}).flatMap(([name, value]) => ['--conf', `${name}=${value}`]);
    // Not `--jars`, which would copy them for every session.
    const submit = [
      ...submitted,
      '--master',
      'local[2]',
      '--driver-memory',
      '1g',
      '--driver-class-path',
      [...jars, jobJar].join(path.delimiter),
      'pyspark-shell',
    ];
    const settings = { ...SPARK_SETTINGS, ...this.#ofTests(), ...options.settings };
    const script = path.join(packageRoot(), 'test', 'support', 'spark_session.py');
    this.#process = spawn(python, [script, JSON.stringify(settings)], {
      env: { ...process.env, ...environment, ...options.environment, TZ: 'UTC', PYSPARK_SUBMIT_ARGS: submit.join(' ') },
      stdio: ['pipe', 'pipe', 'pipe'],
      cwd: this.#directory,
    });
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#errors = (this.#errors + text).slice(-4000)));
    // Whoever writes to a process that is gone hears of it by its end.
    this.#process.stdin?.on('error', () => undefined);
    if (this.#process.stdout) createInterface(this.#process.stdout).on('line', (line) => this.#reply(JSON.parse(line) as Reply));
    this.#process.once('close', (code) => this.#end(`Spark ended with ${code}: ${this.#errors}`));
    this.#process.once('error', (error) => this.#end(error.message));
  }

  /** Runs one statement and returns its rows; rejects with Spark's message. */
  async sql(sql: string): Promise<SparkAnswer> {
    return this.#answer(await this.#ask({ sql }));
  }

  /** Runs one statement and counts what it has cost. */
  async counted(sql: string): Promise<SparkAnswer & { readonly work: SparkWork }> {
    const reply = await this.#ask({ sql, counted: true });
    if (reply.work === undefined) throw new Error('Spark did not say what it did');
    return { ...this.#answer(reply), work: reply.work };
  }

  #answer({ columns, jobs, ...reply }: Reply): SparkAnswer {
    return { columns, jobs, rows: reply.rows.map((row) => Object.fromEntries(columns.map(({ name }, at) => [name, row[at]]))) };
  }

  /** The rows of one statement. */
  async rows(sql: string): Promise<Record<string, unknown>[]> {
    return (await this.sql(sql)).rows;
  }

  /** Runs the job of an order within this session; returns what `spark-submit` would have ended with. */
  async job(orderUri: string): Promise<number> {
    const { code } = await this.#ask({ order: orderUri });
    if (code === undefined) throw new Error('the job told of no end');
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const ended = once(this.#process, 'close');
      this.#process.stdin?.end();
      await ended;
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #ask(request: { readonly sql: string; readonly counted?: true } | { readonly order: string }): Promise<Reply> {
    const id = (this.#statements += 1);
    const reply = await new Promise<Reply>((resolve, reject) => {
      if (this.#process.exitCode !== null) return reject(new Error(`Spark has ended: ${this.#errors}`));
      this.#waiting.set(id, { resolve, reject });
      this.#process.stdin?.write(`${JSON.stringify({ id, ...request })}\n`);
    });
    if (reply.error !== undefined) throw new Error(reply.error);
    return reply;
  }

  #ofTests(): Record<string, string> {
    return {
      'spark.ui.enabled': 'false',
      'spark.driver.host': '127.0.0.1',
      'spark.driver.bindAddress': '127.0.0.1',
      'spark.sql.shuffle.partitions': '2',
      'spark.sql.warehouse.dir': path.join(this.#directory, 'warehouse'),
      'spark.local.dir': path.join(this.#directory, 'spill'),
    };
  }

  #reply(reply: Reply): void {
    this.#waiting.get(reply.id)?.resolve(reply);
    this.#waiting.delete(reply.id);
  }

  #end(why: string): void {
    for (const { reject } of this.#waiting.values()) reject(new Error(why));
    this.#waiting.clear();
  }
}
