import fc from 'fast-check';
import { decideSlots, LATE_SECONDS, type PendingSlot, type ScheduleState, type SlotOutcome } from '../../../pipelines/slot-policy';

const MINUTE = 60_000;
const base = Date.UTC(2026, 10, 20);
const iso = (minute: number): string => new Date(base + minute * MINUTE).toISOString();
const slot = (minute: number, more: Partial<PendingSlot> = {}): PendingSlot => ({
  nominal: iso(minute).slice(0, 16),
  at: iso(minute),
  window: `w${minute}`,
  seenAt: iso(minute),
  wasPaused: false,
  started: false,
  ...more,
});
const state = (
  catchUp: ScheduleState['policies']['catchUp'],
  overlap: ScheduleState['policies']['overlap'],
  more: Partial<ScheduleState> = {},
): ScheduleState => ({
  policies: { catchUp, overlap },
  paused: false,
  openWindows: [],
  ...more,
});
const late = (minute: number): PendingSlot => slot(minute, { seenAt: iso(minute + 30) });

describe('a slot on time', () => {
  it.each(['all', 'latest', 'none'] as const)('runs, whatever catch-up says (%s)', (catchUp) => {
    expect(decideSlots(state(catchUp, 'queue'), [slot(0)])).toEqual([expect.objectContaining({ do: 'start', outcome: 'ran', cancel: [] })]);
  });

  it('waits, is skipped or cancels while an earlier run is open', () => {
    const open = { openWindows: ['w-1'] };
    expect(decideSlots(state('all', 'queue', open), [slot(0)])).toEqual([
      expect.objectContaining({ do: 'wait', state: 'queued', reason: 'the run of w-1 is open' }),
    ]);
    expect(decideSlots(state('all', 'skip', open), [slot(0)])).toEqual([
      expect.objectContaining({ do: 'settle', outcome: 'skipped-overlap' }),
    ]);
    expect(decideSlots(state('all', 'cancel-running', open), [slot(0)])).toEqual([
      expect.objectContaining({ do: 'start', outcome: 'ran', cancel: ['w-1'] }),
    ]);
  });

  it('waits behind one that still has to cancel', () => {
    const open = { openWindows: ['w-1'] };
    expect(decideSlots(state('all', 'cancel-running', open), [slot(0), slot(1, { seenAt: iso(1) })])).toMatchObject([
      { do: 'start', cancel: ['w-1'] },
      { do: 'wait', state: 'queued' },
    ]);
  });

  it('whose run is there already only lacks its word', () => {
    expect(decideSlots(state('none', 'skip', { openWindows: ['w0'] }), [slot(0, { started: true })])).toEqual([
      expect.objectContaining({ do: 'settle', outcome: 'ran' }),
    ]);
  });
});

describe('slots that were due while nobody looked', () => {
  const slots = [late(0), late(1), late(2)];

  it('all run, one after the other', () => {
    expect(decideSlots(state('all', 'skip'), slots).map((decision) => decision.do)).toEqual(['start', 'wait', 'wait']);
    expect(decideSlots(state('all', 'skip'), slots)[0]).toMatchObject({ outcome: 'caught-up' });
  });

  it('give way to the latest', () => {
    expect(decideSlots(state('latest', 'queue'), slots)).toMatchObject([
      { do: 'settle', outcome: 'superseded' },
      { do: 'settle', outcome: 'superseded' },
      { do: 'start', outcome: 'caught-up' },
    ]);
  });

  it('are missed', () => {
    expect(decideSlots(state('none', 'queue'), slots).every((decision) => decision.do === 'settle' && decision.outcome === 'missed')).toBe(
      true,
    );
  });

  it('are late from a minute on', () => {
    const seen = (seconds: number): PendingSlot => slot(0, { seenAt: new Date(base + seconds * 1000).toISOString() });
    expect(decideSlots(state('none', 'queue'), [seen(LATE_SECONDS)])[0]?.do).toBe('start');
    expect(decideSlots(state('none', 'queue'), [seen(LATE_SECONDS + 1)])[0]).toMatchObject({ outcome: 'missed' });
  });
});

describe('a pause', () => {
  const paused = { paused: true };

  it('keeps all, the latest or none for its end', () => {
    const slots = [slot(0), slot(1)];
    expect(decideSlots(state('all', 'queue', paused), slots).map((decision) => decision.do)).toEqual(['wait', 'wait']);
    expect(decideSlots(state('latest', 'queue', paused), slots)).toMatchObject([
      { outcome: 'skipped-paused' },
      { do: 'wait', state: 'paused' },
    ]);
    expect(decideSlots(state('none', 'queue', paused), slots)).toMatchObject([
      { outcome: 'skipped-paused' },
      { outcome: 'skipped-paused' },
    ]);
  });

  it('does not stop what an operator triggers', () => {
    expect(decideSlots(state('all', 'queue', paused), [slot(0, { manual: 'obey' })])).toMatchObject([{ do: 'start', outcome: 'ran' }]);
  });
});

