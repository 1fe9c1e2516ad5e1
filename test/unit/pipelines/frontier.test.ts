import fc from 'fast-check';
import type { FailureInfo } from '../../../pipelines/failures';
import {
  adoptOutline,
  failed,
  initialState,
  running,
  step,
  wokenHold,
  type FrontierCommand,
  type FrontierEvent,
  type FrontierState,
} from '../../../pipelines/frontier';
import type { StageKind, StageOutline } from '../../../pipelines/types';

const failure: FailureInfo = { code: 'internal', class: 'platform', message: 'lost', next: 'retry', details: {} };

function stage(id: string, needs: string[] = [], kind: StageKind = 'compute'): StageOutline {
  return { id, kind, needs, timeoutSeconds: 60 };
}

const chain = [
  stage('load', [], 'ingest'),
  stage('count', ['load']),
  stage('judge', ['count'], 'check'),
  stage('publish', ['judge'], 'publish'),
];

/** Feeds events one after the other; returns the last state and all commands. */
function play(
  outline: readonly StageOutline[],
  events: readonly FrontierEvent[],
  carried: string[] = [],
): { state: FrontierState; commands: FrontierCommand[] } {
  let state = initialState(outline, carried);
  const commands: FrontierCommand[] = [];
  for (const event of events) {
    const next = step(outline, state, event);
    state = next.state;
    commands.push(...next.commands);
  }
  return { state, commands };
}

const done = (id: string, epoch = 1): FrontierEvent => ({ type: 'stage-done', stage: id, epoch });
const broke = (id: string, epoch = 1): FrontierEvent => ({ type: 'stage-failed', stage: id, epoch, failure });

test('a chain runs in order, accepts before it publishes, and closes', () => {
  const { state, commands } = play(chain, [
    { type: 'begin' },
    done('load'),
    done('count'),
    done('judge'),
    { type: 'accepted', epoch: 1 },
    done('publish'),
  ]);
  expect(commands).toEqual([
    { type: 'start', stage: 'load', epoch: 1 },
    { type: 'start', stage: 'count', epoch: 1 },
    { type: 'start', stage: 'judge', epoch: 1 },
    { type: 'accept', epoch: 1 },
    { type: 'start', stage: 'publish', epoch: 1 },
    { type: 'close', outcome: 'succeeded' },
  ]);
  expect(state.closed).toBe(true);
});

test('stages whose needs are met start together', () => {
  const wide = [stage('a'), stage('b'), stage('c', ['a', 'b'])];
  expect(play(wide, [{ type: 'begin' }]).commands).toEqual([
    { type: 'start', stage: 'a', epoch: 1 },
    { type: 'start', stage: 'b', epoch: 1 },
  ]);
});

test('nothing is accepted or published while a check has failed', () => {
  const { state, commands } = play(chain, [{ type: 'begin' }, done('load'), done('count'), broke('judge')]);
  expect(commands.at(-1)).toEqual({ type: 'hold', number: 1 });
  expect(state.held).toBe(true);
  expect(commands.some(({ type }) => type === 'accept')).toBe(false);
});

test('a run holds only when nothing runs any more', () => {
  const wide = [stage('a'), stage('b')];
  const { state, commands } = play(wide, [{ type: 'begin' }, broke('a')]);
  expect(state.held).toBe(false);
  expect(commands).not.toContainEqual(expect.objectContaining({ type: 'hold' }));
  expect(play(wide, [{ type: 'begin' }, broke('a'), done('b')]).commands.at(-1)).toEqual({ type: 'hold', number: 1 });
});

test('a retry orders the failed stage again under the next epoch and a late result of the old order is ignored', () => {
  const { state } = play(chain, [{ type: 'begin' }, broke('load'), { type: 'retry', reset: ['load'] }, done('load', 1)]);
  expect(state.stages.load).toEqual({ status: 'running', epoch: 2 });
  expect(state.held).toBe(false);
});

