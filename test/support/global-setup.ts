import { chmodSync, closeSync, mkdtempSync, openSync } from 'node:fs';
import type { ChildProcess } from 'node:child_process';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readConfig } from '../../lib/config';
import { freePort } from '../../operator/stack/ports';
import { startPostgres } from '../../operator/stack/postgres-server';
import { obtainTemporal } from '../../operator/stack/temporal-binary';
import { spawnTemporal, temporalAnswers } from '../../operator/stack/temporal-server';

declare global {
  // The teardown runs in the same process as the setup.
  var almanacTestServers: { stop(): Promise<void> } | undefined;
}

const TEMPORAL_DEADLINE_MS = 60_000;

/** One Postgres and one Temporal for the whole jest run, on random ports, with data of their own. */
export default async function globalSetup(): Promise<void> {
  const home = mkdtempSync(path.join(tmpdir(), 'almanac-test-'));
  chmodSync(home, 0o755);
  const started: ChildProcess[] = [];
  // An interrupted run has no teardown.
  process.once('exit', () => started.forEach((child) => child.exitCode === null && child.kill('SIGKILL')));
  const [postgres, temporal] = await Promise.all([postgresServer(home), temporalServer(home, started)]);
  started.push(postgres.process);
  process.env.ALMANAC_TEST_DATABASE_URL = postgres.url;
  process.env.ALMANAC_TEST_TEMPORAL_ADDRESS = temporal;
  process.env.ALMANAC_TEST_HOME = home;
  globalThis.almanacTestServers = {
    async stop() {
      await Promise.all(started.map(end));
    },
  };
}

async function postgresServer(home: string): ReturnType<typeof startPostgres> {
  return startPostgres({
    dataDirectory: path.join(home, 'postgres'),
    port: await freePort(),
    settings: { fsync: 'off', max_connections: '300' },
    logFile: path.join(home, 'postgres.log'),
  });
}

async function temporalServer(home: string, started: ChildProcess[]): Promise<string> {
  const binary = await obtainTemporal(process.env, (line) => process.stderr.write(`${line}\n`));
  const [port, httpPort, metricsPort] = [await freePort(), await freePort(), await freePort()];
  const log = openSync(path.join(home, 'temporal.log'), 'a');
  const child = spawnTemporal({ binary: binary.file, port, httpPort, metricsPort, namespace: 'default' }, log);
  closeSync(log);
  started.push(child);
  const ended = new AbortController();
  child.once('exit', (code) => ended.abort(new Error(`the Temporal server ended with ${String(code)}; see ${home}/temporal.log`)));
  const address = `127.0.0.1:${port}`;
  await temporalAnswers(readConfig({}, '/'), address, TEMPORAL_DEADLINE_MS, ended.signal);
  return address;
}

/** Postgres ends fast on SIGINT, without waiting for its clients; Temporal on either. */
function end(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once('exit', () => resolve());
    child.kill('SIGINT');
  });
}
