import { mkdtempSync, readFileSync, rmSync, existsSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { claimRun, storePlan } from '../../../activities/ledger/runs';
import { listNotices, type ListedNotice } from '../../../activities/ledger/notices';
import { createLogger } from '../../../lib/log';
import { migrate } from '../../../lib/migrate';
import { command, webhook, type HookSpec, type Hooks, type NoticeMessage } from '../../../pipelines/define';
import type { Plan } from '../../../pipelines/types';
import { sendNotices } from '../../../workers/notifier';
import { sendNotice } from '../../../workers/send-notice';
import { testDatabase, type TestDatabase } from '../../support/postgres';
import { until } from '../../support/until';

const SECRET = 'Bearer not-for-logs';
const START = Date.UTC(2026, 10, 20);
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

let database: TestDatabase;
let directory: string;
let server: Server;
let url: string;
let received: { message: NoticeMessage; headers: IncomingHttpHeaders }[];
/** How the server answers from now on; 0: not at all. */
let status: number;
let now: number;
let stop: AbortController;
let running: Promise<void>[];

beforeEach(async () => {
  database = await testDatabase();
  await migrate(database.pool);
  await storePlan(database.pool, { hash: 'h', pipeline: 'plays' } as Plan);
  directory = mkdtempSync(path.join(os.tmpdir(), 'almanac-notices-'));
  [received, status, now, stop, running] = [[], 204, START, new AbortController(), []];
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push({ message: JSON.parse(Buffer.concat(chunks).toString()) as NoticeMessage, headers: request.headers });
      if (status !== 0) response.writeHead(status).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
});
afterEach(async () => {
  stop.abort();
  await Promise.all(running);
  server.closeAllConnections();
  server.close();
  await database[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

/** A control worker that sends; resolves once its hooks are known. */
async function worker(hooks: Hooks): Promise<void> {
  const log = createLogger({ logLevel: 'error' }, {});
  const environment = { PATH: process.env.PATH, OPS_URL: url, OPS_TOKEN: SECRET };
  const project = (): Promise<{ directory: string; hooks: Hooks }> => Promise.resolve({ directory, hooks });
  running.push(sendNotices({ database: database.pool, clock: { now: () => new Date(now) }, log, environment, project }, stop.signal, 20));
  await until('the hooks are known', async () => {
    const { rows } = await database.pool.query<{ name: string }>('select name from almanac.notice_hook');
    return Object.keys(hooks).every((name) => rows.some((row) => row.name === name));
  });
}

async function claim(window: string, generation = 1): Promise<void> {
  await claimRun(database.pool, {
    ...{ run: { pipeline: 'plays', window, branch: 'main', generation }, claim: `${window}-${generation}`, planHash: 'h', pins: {} },
    ...{ bootstrap: false, origin: false, matrix: {}, verb: 'run', who: 'x', now: new Date(now) },
  });
}

/** The change of the ledger that somebody is to be told of. */
async function become(window: string, state: string, hold = 0, generation = 1): Promise<void> {
  await database.pool.query(
    `update almanac.run set state = $2, hold = $3, changed_at = $4, failure = '{"build": {"code": "engine.sql", "message": "no column"}}'
     where window_key = $1 and generation = $5`,
    [window, state, hold, new Date(now), generation],
  );
}

const kinds = (): string[] => received.map(({ message }) => `${message.kind} ${message.window}`);
const listed = async (): Promise<ListedNotice[]> => listNotices(database.pool, { limit: 100 });
const states = async (): Promise<string[]> =>
  (await listed()).flatMap(({ deliveries }) => deliveries.map((of) => `${of.hook} ${of.state}`)).sort();

test('a hook that refuses at first gets its notice, once the wait is over, with the same id each time', async () => {
  status = 503;
  await worker({ ops: webhook({ urlFrom: 'OPS_URL', headersFrom: { authorization: 'OPS_TOKEN' } }) });
  await claim('w1');
  await become('w1', 'held', 1);
  await until('it was tried', async () => (await listed())[0]?.deliveries[0]?.error === 'it answered 503');
  expect(await states()).toEqual(['ops due']);
  status = 200;
  expect(received).toHaveLength(1);
  now += 6_000;
  await until('it was delivered', async () => (await states())[0] === 'ops delivered');
  expect(kinds()).toEqual(['hold w1', 'hold w1']);
  const [first, second] = received;
  expect(first?.message).toMatchObject({ text: 'plays/w1 is held: build (engine.sql): no column', next: 'almanac why plays/w1' });
  expect(second?.message.id).toBe(first?.message.id);
  expect(second?.headers).toMatchObject({ 'authorization': SECRET, 'idempotency-key': `almanac-notice-${first?.message.id}` });
});

test('holds, recoveries and failures are told, each once; a run that went through at once is not', async () => {
  await worker({ ops: webhook({ url }) });
  for (const window of ['w1', 'w2', 'w3', 'w4']) await claim(window);
  for (const state of ['held', 'running', 'succeeded']) await become('w1', state, 1);
  await become('w2', 'succeeded');
  await become('w3', 'abandoned');
  await become('w4', 'held', 1);
  await become('w4', 'running', 1);
  await become('w4', 'held', 2);
  await claim('w3', 2);
  await become('w3', 'succeeded', 0, 2);
  await until('all were told', () => Promise.resolve(received.length >= 6));
  expect(kinds()).toEqual(['hold w1', 'recovery w1', 'failure w3', 'hold w4', 'hold w4', 'recovery w3']);
});

test('the end of a backfill is told, and each halt of it', async () => {
  await worker({ ops: webhook({ url }) });
  await database.pool.query(
    `insert into almanac.backfill (hash, pipeline, plan_hash, body, state, concurrency, who, planned_at, changed_at)
     values ('abcdef0123456789', 'plays', 'h', '{}', 'planned', 1, 'x', $1, $1)`,
    [new Date(now)],
  );
  const changes = [['running'], ['halted'], ['running'], ['halted', 'w3 is held'], ['running', 'go on'], ['done']];
  for (const [state, reason = null] of changes) {
    now += 1000;
    await database.pool.query('update almanac.backfill set state = $1, changed_at = $2, reason = $3', [state, new Date(now), reason]);
  }
  await until('all were told', () => Promise.resolve(received.length >= 3));
  expect(received.map(({ message }) => message.text.split(/ is (.*)/)[1])).toEqual(['halted', 'halted: w3 is held', 'done']);
});

test('a change that is rolled back is told to nobody', async () => {
  await claim('w1');
  const client = await database.pool.connect();
  await client.query("begin; update almanac.run set state = 'held', hold = 1; rollback");
  client.release();
  expect(await listed()).toEqual([]);
});

test('several workers send each notice once', async () => {
  const hooks = { ops: webhook({ url }) };
  await Promise.all([worker(hooks), worker(hooks), worker(hooks)]);
  for (let window = 1; window <= 12; window++) await claim(`w${window}`);
  await database.pool.query("update almanac.run set state = 'held', hold = 1, changed_at = $1", [new Date(now)]);
  await until('all were delivered', async () => (await states()).filter((state) => state === 'ops delivered').length === 12);
  expect(received).toHaveLength(12);
});

test('a hook hears only what it asked for, and nothing from before it was there', async () => {
  await claim('w1');
  await become('w1', 'held', 1);
  now += 1000;
  await worker({ ops: webhook({ url, on: ['recovery'] }), rest: webhook({ url, pipelines: ['other'] }) });
  await claim('w2');
  await become('w2', 'held', 1);
  await become('w2', 'succeeded', 1);
  await until('the recovery was told', async () => (await states()).length > 0);
  await until('it was delivered', async () => (await states())[0] === 'ops delivered');
  expect(kinds()).toEqual(['recovery w2']);
});

test('a command gets the notice on its input, in the project’s directory; one that fails is tried again', async () => {
  await worker({ page: command({ run: ['sh', '-c', 'cat > told; test -e ready'] }) });
  await claim('w1');
  await become('w1', 'held', 1);
  await until('it was tried', async () => (await listed())[0]?.deliveries[0]?.error === 'sh ended with 1');
  expect(JSON.parse(readFileSync(path.join(directory, 'told'), 'utf8'))).toMatchObject({ kind: 'hold', window: 'w1' });
  await database.pool.query('update almanac.notice_delivery set next_at = $1', [new Date(now)]);
  await until('it was tried again', async () => ((await listed())[0]?.deliveries[0]?.tries ?? 0) > 1);
});

test('a hook that does not answer holds up neither the ledger nor the other hooks', async () => {
  status = 0;
  await worker({ silent: webhook({ url }), page: command({ run: ['sh', '-c', 'cat > told'] }) });
  await claim('w1');
  await become('w1', 'held', 1);
  await until('the other was told', () => Promise.resolve(existsSync(path.join(directory, 'told'))));
  await become('w1', 'running', 1);
  // Nobody has given the silent hook up meanwhile.
  expect(await states()).toContain('silent due');
});

test('nor later ones: each hook goes on while another one keeps its sender waiting', async () => {
  status = 0;
  await worker({ silent: webhook({ url }), page: command({ run: ['sh', '-c', 'cat >> told'] }) });
  const told = (): string[] =>
    existsSync(path.join(directory, 'told')) ? (readFileSync(path.join(directory, 'told'), 'utf8').match(/"window":"w\d"/g) ?? []) : [];
  for (const window of ['w1', 'w2', 'w3']) {
    await claim(window);
    await become(window, 'held', 1);
    await until(`the other was told of ${window}`, () => Promise.resolve(told().at(-1) === `"window":"${window}"`));
  }
  expect(received).toHaveLength(1);
});

test.each([
  ['webhook', (): HookSpec => webhook({ url }), 'no answer (TimeoutError)'],
  ['command', (): HookSpec => command({ run: ['sleep', '600'] }), 'sleep did not end in time'],
])('a %s that never answers is given up in time, whatever is collected meanwhile', async (_, hook, error) => {
  status = 0;
  const message = { id: 1, kind: 'hold' } as NoticeMessage;
  const context = { directory, environment: { PATH: process.env.PATH }, signal: stop.signal, timeoutMs: 1000 };
  const sent = sendNotice(hook(), message, context).then(
    () => 'taken',
    (reason: unknown) => String(reason),
  );
  let ended = false;
  void sent.finally(() => (ended = true));
  await until('it was given up', () => (collectGarbage(), Promise.resolve(ended)));
  expect(await sent).toContain(error);
});

test.each<[string, Hooks, string]>([
  [
    'a variable that is not set',
    { ops: webhook({ urlFrom: 'NOT_SET' }) },
    'the environment variable NOT_SET is not set in the control worker',
  ],
  ['a server that is not there', { ops: webhook({ url: 'http://127.0.0.1:1/?key=not-for-logs' }) }, 'no answer'],
  ['a program that is not there', { ops: command({ run: ['no-such-program'] }) }, 'no-such-program could not be started (ENOENT)'],
])('%s is said without its secret, and waited out', async (_, hooks, error) => {
  await worker(hooks);
  await claim('w1');
  await become('w1', 'held', 1);
  await until('it was tried', async () => ((await listed())[0]?.deliveries[0]?.error ?? null) !== null);
  expect((await listed())[0]?.deliveries[0]).toMatchObject({ state: 'due', error: expect.stringContaining(error) as string });
  expect(JSON.stringify(await listed())).not.toContain('not-for-logs');
});

test('after three days a hook is given up', async () => {
  status = 500;
  await worker({ ops: webhook({ url }) });
  await claim('w1');
  await become('w1', 'held', 1);
  await until('it was tried', async () => ((await listed())[0]?.deliveries[0]?.tries ?? 0) === 1);
  now += 3 * 86_400_000 + 1000;
  await until('it was given up', async () => (await states())[0] === 'ops given-up');
});
