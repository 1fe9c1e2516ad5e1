import fc from 'fast-check';
import { granted, lookAgainMs, servingOrder, type Lane, type PermitRequest, type Turn } from '../../../pipelines/pools';

let ids = 0;
function ask(pipeline: string, askedAt: number, more: Partial<PermitRequest> = {}): PermitRequest {
  return { id: String((ids += 1)), pipeline, askedAt, lane: 'live', permits: 1, present: true, ...more };
}
const names = (order: readonly PermitRequest[]): string => order.map(({ pipeline, askedAt }) => `${pipeline}${askedAt}`).join(' ');

test('pipelines take turns, the oldest request first within one', () => {
  expect(names(servingOrder([ask('a', 3), ask('a', 1), ask('a', 2), ask('b', 9), ask('c', 8)], []))).toBe('a1 c8 b9 a2 a3');
});

test('the pipeline least recently served comes first, one never served before all', () => {
  const turns: Turn[] = [
    { pipeline: 'a', lane: 'live', turn: 7 },
    { pipeline: 'b', lane: 'live', turn: 3 },
  ];
  expect(names(servingOrder([ask('a', 1), ask('b', 2), ask('c', 3)], turns))).toBe('c3 b2 a1');
});

test('the live runs of a pipeline and those of its backfills take turns, and it gets no more turns than others', () => {
  const back = { lane: 'backfill' } as const;
  expect(names(servingOrder([ask('a', 1, back), ask('a', 2, back), ask('a', 5), ask('a', 6), ask('b', 7), ask('b', 8)], []))).toBe(
    'a5 b7 a1 b8 a6 a2',
  );
});

test('requests of one instant have one order, whoever asks', () => {
  const [a, b] = [ask('a', 1, { id: 'x' }), ask('a', 1, { id: 'y' })];
  expect(servingOrder([b, a], [])).toEqual([a, b]);
  const [c, d] = [ask('c', 1, { id: 'x' }), ask('d', 1, { id: 'y' })];
  expect(servingOrder([d, c], [])).toEqual(servingOrder([c, d], []));
});

test('what is free is kept for a large request whose turn it is', () => {
  const [large, small] = [ask('a', 1, { permits: 3 }), ask('b', 2)];
  expect(granted(4, 2, [large, small])).toEqual([]);
  expect(granted(4, 1, [large, small])).toEqual([large]);
  expect(granted(4, 0, [large, small])).toEqual([large, small]);
});

test('a request larger than the pool, and one whose stage does not look, keep nobody waiting', () => {
  const small = ask('c', 3);
  expect(granted(2, 1, [ask('a', 1, { permits: 3 }), ask('b', 2, { present: false }), small])).toEqual([small]);
  expect(granted(0, 0, [small])).toEqual([]);
});

test('who is next looks each second, the last of many every ten', () => {
  expect([1, 2, 3, 40].map((position) => lookAgainMs(position, 2))).toEqual([1000, 1000, 2000, 10_000]);
  expect(lookAgainMs(1, 0)).toBe(1000);
});

const lanes: readonly Lane[] = ['live', 'backfill'];
type Event = { readonly ask: readonly [number, number, number] } | { readonly look: number } | { readonly free: number };
const events = fc.array(
  fc.oneof(
    fc.record({ ask: fc.tuple(fc.nat(3), fc.nat(1), fc.integer({ min: 1, max: 3 })) }),
    fc.record({ look: fc.nat(30) }),
    fc.record({ free: fc.nat(30) }),
  ),
  { maxLength: 120 },
) as fc.Arbitrary<Event[]>;

/** A pool as the ledger keeps it: whoever looks is decided about. */
class Pool {
  readonly waiting: PermitRequest[] = [];
  readonly held: PermitRequest[] = [];
  readonly served: PermitRequest[] = [];
  readonly turns: { pipeline: string; lane: Lane; turn: number }[] = [];

  constructor(readonly size: number) {}

  order(): PermitRequest[] {
    return servingOrder(this.waiting, this.turns);
  }

  out(): number {
    return this.held.reduce((sum, { permits }) => sum + permits, 0);
  }

  look(request: PermitRequest): boolean {
    if (!granted(this.size, this.out(), this.order()).includes(request)) return false;
    this.waiting.splice(this.waiting.indexOf(request), 1);
    this.held.push(request);
    this.served.push(request);
    const at = this.turns.findIndex(({ pipeline, lane }) => pipeline === request.pipeline && lane === request.lane);
    const turn = { pipeline: request.pipeline, lane: request.lane, turn: this.served.length };
    if (at < 0) this.turns.push(turn);
    else this.turns[at] = turn;
    return true;
  }
}