describe('a manual trigger', () => {
  const open = { openWindows: ['w-1'] };

  it('obeys overlap unless told otherwise', () => {
    expect(decideSlots(state('all', 'skip', open), [slot(0, { manual: 'obey' })])).toMatchObject([{ outcome: 'skipped-overlap' }]);
    expect(decideSlots(state('all', 'skip', open), [slot(0, { manual: 'ignore' })])).toMatchObject([{ do: 'start', cancel: [] }]);
  });
});

/** A scheduler on a made-up clock: looks at minutes of its choosing, its runs last as long as they are told. */
function simulate(
  policies: ScheduleState['policies'],
  looks: ReadonlySet<number>,
  pauses: readonly boolean[],
  lasts: readonly number[],
  minutes: number,
) {
  const outcomes = new Map<string, SlotOutcome>();
  const starts: { window: string; minute: number; ends: number }[] = [];
  const pending = new Map<string, PendingSlot>();
  let seen = 0;
  const total = minutes + 400;
  for (let minute = 0; minute <= total; minute++) {
    // From the end on it looks every minute and nothing new comes due.
    if (minute <= minutes && !looks.has(minute)) continue;
    const paused = minute <= minutes && pauses[minute] === true;
    for (; seen <= Math.min(minute, minutes); seen++) pending.set(`w${seen}`, slot(seen, { seenAt: iso(minute) }));
    if (!paused)
      for (const [window, waiting] of pending) if (waitsPaused.has(waiting)) pending.set(window, { ...waiting, wasPaused: true });
    const openWindows = starts.filter(({ ends }) => ends > minute).map(({ window }) => window);
    for (const decision of decideSlots({ policies, paused, openWindows }, [...pending.values()])) {
      const window = [...pending.values()].find(({ nominal }) => nominal === decision.nominal)?.window ?? '';
      if (decision.do === 'wait') {
        const waiting = pending.get(window);
        if (decision.state === 'paused' && waiting !== undefined) waitsPaused.add(waiting);
        continue;
      }
      pending.delete(window);
      if (outcomes.has(window)) throw new Error(`${window} has two outcomes`);
      outcomes.set(window, decision.outcome);
      if (decision.do !== 'start') continue;
      for (const started of starts) if (decision.cancel.includes(started.window)) started.ends = minute;
      starts.push({ window, minute, ends: minute + (lasts[starts.length % lasts.length] ?? 1) });
    }
  }
  return { outcomes, starts, pending };
}
const waitsPaused = new WeakSet<PendingSlot>();

describe('over outages and pauses of any length', () => {
  const minutes = 60;
  const scenario = fc.record({
    catchUp: fc.constantFrom('all' as const, 'latest' as const, 'none' as const),
    overlap: fc.constantFrom('queue' as const, 'skip' as const, 'cancel-running' as const),
    looks: fc.uniqueArray(fc.integer({ min: 0, max: minutes }), { maxLength: minutes }).map((list) => new Set([...list, minutes])),
    pauses: fc
      .array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 15 })), { maxLength: 8 })
      .map((runs) => runs.flatMap(([paused, length]) => Array.from({ length }, () => paused))),
    lasts: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 5 }),
  });

  it('every slot has exactly one outcome, and runs one at a time in order', () => {
    fc.assert(
      fc.property(scenario, ({ catchUp, overlap, looks, pauses, lasts }) => {
        const { outcomes, starts, pending } = simulate({ catchUp, overlap }, looks, pauses, lasts, minutes);
        expect([...pending.keys()]).toEqual([]);
        expect([...outcomes.keys()].sort()).toEqual(Array.from({ length: minutes + 1 }, (_, minute) => `w${minute}`).sort());
        const numbers = starts.map(({ window }) => Number(window.slice(1)));
        expect(new Set(numbers).size).toBe(numbers.length);
        expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
        starts.slice(1).forEach((run, index) => expect(run.minute).toBeGreaterThanOrEqual(starts[index]?.ends ?? 0));
        const found = new Set(outcomes.values());
        const possible = new Set<SlotOutcome>(['ran']);
        if (catchUp !== 'none') possible.add('caught-up');
        if (catchUp === 'none') possible.add('missed');
        if (catchUp === 'latest') possible.add('superseded');
        if (catchUp !== 'all') possible.add('skipped-paused');
        if (overlap === 'skip') possible.add('skipped-overlap');
        for (const outcome of found) expect([...possible]).toContain(outcome);
      }),
      { numRuns: 300 },
    );
  });

  it('an ordered chain, which catches up all and queues, loses none', () => {
    fc.assert(
      fc.property(scenario, ({ looks, pauses, lasts }) => {
        const { starts } = simulate({ catchUp: 'all', overlap: 'queue' }, looks, pauses, lasts, minutes);
        expect(starts).toHaveLength(minutes + 1);
      }),
      { numRuns: 100 },
    );
  });
});