test('a running stage whose input is made anew is ordered again after it, and what it did on the old input counts for nothing', () => {
  const begun = [{ type: 'begin' } as const, done('load'), { type: 'retry', reset: ['load', 'count', 'judge', 'publish'] } as const];
  const { state, commands } = play(chain, [...begun, done('count', 1), done('load', 2), done('count', 2)]);
  expect(commands).toEqual([
    { type: 'start', stage: 'load', epoch: 1 },
    { type: 'start', stage: 'count', epoch: 1 },
    { type: 'start', stage: 'load', epoch: 2 },
    { type: 'start', stage: 'count', epoch: 2 },
    { type: 'start', stage: 'judge', epoch: 1 },
  ]);
  expect(state.stages.count).toMatchObject({ status: 'done', epoch: 2 });
});

test('a retry of stages above an acceptance accepts again', () => {
  const { commands } = play(chain, [
    { type: 'begin' },
    done('load'),
    done('count'),
    done('judge'),
    { type: 'accepted', epoch: 1 },
    broke('publish'),
    { type: 'retry', reset: ['load', 'count', 'judge', 'publish'] },
    done('load', 2),
    done('count', 2),
    done('judge', 2),
  ]);
  expect(commands.at(-1)).toEqual({ type: 'accept', epoch: 2 });
});

test('a retry of the publication alone keeps the acceptance', () => {
  const { commands } = play(chain, [
    { type: 'begin' },
    done('load'),
    done('count'),
    done('judge'),
    { type: 'accepted', epoch: 1 },
    broke('publish'),
    { type: 'retry', reset: ['publish'] },
  ]);
  expect(commands.at(-1)).toEqual({ type: 'start', stage: 'publish', epoch: 2 });
});

test('a failed acceptance holds and is retried by a retry that resets nothing', () => {
  const { commands } = play(chain, [
    { type: 'begin' },
    done('load'),
    done('count'),
    done('judge'),
    { type: 'accept-failed', epoch: 1, failure },
    { type: 'retry', reset: [] },
  ]);
  expect(commands.slice(-2)).toEqual([
    { type: 'hold', number: 1 },
    { type: 'accept', epoch: 2 },
  ]);
});

test('holds are counted, and the newest that is over is known', () => {
  const events: FrontierEvent[] = [{ type: 'begin' }, broke('load'), { type: 'retry', reset: ['load'] }, broke('load', 2)];
  const counted = events.map((_, index) => play(chain, events.slice(0, index + 1)).state);
  expect(counted.map(({ holds }) => holds)).toEqual([0, 1, 1, 2]);
  expect(counted.map(wokenHold)).toEqual([0, 0, 1, 1]);
  expect(play(chain, events).commands.filter(({ type }) => type === 'hold')).toEqual([
    { type: 'hold', number: 1 },
    { type: 'hold', number: 2 },
  ]);
});

test('a verb that starts nothing leaves the hold it met', () => {
  const { state, commands } = play(chain, [{ type: 'begin' }, broke('load'), { type: 'retry', reset: [] }]);
  expect(state).toMatchObject({ held: true, holds: 1 });
  expect(commands.filter(({ type }) => type === 'hold')).toHaveLength(1);
});

test('carried outputs are not computed again', () => {
  const { commands } = play(chain, [{ type: 'begin' }], ['load', 'count']);
  expect(commands).toEqual([{ type: 'start', stage: 'judge', epoch: 1 }]);
});

test('a cancel stops what runs and closes when the last attempt has ended', () => {
  const begun = play(chain, [{ type: 'begin' }, { type: 'cancel' }]);
  expect(begun.commands.at(-1)).toEqual({ type: 'stop-running' });
  expect(begun.state.closed).toBe(false);
  expect(step(chain, begun.state, broke('load')).commands).toEqual([{ type: 'close', outcome: 'cancelled' }]);
});

test('a held run is abandoned at once', () => {
  expect(play(chain, [{ type: 'begin' }, broke('load'), { type: 'abandon' }]).commands.at(-1)).toEqual({
    type: 'close',
    outcome: 'abandoned',
  });
});

test('a skipped stage lets those below it start', () => {
  expect(play(chain, [{ type: 'begin' }, broke('load'), { type: 'skip', stage: 'load' }]).commands.at(-1)).toEqual({
    type: 'start',
    stage: 'count',
    epoch: 1,
  });
});