const SIZE = 3;

/** Plays events, calling `seen` after each. With `inTurn` whoever looks is the first of the line, as when all look all the time. */
function play(list: readonly Event[], seen: (pool: Pool) => void, inTurn = false): Pool {
  const pool = new Pool(SIZE);
  let now = 0;
  for (const event of list) {
    if ('ask' in event) {
      const [pipeline, lane, permits] = event.ask;
      pool.waiting.push(ask(`p${pipeline}`, (now += 1), { lane: lanes[lane] ?? 'live', permits }));
    } else if ('look' in event) {
      const who = inTurn ? pool.order()[0] : pool.waiting[event.look % Math.max(1, pool.waiting.length)];
      if (who !== undefined) pool.look(who);
    } else if (pool.held.length > 0) pool.held.splice(event.free % pool.held.length, 1);
    seen(pool);
  }
  return pool;
}

test('never more than the size is out, and somebody may take what the first of the line leaves free', () => {
  fc.assert(
    fc.property(events, (list) => {
      play(list, (pool) => {
        expect(pool.out()).toBeLessThanOrEqual(SIZE);
        const order = pool.order();
        expect(order).toHaveLength(pool.waiting.length);
        expect(new Set(order)).toEqual(new Set(pool.waiting));
        const first = order[0];
        if (first !== undefined && first.permits <= SIZE - pool.out()) expect(granted(SIZE, pool.out(), order)).toContain(first);
      });
    }),
  );
});

test('who looks before its turn takes nothing from those before it', () => {
  fc.assert(
    fc.property(events, (list) => {
      let before: readonly PermitRequest[] = [];
      play(list, (played) => {
        const taken = played.served.slice(-1)[0];
        const at = before.indexOf(taken as PermitRequest);
        const now = granted(SIZE, played.out(), played.order());
        for (const earlier of before.slice(0, Math.max(0, at))) expect(now).toContain(earlier);
        before = played.order();
      });
    }),
    { numRuns: 300 },
  );
});

test('within a lane of a pipeline the oldest is served first', () => {
  fc.assert(
    fc.property(events, (list) => {
      const { served } = play(list, () => undefined, true);
      for (const pipeline of ['p0', 'p1', 'p2', 'p3']) {
        for (const lane of lanes) {
          const asked = served.filter((one) => one.pipeline === pipeline && one.lane === lane).map(({ askedAt }) => askedAt);
          expect(asked).toEqual([...asked].sort((a, b) => a - b));
        }
      }
    }),
  );
});

test('while a pipeline waits no other is served twice, and while a lane waits its pipeline is served at most once before it', () => {
  fc.assert(
    fc.property(events, (list) => {
      const since = new Map<string, number>();
      play(
        list,
        (pool) => {
          const passed = pool.served.slice(-1)[0];
          for (const party of [...since.keys()]) {
            const [pipeline = '', lane] = party.split(' ');
            const waits = pool.waiting.some((one) => one.pipeline === pipeline && (lane === '' || one.lane === lane));
            const wasServed = passed?.pipeline === pipeline && (lane === '' || passed.lane === lane);
            if (!waits || (wasServed && pool.served.length > (since.get(party) ?? 0))) since.delete(party);
          }
          for (const { pipeline, lane } of pool.waiting)
            for (const party of [`${pipeline} `, `${pipeline} ${lane}`]) if (!since.has(party)) since.set(party, pool.served.length);
          for (const [party, from] of since) {
            const [pipeline = '', lane] = party.split(' ');
            const meanwhile = pool.served.slice(from);
            if (lane !== '') expect(meanwhile.filter((one) => one.pipeline === pipeline).length).toBeLessThanOrEqual(1);
            else expect(new Set(meanwhile.map((one) => one.pipeline)).size).toBe(meanwhile.length);
          }
        },
        true,
      );
    }),
    { numRuns: 300 },
  );
});

test('nobody starves: when holders go and all look, all that wait are served', () => {
  fc.assert(
    fc.property(events, (list) => {
      const pool = play(list, () => undefined);
      const waited = [...pool.waiting];
      // A holder goes each round: once all who hold now or ever will are gone, everything is free.
      const rounds = pool.held.length + waited.length + 1;
      for (let round = 0; round < rounds && pool.waiting.length > 0; round += 1) {
        for (const who of [...pool.waiting]) pool.look(who);
        pool.held.splice(0, 1);
      }
      for (const who of waited) expect(pool.served).toContain(who);
    }),
  );
});
