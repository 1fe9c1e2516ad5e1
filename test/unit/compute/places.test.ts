import fc from 'fast-check';
import { Places, type Side } from '../../../activities/compute/places';

const never = new AbortController().signal;
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Asks for places at once; tells how many were given by now. */
async function ask(places: Places, side: Side, times: number): Promise<void> {
  for (let at = 0; at < times; at++) void places.acquire(side, never);
  await settled();
}

test('a live stage takes an idle place of a backfill when its own are taken, and a backfill never a live one', async () => {
  const places = new Places({ live: 2, backfill: 2 });
  await ask(places, 'backfill', 5);
  expect(places.used).toEqual({ live: 0, backfill: 2 });
  const other = new Places({ live: 2, backfill: 2 });
  await ask(other, 'live', 5);
  expect(other.used).toEqual({ live: 4, backfill: 0 });
});

test('a backfill gets back what was lent when any live stage ends, before another live one', async () => {
  const places = new Places({ live: 1, backfill: 1 });
  await ask(places, 'live', 3);
  await ask(places, 'backfill', 1);
  expect(places.used).toEqual({ live: 2, backfill: 0 });
  places.release('live');
  await settled();
  expect(places.used).toEqual({ live: 1, backfill: 1 });
  places.release('live');
  await settled();
  expect(places.used).toEqual({ live: 1, backfill: 1 });
});

test('who stops waiting gets no place and keeps nobody from one', async () => {
  const places = new Places({ live: 1, backfill: 0 });
  await ask(places, 'live', 1);
  const stop = new AbortController();
  const given = places.acquire('live', stop.signal);
  await ask(places, 'live', 1);
  stop.abort(new Error('stopped'));
  await expect(given).rejects.toThrow('stopped');
  await expect(places.acquire('live', AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
  places.release('live');
  await settled();
  expect(places.used.live).toBe(1);
});

test('whoever comes and goes: never more stages than places, none waits beside a place it may have, and no live one for a backfill to end', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({ live: fc.integer({ min: 1, max: 4 }), backfill: fc.integer({ min: 0, max: 4 }) }),
      fc.array(fc.tuple(fc.constantFrom<Side>('live', 'backfill'), fc.constantFrom('comes', 'comes', 'goes', 'stops')), { maxLength: 60 }),
      async (own, steps) => {
        const places = new Places(own);
        const waiting: Record<Side, AbortController[]> = { live: [], backfill: [] };
        for (const [side, step] of steps) {
          if (step === 'comes') {
            const stop = new AbortController();
            waiting[side].push(stop);
            const done = (): unknown => waiting[side].splice(waiting[side].indexOf(stop), 1);
            void places.acquire(side, stop.signal).then(done, done);
          } else if (step === 'stops') waiting[side].at(-1)?.abort(new Error('stopped'));
          else if (places.used[side] > 0) places.release(side);
          await settled();
          const { live, backfill } = places.used;
          expect(live + backfill).toBeLessThanOrEqual(own.live + own.backfill);
          expect(backfill).toBeLessThanOrEqual(own.backfill);
          if (waiting.live.length > 0) expect(live).toBeGreaterThanOrEqual(own.live);
          if (waiting.backfill.length > 0) expect(backfill + Math.max(0, live - own.live)).toBe(own.backfill);
          if (waiting.live.length > 0 && waiting.backfill.length === 0) expect(live + backfill).toBe(own.live + own.backfill);
        }
      },
    ),
  );
});
