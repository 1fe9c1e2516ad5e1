import fc from 'fast-check';
import { effectName, nextForEffect, FENCE, type EffectView, type ListedStep } from '../../../pipelines/effect';
import { EmrGame, SETTLE_MS, type ModelRules } from '../../support/emr-model';

const AT = (ms: number): Date => new Date(1_000_000 + ms);
const step = (id: string, state: ListedStep['state'], submission = id): ListedStep => ({ id, state, submission });

function view(more: Partial<EffectView> & { readonly steps?: readonly ListedStep[]; readonly listedAt?: number } = {}): EffectView {
  const { steps = [], listedAt = 0, ...rest } = more;
  return {
    effect: { state: 'intended', step: null, sentAt: null },
    wanted: true,
    listing: { at: AT(listedAt), steps },
    clusterEndedAt: undefined,
    token: undefined,
    settleMs: SETTLE_MS,
    ...rest,
  };
}

test('nothing is submitted before the name was looked up', () => {
  expect(nextForEffect({ ...view(), listing: undefined })).toEqual({ do: 'look' });
  expect(nextForEffect(view())).toEqual({ do: 'submit' });
});

test('after an answer in doubt it is listed again, and submitted again only once a step would be listed', () => {
  const effect = { state: 'intended', step: null, sentAt: AT(0) } as const;
  expect(nextForEffect(view({ effect, listedAt: SETTLE_MS - 1 }))).toEqual({ do: 'look', notBefore: AT(SETTLE_MS) });
  expect(nextForEffect(view({ effect, listedAt: SETTLE_MS }))).toEqual({ do: 'submit' });
  expect(nextForEffect(view({ effect, steps: [step('s-1', 'pending')] }))).toEqual({ do: 'note', step: 's-1', state: 'submitted' });
});

test('a step that was accepted and is listed nowhere is waited for, never sent again', () => {
  const effect = { state: 'submitted', step: 's-1', sentAt: AT(0) } as const;
  expect(nextForEffect(view({ effect, listedAt: 100 * SETTLE_MS }))).toEqual({ do: 'look' });
});

test('of two steps the one that runs is followed', () => {
  const effect = { state: 'submitted', step: 's-1', sentAt: AT(0) } as const;
  expect(nextForEffect(view({ effect, steps: [step('s-1', 'pending'), step('s-2', 'running')] }))).toEqual({
    do: 'note',
    step: 's-2',
    state: 'running',
  });
});

test('only COMPLETED with the token is success: a duplicate that ended well is none while the other runs', () => {
  const effect = { state: 'running', step: 's-1', sentAt: AT(0) } as const;
  const steps = [step('s-1', 'running'), step('s-2', 'completed')];
  expect(nextForEffect(view({ effect, steps }))).toEqual({ do: 'fence' });
  expect(nextForEffect(view({ effect, steps, token: { submission: 's-1' } }))).toEqual({ do: 'look' });
  expect(nextForEffect(view({ effect, steps, token: { submission: 's-2' } }))).toEqual({
    do: 'end',
    end: { state: 'completed', step: 's-2' },
  });
});

test.each(['failed', 'interrupted'] as const)(
  'a step that %s fails the round once no other may be listed and its token can be claimed no more',
  (state) => {
    const effect = { state: 'running', step: 's-1', sentAt: AT(0) } as const;
    const steps = [step('s-1', state)];
    const listedAt = SETTLE_MS;
    expect(nextForEffect(view({ effect, steps }))).toEqual({ do: 'look', notBefore: AT(SETTLE_MS) });
    expect(nextForEffect(view({ effect, steps, listedAt }))).toEqual({ do: 'fence' });
    expect(nextForEffect(view({ effect, steps, listedAt, token: { submission: FENCE } }))).toEqual({
      do: 'end',
      end: { state: 'failed', step: 's-1', why: 'step' },
    });
    // Somebody holds it whom no list shows: that job may commit yet.
    expect(nextForEffect(view({ effect, steps, listedAt, token: { submission: 's-9' } }))).toEqual({ do: 'look' });
  },
);

test('a step that somebody else cancelled is told apart', () => {
  const effect = { state: 'running', step: 's-1', sentAt: AT(0) } as const;
  expect(nextForEffect(view({ effect, steps: [step('s-1', 'cancelled')], listedAt: SETTLE_MS, token: { submission: FENCE } }))).toEqual({
    do: 'end',
    end: { state: 'failed', step: 's-1', why: 'cancelled' },
  });
});

