import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { postgresAnswers, startPostgres } from '../../../operator/stack/postgres-server';
import { choosePorts, freePort } from '../../../operator/stack/ports';
import { acquireLock } from '../../../operator/stack/lock';
import { stackPorts } from '../../../operator/stack/ports-file';

let below: string;
beforeAll(() => {
  below = mkdtempSync(path.join(os.tmpdir(), 'almanac-ports-'));
  chmodSync(below, 0o755);
});
afterAll(() => rmSync(below, { recursive: true, force: true }));

test('a port in use, or promised to another stack, is passed over', async () => {
  const [used, promised] = [await freePort(), await freePort()];
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(used, '127.0.0.1', resolve));
  const chosen = await choosePorts({ a: used, b: promised }, {}, (port) => port !== promised);
  await new Promise((resolve) => holder.close(resolve));
  expect(chosen.a).not.toBe(used);
  expect(chosen.b).not.toBe(promised);
});

test('a stack keeps its ports while its process lives', async () => {
  const cache = process.env.XDG_CACHE_HOME;
  process.env.XDG_CACHE_HOME = path.join(below, 'cache');
  try {
    const ports = await stackPorts(path.join(below, 'home'));
    expect(acquireLock(path.join(below, 'cache', 'almanac', 'ports', String(ports.postgres)))).toMatchObject({
      holder: { pid: process.pid },
    });
    expect(await stackPorts(path.join(below, 'home'))).toEqual(ports);
  } finally {
    if (cache === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = cache;
  }
});

test('another server that answers on the port is not taken for ours', async () => {
  const port = await freePort();
  const server = await startPostgres({ dataDirectory: path.join(below, 'data'), port });
  const patience = AbortSignal.timeout(500);
  await expect(postgresAnswers(server.url, path.join(below, 'elsewhere'), patience)).rejects.toThrow();
  await postgresAnswers(server.url, path.join(below, 'data'), AbortSignal.timeout(10_000));
  await new Promise((resolve) => {
    server.process.once('exit', resolve);
    server.process.kill('SIGINT');
  });
});