test('under a newer plan added stages wait and forgotten ones are gone', () => {
  const { state } = play(chain, [{ type: 'begin' }, done('load')]);
  const newer = [stage('load', [], 'ingest'), stage('sum', ['load'])];
  expect(adoptOutline(state, newer).stages).toEqual({ load: { status: 'done', epoch: 1 }, sum: { status: 'waiting', epoch: 0 } });
});

/** Random graphs: stage i may need any earlier one; the last may publish. */
const graphs = fc.integer({ min: 1, max: 8 }).chain((size) =>
  fc
    .tuple(
      ...Array.from({ length: size }, (_, i) =>
        fc.tuple(fc.subarray(Array.from({ length: i }, (__, j) => `s${j}`)), fc.constantFrom<StageKind>('compute', 'check', 'publish')),
      ),
    )
    .map((parts) => {
      const publishes = new Set<string>();
      return parts.map(([needs, kind], i) => {
        // Only publish stages may need a publish stage, as declarations allow.
        const real = needs.some((need) => publishes.has(need)) ? 'publish' : kind;
        if (real === 'publish') publishes.add(`s${i}`);
        return stage(`s${i}`, needs, real);
      });
    }),
);

/** What the outside world may do next, chosen by the dice. */
function nextEvent(outline: readonly StageOutline[], state: FrontierState, dice: number): FrontierEvent | undefined {
  const current = running(state);
  const choices: FrontierEvent[] = current.flatMap((id) => [done(id, state.stages[id]?.epoch), broke(id, state.stages[id]?.epoch)]);
  if (state.acceptance === 'running') {
    choices.push({ type: 'accepted', epoch: state.acceptanceEpoch }, { type: 'accept-failed', epoch: state.acceptanceEpoch, failure });
  }
  const broken = failed(state);
  if (broken.length > 0) choices.push({ type: 'retry', reset: broken });
  if (state.acceptance === 'failed') choices.push({ type: 'retry', reset: [] });
  if (dice % 17 === 0) choices.push({ type: 'cancel' });
  if (dice % 19 === 0) choices.push({ type: 'retry', reset: outline.map(({ id }) => id) });
  return choices[dice % Math.max(1, choices.length)];
}

test('whatever happens: no start before its needs, no publish before acceptance, no start after the end, no run stuck', () => {
  fc.assert(
    fc.property(graphs, fc.array(fc.nat(1000), { minLength: 200, maxLength: 200 }), (outline, dice) => {
      let { state, commands } = step(outline, initialState(outline), { type: 'begin' });
      let holds = 0;
      for (const roll of [...dice, ...dice]) {
        for (const command of commands) {
          if (command.type !== 'start') continue;
          const { needs, kind } = outline.find(({ id }) => id === command.stage) as StageOutline;
          expect(needs.every((need) => state.stages[need]?.status === 'done')).toBe(true);
          if (kind === 'publish') expect(state.acceptance).toBe('done');
          expect(state.ending).toBeUndefined();
        }
        if (state.closed) break;
        const busy = running(state).length > 0 || state.acceptance === 'running';
        expect(state.held).toBe(!busy);
        holds += commands.filter(({ type }) => type === 'hold').length;
        expect(state.holds).toBe(holds);
        const event = nextEvent(outline, state, roll);
        expect(event).toBeDefined();
        if (event !== undefined) ({ state, commands } = step(outline, state, event));
      }
    }),
    { numRuns: 300 },
  );
});

test('a run in which everything goes well closes after each stage ran exactly once', () => {
  fc.assert(
    fc.property(graphs, (outline) => {
      let { state, commands } = step(outline, initialState(outline), { type: 'begin' });
      const started: string[] = [];
      while (!state.closed) {
        for (const command of commands) if (command.type === 'start') started.push(command.stage);
        const id = running(state)[0];
        const event: FrontierEvent =
          id === undefined ? { type: 'accepted', epoch: state.acceptanceEpoch } : done(id, state.stages[id]?.epoch);
        ({ state, commands } = step(outline, state, event));
      }
      expect(started.sort()).toEqual(outline.map(({ id }) => id).sort());
    }),
  );
});
