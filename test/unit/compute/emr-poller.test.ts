import type { EmrClient, EmrCluster, EmrStep } from '../../../activities/compute/emr-client';
import { EmrFault, type FaultKind } from '../../../activities/compute/emr-fault';
import { createEmrPoller, type EmrPoller, type Look } from '../../../activities/compute/emr-poller';
import { systemClock, type Clock } from '../../../lib/clock';

const EVERY_MS = 1_000;
const SILENCE_MS = 60_000;

beforeEach(() => jest.useFakeTimers({ now: Date.UTC(2026, 0, 2) }));
afterEach(() => jest.useRealTimers());

/** A service that counts what it is asked; each list fails as it was told, else shows these steps. */
class Service {
  readonly asked: { readonly at: number; readonly cluster: string; readonly operation: 'describe' | 'list' }[] = [];
  faults: FaultKind[] = [];
  steps: EmrStep[] = [];
  readonly poller: EmrPoller;

  constructor(clock: Clock = systemClock) {
    const unused = (): Promise<never> => Promise.reject(new Error('only polls are made here'));
    const client: EmrClient = {
      ...{ addStep: unused, cancelSteps: unused, runCluster: unused, listClusters: unused, terminate: unused, close: () => undefined },
      describeCluster: (cluster) => {
        this.asked.push({ at: Date.now(), cluster, operation: 'describe' });
        const alive = { name: 'c', state: 'RUNNING', ended: false, createdAt: undefined, reason: undefined, logs: undefined };
        return Promise.resolve<EmrCluster>({ id: cluster, ...alive });
      },
      listSteps: (cluster) => {
        this.asked.push({ at: Date.now(), cluster, operation: 'list' });
        const fault = this.faults.shift();
        if (fault === undefined) return Promise.resolve(this.steps);
        return Promise.reject(new EmrFault(fault, 'ListSteps', '', fault));
      },
    };
    this.poller = createEmrPoller(client, clock, EVERY_MS, SILENCE_MS);
  }

  look(name: string, more: { readonly cluster?: string; readonly notBefore?: Date; readonly signal?: AbortSignal } = {}): Promise<Look> {
    const { cluster = 'j-1', signal = new AbortController().signal, notBefore } = more;
    return this.poller.look({ cluster, name, since: new Date(), notBefore }, signal);
  }

  /** When lists were asked for, in ms since the first. */
  lists(cluster = 'j-1'): number[] {
    const at = this.asked.filter((one) => one.operation === 'list' && one.cluster === cluster).map((one) => one.at);
    return at.map((instant) => instant - (at[0] ?? 0));
  }
}

function step(name: string): EmrStep {
  const unknown = { submission: undefined, createdAt: undefined, startedAt: undefined, endedAt: undefined, reason: undefined };
  return { id: `s-${name}`, name, state: 'running', ...unknown };
}

test('any number of followers of a cluster share one list a poll, and each sees the steps of its name', async () => {
  const service = new Service();
  service.steps = ['a', 'b', 'a'].map(step);
  const names = Array.from({ length: 50 }, (_, at) => 'abc'[at % 3] ?? '');
  const looks = Promise.all(names.map((name) => service.look(name)));
  await jest.advanceTimersByTimeAsync(0);
  const seen = (await looks).map(({ steps }) => steps.length);
  expect(seen).toEqual(names.map((name) => ({ a: 2, b: 1, c: 0 })[name]));
  expect(service.asked.map(({ operation }) => operation)).toEqual(['describe', 'list']);
});

test('followers that look again and again cost one list an interval; nobody waiting costs none', async () => {
  const service = new Service();
  const follow = async (): Promise<void> => {
    for (let look = 0; look < 5; look += 1) await service.look('a');
  };
  const following = Promise.all([follow(), follow(), follow()]);
  await jest.advanceTimersByTimeAsync(4 * EVERY_MS);
  await following;
  expect(service.lists()).toEqual([0, 1_000, 2_000, 3_000, 4_000]);
  await jest.advanceTimersByTimeAsync(100 * EVERY_MS);
  expect(service.lists()).toHaveLength(5);
});

