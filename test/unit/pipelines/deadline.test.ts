import fc from 'fast-check';
import {
  deadlineOf,
  estimate,
  judgeDeadline,
  RISK_MARGIN_SECONDS,
  type DeadlineFacts,
  type StageProgress,
} from '../../../pipelines/deadline';
import type { StageKind } from '../../../pipelines/types';

const MINUTE = 60_000;
const at = (text: string): { at: string } => ({ at: text });

describe('the deadline of a slot', () => {
  it.each([
    ['is a local time of the day it fires', 'America/New_York', '06:00', '2026-11-20T07:30:00Z', '2026-11-20T11:00:00.000Z'],
    ['is of that day also when UTC has the next one', 'America/New_York', '23:30', '2026-11-21T02:00:00Z', '2026-11-21T04:30:00.000Z'],
    ['is shifted where clocks jump over it', 'America/New_York', '02:30', '2026-03-08T06:00:00Z', '2026-03-08T07:00:00.000Z'],
    ['is the first of two', 'America/New_York', '01:30', '2026-11-01T04:30:00Z', '2026-11-01T05:30:00.000Z'],
  ])('%s', (_, zone, published, slot, due) => {
    expect(deadlineOf(zone, published, at(slot))).toBe(due);
  });

  it('is none when the time has passed on that day', () => {
    expect(deadlineOf('UTC', '06:00', at('2026-11-20T06:00:00Z'))).toBeUndefined();
    expect(deadlineOf('UTC', '06:00', at('2026-11-20T22:00:00Z'))).toBeUndefined();
  });
});

/** A random graph: each stage needs some of those before it; the last publishes. */
const graph = fc
  .array(
    fc.record({ seconds: fc.integer({ min: 0, max: 5000 }), needs: fc.array(fc.nat({ max: 30 }), { maxLength: 3 }), done: fc.boolean() }),
    {
      minLength: 1,
      maxLength: 9,
    },
  )
  .map((list) =>
    list.map(({ seconds, needs, done }, index) => ({
      ...{
        id: `s${index}`,
        kind: (index === list.length - 1 ? 'publish' : 'compute') as StageKind,
        seconds,
        done: done && index < list.length - 1,
      },
      needs: [...new Set(needs.filter(() => index > 0).map((need) => `s${need % index}`))],
    })),
  );

describe('the estimate', () => {
  const stages = [
    { id: 'read', kind: 'ingest' as const, needs: [] },
    { id: 'short', kind: 'compute' as const, needs: ['read'] },
    { id: 'long', kind: 'compute' as const, needs: ['read'] },
    { id: 'judge', kind: 'check' as const, needs: ['long'] },
    { id: 'publish', kind: 'publish' as const, needs: ['judge'] },
  ];
  const seconds = (stage: string): number | undefined => ({ read: 60, short: 100, long: 600, judge: 30, publish: 10 })[stage];
  const progress = (entries: Record<string, StageProgress>): Map<string, StageProgress> => new Map(Object.entries(entries));

  it('adds up the longest way', () => {
    expect(estimate(stages, progress({}), seconds, 0)).toEqual({ eta: 700_000, path: ['read', 'long', 'judge', 'publish'], unknown: [] });
  });

  it('counts what a running stage has done, and no less than nothing', () => {
    const half = progress({ read: { state: 'done' }, short: { state: 'done' }, long: { state: 'running', since: -300_000 } });
    expect(estimate(stages, half, seconds, 0)).toMatchObject({ eta: 340_000, path: ['long', 'judge', 'publish'] });
    const longer = progress({ read: { state: 'done' }, short: { state: 'done' }, long: { state: 'running', since: -9_000_000 } });
    expect(estimate(stages, longer, seconds, 0).eta).toBe(40_000);
  });

  it('lets publish stages wait for every other stage, as acceptance does', () => {
    const rest = progress({ read: { state: 'done' }, long: { state: 'done' }, judge: { state: 'done' } });
    expect(estimate(stages, rest, seconds, 0)).toMatchObject({ eta: 110_000, path: ['short', 'publish'] });
  });

  it('says which stages it knows nothing of', () => {
    expect(estimate(stages, progress({}), () => undefined, 5)).toEqual({
      ...{ eta: 5, path: ['read', 'long', 'judge', 'publish'], unknown: ['read', 'long', 'judge', 'publish'] },
    });
  });

  it('lies between the longest single stage and the sum of all that are left; its path is made of them and ends in a publication', () => {
    fc.assert(
      fc.property(graph, fc.nat(), (list, now) => {
        const took = new Map(list.map((stage) => [stage.id, stage.seconds]));
        const left = list.filter(({ done }) => !done);
        const done = new Map(list.filter((stage) => stage.done).map(({ id }) => [id, { state: 'done' as const }]));
        const { eta, path } = estimate(list, done, (id) => took.get(id), now);
        const ahead = left.map((stage) => stage.seconds * 1000);
        expect(eta - now).toBeLessThanOrEqual(ahead.reduce((sum, ms) => sum + ms, 0));
        expect(eta - now).toBeGreaterThanOrEqual(Math.max(...ahead));
        expect(eta - now).toBe(path.reduce((sum, id) => sum + (took.get(id) ?? NaN) * 1000, 0));
        expect(path.filter((id) => done.has(id))).toEqual([]);
        expect(path.at(-1)).toBe(list.at(-1)?.id);
      }),
    );
  });

  it('never comes earlier when a stage takes longer, never later when one more is done', () => {
    fc.assert(
      fc.property(graph, fc.nat(), fc.nat(), (list, which, more) => {
        const took = new Map(list.map((stage) => [stage.id, stage.seconds]));
        const done = new Map<string, StageProgress>(list.filter((stage) => stage.done).map(({ id }) => [id, { state: 'done' }]));
        const before = estimate(list, done, (id) => took.get(id), 0).eta;
        const id = list[which % list.length]?.id ?? '';
        const slower = new Map(took).set(id, (took.get(id) ?? 0) + more);
        expect(estimate(list, done, (stage) => slower.get(stage), 0).eta).toBeGreaterThanOrEqual(before);
        expect(estimate(list, new Map(done).set(id, { state: 'done' }), (stage) => took.get(stage), 0).eta).toBeLessThanOrEqual(before);
      }),
    );
  });
});

