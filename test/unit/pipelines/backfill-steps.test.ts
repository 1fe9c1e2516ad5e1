import fc from 'fast-check';
import { BACKFILL_STATES, decideBackfill, phaseOf, type BackfillState, type WindowProgress } from '../../../pipelines/backfill-steps';
import type { RunState } from '../../../pipelines/status';

const window = (name: string, run?: RunState, begun = run !== undefined): WindowProgress => ({ window: name, begun, run });
const ordered = { state: 'running', ordered: true, concurrency: 1 } as const;
const wide = { state: 'running', ordered: false, concurrency: 2 } as const;

test('an ordered chain runs one window after the other', () => {
  expect(decideBackfill(ordered, [window('a'), window('b')])).toMatchObject({ state: 'running', start: ['a'] });
  expect(decideBackfill(ordered, [window('a', 'running'), window('b')])).toMatchObject({ start: [] });
  expect(decideBackfill(ordered, [window('a', 'succeeded'), window('b')])).toMatchObject({ start: ['b'] });
  expect(decideBackfill(ordered, [window('a', 'succeeded'), window('b', 'succeeded')])).toMatchObject({ state: 'done' });
});

test('an ordered chain halts at its first failure, and goes on once that is mended', () => {
  expect(decideBackfill(ordered, [window('a', 'held'), window('b')])).toMatchObject({ state: 'halted', start: [], why: 'a is held' });
  expect(decideBackfill(ordered, [window('a', 'cancelled'), window('b')])).toMatchObject({ state: 'halted', why: 'a ended as cancelled' });
});

test('an independent range goes on without what failed, and halts when only that is left', () => {
  expect(decideBackfill(wide, [window('a', 'held'), window('b'), window('c')])).toMatchObject({ state: 'running', start: ['b', 'c'] });
  expect(decideBackfill(wide, [window('a', 'held'), window('b', 'succeeded')])).toMatchObject({ state: 'halted' });
});

test('a start that was cut off is made again, before others', () => {
  expect(decideBackfill(ordered, [window('a', undefined, true), window('b')]).start).toEqual(['a']);
  expect(decideBackfill(ordered, [window('a', 'claimed'), window('b')]).start).toEqual(['a']);
  expect(decideBackfill({ ...wide, concurrency: 1 }, [window('a'), window('b', undefined, true)]).start).toEqual(['b']);
});

test('what somebody else runs counts as busy, and is not stopped', () => {
  const foreign = window('a', 'running', false);
  expect(decideBackfill(ordered, [foreign, window('b')]).start).toEqual([]);
  expect(decideBackfill({ ...ordered, state: 'cancelling' }, [foreign])).toMatchObject({ state: 'quiesced', stop: [] });
});

test('an ordered chain waits for a window that runs outside the range; a wide one does not', () => {
  expect(decideBackfill({ ...ordered, elsewhere: ['z'] }, [window('a')])).toEqual({ state: 'running', start: [], stop: [] });
  expect(decideBackfill({ ...wide, elsewhere: ['z'] }, [window('a')]).start).toEqual(['a']);
});

test('pausing lets open runs end; cancelling stops them', () => {
  const windows = [window('a', 'running'), window('b')];
  expect(decideBackfill({ ...ordered, state: 'pausing' }, windows)).toMatchObject({ state: 'pausing', start: [] });
  expect(decideBackfill({ ...ordered, state: 'pausing' }, [window('a', 'succeeded'), window('b')])).toMatchObject({ state: 'paused' });
  expect(decideBackfill({ ...ordered, state: 'cancelling' }, windows)).toMatchObject({ state: 'cancelling', stop: ['a'] });
});

test.each(['planned', 'paused', 'halted', 'quiesced', 'done'] as const)('a backfill that is %s does nothing', (state) => {
  expect(decideBackfill({ ...ordered, state }, [window('a'), window('b', 'held')])).toEqual({ state, start: [], stop: [] });
});

/** One controller on made-up runs: each tick a look, then something happens to runs or an operator says something. */
test('whatever happens: never two windows of a chain at once, none out of order, none started after a stop, and it ends', () => {
  const event = fc.constantFrom('end', 'end', 'end', 'fail', 'crash', 'pause', 'resume', 'narrow', 'none');
  fc.assert(
    fc.property(
      fc.boolean(),
      fc.integer({ min: 1, max: 4 }),
      fc.array(event, { maxLength: 60 }),
      fc.boolean(),
      (isOrdered, width, events, cancels) => {
        const windows = Array.from({ length: 8 }, (_, index) => ({
          window: `w${index}`,
          begun: false,
          run: undefined as RunState | undefined,
        }));
        let state = 'running' as BackfillState;
        let concurrency = isOrdered ? 1 : width;
        const started: string[] = [];
        const look = (cutOff: boolean): void => {
          const before = state;
          const decision = decideBackfill({ state, ordered: isOrdered, concurrency }, windows);
          for (const name of decision.start) {
            const found = windows.find((one) => one.window === name);
            if (found === undefined) throw new Error(`${name} is not there`);
            expect(['running', 'pausing']).toContain(before);
            if (found.run === undefined && !started.includes(name)) started.push(name);
            found.begun = true;
            if (cutOff) return;
            found.run = 'running';
          }
          for (const found of windows) if (decision.stop.includes(found.window)) found.run = 'cancelled';
          state = decision.state;
          const open = windows.filter((one) => phaseOf(one) === 'running').length;
          // A held run of a wide range that an operator mends goes on beside the others; nothing is started beyond the width.
          if (isOrdered || decision.start.length > 0) expect(open).toBeLessThanOrEqual(isOrdered ? 1 : concurrency);
          if (state === 'quiesced' || state === 'paused') expect(open).toBe(0);
        };
        const mend = (): void => {
          for (const one of windows) if (one.run === 'held') one.run = 'running';
          if (state === 'paused' || state === 'halted') state = 'running';
        };
        for (const happened of events) {
          look(happened === 'crash');
          const open = windows.find((one) => one.run === 'running');
          if (happened === 'end' && open !== undefined) open.run = 'succeeded';
          if (happened === 'fail' && open !== undefined) open.run = 'held';
          if (happened === 'narrow') concurrency = 1;
          if (happened === 'pause' && state === 'running') state = 'pausing';
          if (happened === 'resume') mend();
        }
        if (cancels && !BACKFILL_STATES[state].over) state = 'cancelling';
        for (let tick = 0; tick < 60 && !BACKFILL_STATES[state].over; tick++) {
          look(false);
          for (const one of windows) if (one.run === 'running') one.run = 'succeeded';
          mend();
        }
        expect(BACKFILL_STATES[state].over).toBe(true);
        if (isOrdered) expect(started).toEqual([...started].sort());
        expect(windows.every(({ run }) => run !== 'running' && run !== 'held')).toBe(true);
        if (state === 'done') expect(windows.every(({ run }) => run === 'succeeded')).toBe(true);
        const count = started.length;
        look(false);
        expect(started).toHaveLength(count);
      },
    ),
    { numRuns: 500 },
  );
});