test('clusters are polled each for itself', async () => {
  const service = new Service();
  const looks = Promise.all([service.look('a'), service.look('a', { cluster: 'j-2' })]);
  await jest.advanceTimersByTimeAsync(0);
  await looks;
  expect([service.lists('j-1'), service.lists('j-2')]).toEqual([[0], [0]]);
});

test('while it is throttled it asks more and more seldom, for any time, and comes back when it is let', async () => {
  const service = new Service();
  service.faults = Array<FaultKind>(6).fill('throttled');
  const looks = Promise.all([service.look('a'), service.look('b')]);
  await jest.advanceTimersByTimeAsync(200 * EVERY_MS);
  await looks;
  const gaps = service.lists().map((at, index, all) => at - (all[index - 1] ?? 0));
  const pauses = gaps.slice(1);
  expect(pauses).toHaveLength(6);
  // Doubled each time, with up to a quarter on top, so that many processes do not come back at once.
  pauses.forEach((pause, index) => {
    expect(pause).toBeGreaterThanOrEqual(2 ** (index + 1) * EVERY_MS);
    expect(pause).toBeLessThanOrEqual(1.25 * 2 ** (index + 1) * EVERY_MS);
  });
  const before = service.lists().length;
  const later = (async (): Promise<void> => {
    for (let look = 0; look < 9; look += 1) await service.look('a');
  })();
  await jest.advanceTimersByTimeAsync(400 * EVERY_MS);
  await later;
  const calm = service.lists().slice(before);
  expect((calm.at(-1) ?? 0) - (calm.at(-2) ?? 0)).toBe(EVERY_MS);
});

test('a refusal is told at once to all who wait; silence only after minutes of it', async () => {
  const refused = new Service();
  refused.faults = ['refused'];
  const told = Promise.allSettled([refused.look('a'), refused.look('b')]);
  await jest.advanceTimersByTimeAsync(0);
  expect((await told).map((end) => end.status)).toEqual(['rejected', 'rejected']);

  const silent = new Service();
  silent.faults = Array<FaultKind>(50).fill('doubt');
  const waiting = silent.look('a').then(
    () => 'seen',
    (error: unknown) => (error instanceof EmrFault ? `${error.kind} after ${Date.now()}` : 'other'),
  );
  const began = Date.now();
  await jest.advanceTimersByTimeAsync(3 * SILENCE_MS);
  const at = Number((await waiting).replace('doubt after ', ''));
  expect(at - began).toBeGreaterThanOrEqual(SILENCE_MS);
});

test('a look for later is served by no earlier poll, and holds up nobody', async () => {
  const service = new Service();
  const notBefore = new Date(Date.now() + 5 * EVERY_MS);
  let seen: Look | undefined;
  void service.look('a', { notBefore }).then((look) => (seen = look));
  const now = service.look('b');
  await jest.advanceTimersByTimeAsync(0);
  await now;
  expect(seen).toBeUndefined();
  await jest.advanceTimersByTimeAsync(5 * EVERY_MS);
  expect(seen?.at).toEqual(notBefore);
  expect(service.lists()).toEqual([0, 5_000]);
});

test('a timer that rings before its time by the clock costs no poll', async () => {
  let behindMs = 0;
  const service = new Service({ now: () => new Date(Date.now() - behindMs) });
  const notBefore = new Date(Date.now() + 5 * EVERY_MS);
  const look = service.look('a', { notBefore });
  behindMs = 1;
  await jest.advanceTimersByTimeAsync(5 * EVERY_MS);
  expect(service.lists()).toEqual([]);
  await jest.advanceTimersByTimeAsync(1);
  expect((await look).at).toEqual(notBefore);
  expect(service.lists()).toHaveLength(1);
});

test('who stops waiting gets the reason of its signal, and the last one ends the polls', async () => {
  const service = new Service();
  service.faults = ['throttled'];
  const stop = new AbortController();
  const look = service.look('a', { signal: stop.signal });
  const ended = look.catch((error: unknown) => error);
  await jest.advanceTimersByTimeAsync(0);
  stop.abort(new Error('enough'));
  expect(await ended).toMatchObject({ message: 'enough' });
  await jest.advanceTimersByTimeAsync(100 * EVERY_MS);
  expect(service.lists()).toEqual([0]);
  await expect(service.look('a', { signal: stop.signal })).rejects.toThrow('enough');
});
