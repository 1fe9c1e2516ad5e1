/**
 * The process one DuckDB session runs in. It serves its parent over IPC, one statement at a time, and ends by itself
 * when the parent is gone: statements run on DuckDB's threads, so the event loop hears of it while a query runs.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import type { ChildReply, ChildRequest } from './child-protocol';
import type { SessionLimits, SessionUsage } from './engine';
import { jsonRows } from './json-rows';

const INTERRUPT_AGAIN_MS = 50;
const BYTES_PER_KIB = 1024;

interface Session {
  readonly directory: string;
  readonly started: number;
  readonly cpu: NodeJS.CpuUsage;
}

interface Database {
  readonly instance: DuckDBInstance;
  readonly connection: DuckDBConnection;
}

let session: Session | undefined;
let database: Database | undefined;
/** A database opened while idle, so that a lease need not wait 10 ms for one. */
let spare: Promise<Database> | undefined;
let running = false;
let interrupted = false;
let interruptAgain: NodeJS.Timeout | undefined;

async function open(): Promise<Database> {
  const instance = await DuckDBInstance.create(':memory:', {
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
    preserve_insertion_order: 'false',
    // Nothing may spill before the lease names its directory.
    temp_directory: '',
  });
  const connection = await instance.connect();
  // Without the second setting DuckDB draws a bar on stderr, without the first it measures no progress.
  await connection.run("set TimeZone = 'UTC'; set enable_progress_bar = true; set enable_progress_bar_print = false");
  return { instance, connection };
}

async function begin(limits: SessionLimits, directory: string): Promise<void> {
  end();
  interrupted = false;
  mkdirSync(directory, { recursive: true });
  resetPeakMemory();
  session = { directory, started: performance.now(), cpu: process.cpuUsage() };
  database = await (spare ?? open());
  spare = undefined;
  await database.connection.run(
    `set memory_limit = '${Math.trunc(limits.memoryBytes)}B'; set threads = ${Math.trunc(limits.threads)}; ` +
      `set temp_directory = ${literal(`${directory}/spill`)}; set extension_directory = ${literal(`${directory}/extensions`)}`,
  );
}

function end(): void {
  database?.connection.closeSync();
  database?.instance.closeSync();
  database = undefined;
  if (session) rmSync(session.directory, { recursive: true, force: true });
  session = undefined;
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

async function statement<T>(run: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
  if (!database) throw new Error('no session has begun in this child');
  if (running) throw new Error('a statement is running in this child already');
  if (interrupted) throw new Error('INTERRUPT Error: Interrupted!');
  running = true;
  try {
    return await run(database.connection);
  } finally {
    running = false;
    clearTimeout(interruptAgain);
  }
}

/** DuckDB forgets an interrupt that arrives before its statement has begun, so it is sent until the statement ends. */
function interruptRunning(): void {
  if (!running) return;
  database?.connection.interrupt();
  interruptAgain = setTimeout(interruptRunning, INTERRUPT_AGAIN_MS);
}

function usage(): SessionUsage {
  const cpu = process.cpuUsage(session?.cpu);
  return {
    seconds: session ? (performance.now() - session.started) / 1000 : 0,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    peakMemoryBytes: peakMemory(),
  };
}

function peakMemory(): number {
  try {
    const kib = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    if (kib) return Number(kib) * BYTES_PER_KIB;
  } catch {
    // No /proc on this system; the maximum over the process's life is the next best.
  }
  return process.resourceUsage().maxRSS * BYTES_PER_KIB;
}

function resetPeakMemory(): void {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // Not permitted or no /proc: the peak is then that of the process's life, never too low.
  }
}

async function serve(request: ChildRequest): Promise<ChildReply> {
  const { id } = request;
  switch (request.do) {
    case 'begin':
      await begin(request.limits, request.directory);
      return { id };
    case 'exec':
      await statement((connection) => connection.run(request.sql));
      return { id };
    case 'rows':
      return { id, value: await statement((connection) => jsonRows(connection, request.sql, request.limit)) };
    case 'usage':
      return { id, value: usage() };
    case 'end':
      end();
      return { id };
    case 'interrupt':
      interrupted = true;
      interruptRunning();
      return { id };
  }
}

process.on('message', (request: ChildRequest) => {
  void serve(request)
    .catch((error: unknown): ChildReply => ({ id: request.id, error: error instanceof Error ? error.message : String(error) }))
    .then((reply) => {
      // The parent may be gone by now; `disconnect` ends this process.
      if (process.connected) process.send?.(reply);
      if (request.do === 'end') spare ??= open();
    });
});

process.on('disconnect', () => {
  try {
    if (session) rmSync(session.directory, { recursive: true, force: true });
  } finally {
    // An ordinary exit would wait for the running statement, which may also still write into the directory.
    process.kill(process.pid, 'SIGKILL');
  }
});

// Ctrl-C and a service manager's stop reach the whole group; the parent decides when its children end.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

spare = open();
spare.then(
  () => process.send?.({ id: 0 } satisfies ChildReply),
  (error: unknown) => process.send?.({ id: 0, error: String(error) } satisfies ChildReply),
);