describe('the state of a deadline', () => {
  const due = 100 * MINUTE;
  const late = (eta: number): DeadlineFacts['late'] => ({ eta, path: ['build', 'publish'], unknown: [] });

  it.each<[string, string, Omit<DeadlineFacts, 'due'>, number]>([
    ['pending while the worst estimate is in time', 'pending', { late: late(50 * MINUTE) }, 0],
    ['at risk when it is not', 'at-risk', { late: late(101 * MINUTE) }, 0],
    ['at risk as soon as its run cannot go on by itself', 'at-risk', { late: late(50 * MINUTE), stuck: 'held' }, 0],
    ['at risk shortly before, without any history', 'at-risk', {}, due - RISK_MARGIN_SECONDS * 1000 + 1],
    ['met by a publication in time, whenever one looks', 'met', { publishedAt: due, late: late(0) }, 900 * MINUTE],
    ['superseded by a later window', 'superseded', { laterAt: due - 1 }, due - 1],
    ['missed at its instant', 'missed', { late: late(0) }, due],
    ['missed when it came too late', 'missed', { publishedAt: due + 1 }, due + 2],
    ['missed when a later window came too late', 'missed', { laterAt: due + 1 }, due + 2],
  ])('is %s', (_, state, facts, now) => {
    expect(judgeDeadline({ due, ...facts }, now).state).toBe(state);
  });

  it('names the stage', () => {
    expect(judgeDeadline({ due, late: late(200 * MINUTE) }, 0).reason).toBe('stage build may end too late');
    expect(judgeDeadline({ due, late: late(200 * MINUTE) }, due).reason).toBe('stage build was not done');
  });

  it('is at risk before it is missed, whatever the history says, for who looks every minute', () => {
    const facts = fc.record({
      eta: fc.option(fc.integer({ min: 0, max: 300 * MINUTE }), { nil: undefined }),
      phase: fc.nat({ max: MINUTE }),
    });
    fc.assert(
      fc.property(facts, ({ eta, phase }) => {
        const states: string[] = [];
        for (let now = phase; states.at(-1) !== 'missed'; now += MINUTE)
          states.push(judgeDeadline({ due, late: eta === undefined ? undefined : late(eta) }, now).state);
        expect(states.at(-2)).toBe('at-risk');
      }),
    );
  });

  it('once it has its last word keeps it, whatever comes later', () => {
    const instant = fc.option(fc.integer({ min: 0, max: 300 * MINUTE }), { nil: undefined });
    fc.assert(
      fc.property(instant, instant, fc.nat({ max: 300 * MINUTE }), fc.nat({ max: 300 * MINUTE }), (publishedAt, laterAt, now, more) => {
        const seen = (time: number): DeadlineFacts => ({
          due,
          publishedAt: publishedAt !== undefined && publishedAt <= time ? publishedAt : undefined,
          laterAt: laterAt !== undefined && laterAt <= time ? laterAt : undefined,
        });
        const first = judgeDeadline(seen(now), now);
        if (first.settledAt === undefined) return;
        const then = judgeDeadline(seen(now + more), now + more);
        // A later window's publication closes it first; its own may still follow in time, which is no worse.
        if (first.state === 'superseded') expect(['superseded', 'met']).toContain(then.state);
        else expect(then.state).toBe(first.state);
      }),
    );
  });
});