test('with its cluster a round is lost, whatever the list says of its step', () => {
  const effect = { state: 'running', step: 's-1', sentAt: AT(0) } as const;
  const ended = { effect, steps: [step('s-1', 'running')], clusterEndedAt: AT(0) };
  expect(nextForEffect(view({ ...ended, listedAt: 1 }))).toEqual({ do: 'look', notBefore: AT(SETTLE_MS) });
  const lost = view({ ...ended, listedAt: SETTLE_MS });
  expect(nextForEffect(lost)).toEqual({ do: 'fence' });
  expect(nextForEffect({ ...lost, token: { submission: 's-1' } })).toEqual({
    do: 'end',
    end: { state: 'failed', step: 's-1', why: 'cluster' },
  });
  expect(nextForEffect(view({ effect, steps: [step('s-1', 'completed')], clusterEndedAt: AT(0), token: { submission: 's-1' } }))).toEqual({
    do: 'end',
    end: { state: 'completed', step: 's-1' },
  });
});

test('what nobody wants is fenced first, then cancelled, then seen to end', () => {
  const unwanted = view({ effect: { state: 'running', step: 's-1', sentAt: AT(0) }, wanted: false, steps: [step('s-1', 'running')] });
  const token = { submission: 's-1' };
  expect(nextForEffect(unwanted)).toEqual({ do: 'fence' });
  expect(nextForEffect({ ...unwanted, token })).toEqual({ do: 'cancel', steps: ['s-1'] });
  expect(nextForEffect({ ...unwanted, token, listing: { at: AT(0), steps: [step('s-1', 'cancelling')] } })).toEqual({ do: 'look' });
  expect(nextForEffect({ ...unwanted, token, listing: { at: AT(SETTLE_MS), steps: [step('s-1', 'cancelled')] } })).toEqual({
    do: 'end',
    end: { state: 'cancelled', step: 's-1' },
  });
});

test('names of two candidates or rounds differ however long they are', () => {
  const what = 'x'.repeat(400);
  const names = [effectName('l', 'a', 1, what), effectName('l', 'a', 2, what), effectName('l', 'b', 1, what)];
  expect(new Set(names).size).toBe(3);
  expect(Math.max(...names.map((name) => name.length))).toBeLessThanOrEqual(256);
});

const tapes = fc.array(fc.nat(1_000_000), { maxLength: 300, size: 'large' });
const RULES: Readonly<Record<string, ModelRules>> = {
  'with tokens, however late steps are listed and callers wake': {
    tokens: true,
    zombies: true,
    listedWithinMs: 8 * SETTLE_MS,
    doubles: false,
  },
  'with tokens, also of requests that arrive twice': { tokens: true, zombies: false, listedWithinMs: SETTLE_MS, doubles: true },
  'without tokens, where steps are listed in time and callers only die': {
    tokens: false,
    zombies: false,
    listedWithinMs: SETTLE_MS,
    doubles: false,
  },
};

describe.each(Object.entries(RULES))('%s', (_, rules) => {
  test('never two steps that commit, never one lost, never success that was not COMPLETED', () => {
    fc.assert(
      fc.property(tapes, (tape) => {
        const game = new EmrGame(rules, tape);
        game.play();
        const committed = game.committed().map(({ id }) => id);
        const successes = game.rounds.flatMap(({ end }) => (end?.state === 'completed' ? [end.step] : []));
        expect(committed).toHaveLength(1);
        expect(successes).toEqual(committed);
        expect(game.rounds.at(-1)?.state).toBe('completed');
      }),
      { numRuns: 800 },
    );
  });

  test('of a round that ended nothing goes on', () => {
    fc.assert(
      fc.property(tapes, (tape) => {
        const game = new EmrGame(rules, tape);
        game.play();
        for (const { round, end } of game.rounds) {
          if (end === undefined || end.state === 'completed') continue;
          const written = game.steps.filter((one) => one.round === round && one.state === 'completed' && one.progress === 'written');
          expect(written).toEqual([]);
        }
      }),
      { numRuns: 500 },
    );
  });
});

test('without tokens and with zombies two may commit: the model can tell', () => {
  const worst = { tokens: false, zombies: true, listedWithinMs: 8 * SETTLE_MS, doubles: true };
  const found = fc.check(
    fc.property(tapes, (tape) => {
      const game = new EmrGame(worst, tape);
      game.play();
      return game.committed().length <= 1;
    }),
    { numRuns: 3000 },
  );
  expect(found.failed).toBe(true);
});
