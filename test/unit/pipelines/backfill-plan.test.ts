import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { driftOf } from '../../../pipelines/backfill-drift';
import { estimateBackfill } from '../../../pipelines/backfill-estimate';
import {
  backfillHash,
  planBackfill,
  planFollowing,
  previousReaders,
  REPROCESS,
  type BackfillPlan,
  type BackfillQuestion,
  type BackfillRequest,
  type WindowFacts,
} from '../../../pipelines/backfill-plan';
import { compute, daily, definePipeline, ingest, previous } from '../../../pipelines/define';
import { buildPlan } from '../../../pipelines/plan';
import type { Plan } from '../../../pipelines/types';

const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
const day = (at: number): string => new Date(Date.UTC(2026, 0, at)).toISOString().slice(0, 10);

const planOf = (chain: Plan['chain'], sql = 'select n from added'): Plan => {
  const datasets = {
    added: { columns: { n: 'bigint' } },
    total: { kind: 'state', columns: { n: 'bigint' } },
    top: { columns: { n: 'bigint' } },
  } as const;
  const texts = new Map([
    ['add.sql', sql],
    ['top.sql', 'select n from total'],
  ]);
  const common = { owner: 'o', window: daily(), datasets } as const;
  const read = ingest({ landing: 'plays', writes: 'added' });
  const top = compute({ reads: { total: 'total' }, sql: 'top.sql', writes: 'top' });
  const spec =
    chain === 'ordered'
      ? definePipeline({
          ...common,
          id: 'p',
          chain: 'ordered',
          stages: {
            read,
            add: compute({ reads: { added: 'added', before: previous('total') }, sql: 'add.sql', bootstrap: 'top.sql', writes: 'total' }),
            top,
          },
        })
      : definePipeline({
          ...common,
          id: 'p',
          chain: 'independent',
          stages: { read, add: compute({ reads: { added: 'added' }, sql: 'add.sql', writes: 'total' }), top },
        });
  return buildPlan(spec, texts, {}, hash);
};
const ordered = planOf('ordered');
const independent = planOf('independent');

const standing = (plan: Plan, window: string): WindowFacts['standing'] =>
  Object.fromEntries(plan.stages.map(({ id, hash: made }) => [id, { hash: made, versions: [`${id}@${window}#v1`] }]));
const missing = (at: number): WindowFacts => ({
  window: day(at),
  generation: 0,
  run: 'none',
  accepted: null,
  standing: {},
  changedInputs: [],
  stale: [],
});
const accepted = (at: number, plan: Plan, more: Partial<WindowFacts> = {}): WindowFacts => ({
  window: day(at),
  generation: 1,
  run: 'succeeded',
  accepted: [`total@${day(at)}#v1`],
  standing: standing(plan, day(at)),
  changedInputs: [],
  stale: [],
  ...more,
});
const ask = (
  plan: Plan,
  facts: readonly WindowFacts[],
  more: Partial<BackfillRequest> = {},
  rest: Partial<BackfillQuestion> = {},
): BackfillPlan =>
  planBackfill({
    plan,
    request: {
      pipeline: 'p',
      from: facts[0]?.window ?? '',
      to: facts.at(-1)?.window ?? '',
      reprocess: 'missing',
      fromStage: null,
      order: 'forward',
      ...more,
    },
    facts,
    anchor: null,
    successors: [],
    nextBranch: 'b1',
    ...rest,
  });
const reasons = (plan: BackfillPlan): Record<string, string[]> =>
  Object.fromEntries(plan.windows.map(({ window, stages }) => [window, stages.map(({ stage, reason }) => `${stage} ${reason}`)]));

describe('an independent range', () => {
  const other = planOf('independent', 'select n + 1 as n from added');
  const facts = [
    missing(1),
    accepted(2, independent),
    {
      ...missing(3),
      run: 'failed' as const,
      generation: 1,
      standing: { read: standing(independent, day(3)).read ?? { hash: '', versions: [] } },
    },
    accepted(4, independent, { standing: standing(other, day(4)) }),
    accepted(5, independent, { changedInputs: ['read'] }),
  ];
  const built = [`read missing`, `add missing`, `top missing`];

  it('builds what is missing and nothing else', () => {
    const plan = ask(independent, facts);
    expect(reasons(plan)).toEqual({ [day(1)]: built });
    expect(plan.left.map(({ why }) => why)).toEqual([
      'accepted',
      'its last run failed; --reprocess failed runs it',
      'accepted',
      'accepted',
    ]);
  });

  it('builds what failed from where it stopped', () => {
    const plan = ask(independent, facts, { reprocess: 'failed' });
    expect(reasons(plan)).toEqual({ [day(1)]: built, [day(3)]: ['add failed', 'top failed'] });
    expect(plan.windows[1]).toMatchObject({ after: 1, carried: [{ stage: 'read', versions: [`read@${day(3)}#v1`] }] });
  });

  it('builds what other code or other inputs made, with that as the reason', () => {
    expect(reasons(ask(independent, facts, { reprocess: 'stale' }))).toMatchObject({
      [day(4)]: ['add code changed', 'top code changed'],
      [day(5)]: ['read input changed', 'add input changed', 'top input changed'],
    });
  });

  it('builds all, or all from a stage on', () => {
    const all = ask(independent, facts, { reprocess: 'all' });
    expect(all.left).toEqual([]);
    expect(reasons(all)[day(2)]).toEqual(['read forced', 'add forced', 'top forced']);
    expect(reasons(ask(independent, facts, { reprocess: 'all', fromStage: 'top' }))[day(2)]).toEqual(['top forced']);
  });

  it('goes backward when asked', () => {
    expect(ask(independent, facts, { reprocess: 'all', order: 'backward' }).windows[0]?.window).toBe(day(5));
  });

  it('leaves a run alone that is open', () => {
    expect(ask(independent, [{ ...missing(1), run: 'open', generation: 1 }], { reprocess: 'all' }).left).toEqual([
      { window: day(1), why: 'its run is open' },
    ]);
  });

  it('is refused for a stage that is not there', () => {
    expect(() => ask(independent, facts, { fromStage: 'nope' })).toThrow(expect.objectContaining({ code: 'run.usage' }));
  });
});

describe('an ordered range', () => {
  const anchor = { window: day(0), accepted: [`total@${day(0)}#v9`] };

  it('goes on from its anchor, whose versions it pins', () => {
    const plan = ask(ordered, [missing(1), missing(2)], {}, { anchor });
    expect(plan.windows.map(({ window }) => window)).toEqual([day(1), day(2)]);
    expect(plan.pins).toEqual([`total@${day(0)}#v9`]);
  });

  it('rebuilds what was built on a rebuilt window, and carries what was not', () => {
    const facts = [accepted(1, ordered, { changedInputs: ['read'] }), accepted(2, ordered), missing(3)];
    const plan = ask(ordered, facts, { reprocess: 'stale' }, { anchor });
    expect(reasons(plan)[day(2)]).toEqual(['add input changed', 'top input changed']);
    expect(plan.windows[1]?.carried).toEqual([{ stage: 'read', versions: [`read@${day(2)}#v1`] }]);
    expect(reasons(plan)[day(3)]).toEqual(['read missing', 'add missing', 'top missing']);
  });

  describe('with accepted windows after it', () => {
    const facts = [accepted(1, ordered), accepted(2, ordered), accepted(3, ordered, { generation: 4 })];
    const before = { anchor, successors: [day(2), day(3)] };

    it('is rebuilt on a branch, from its first window on with all after it', () => {
      const plan = ask(ordered, facts, { to: day(1), reprocess: 'all' }, before);
      expect(plan.branch).toEqual({ name: 'b1', from: day(1) });
      expect(plan.windows.map(({ window, after }) => [window, after])).toEqual([
        [day(1), 0],
        [day(2), 0],
        [day(3), 0],
      ]);
      expect(reasons(plan)[day(1)]).toEqual(['read forced', 'add forced', 'top forced']);
      // What follows is rebuilt for what it stands on, and keeps what it read.
      expect(reasons(plan)[day(3)]).toEqual(['add input changed', 'top input changed']);
      expect(plan.pins).toEqual(anchor.accepted);
    });

    it('does nothing when nothing of the range is due', () => {
      const plan = ask(ordered, facts, { to: day(1) }, before);
      expect([plan.windows, plan.branch]).toEqual([[], undefined]);
    });

    it('takes no notice of what goes on on main', () => {
      const open = facts.map((fact) => ({ ...fact, run: 'open' as const, standing: {} }));
      expect(ask(ordered, open, { to: day(1), reprocess: 'all' }, before).windows).toHaveLength(3);
    });

    it('stays in place when no window reads the one before', () => {
      const plan = ask(independent, facts.slice(0, 1), { reprocess: 'all' }, before);
      expect(plan.branch).toBeUndefined();
    });

    it('has a window that came later rebuilt likewise', () => {
      const request = { ...ask(ordered, facts, { to: day(1), reprocess: 'all', fromStage: 'read' }, before).request };
      const window = planFollowing(ordered, request, accepted(4, ordered, { run: 'open' }));
      expect([window.after, window.stages.map(({ stage }) => stage)]).toEqual([0, ['add', 'top']]);
    });

    it('reads windows after the range again where rows were replayed to them: a branch with stale windows is never built', () => {
      const replayed = facts.map((fact, index) => (index === 2 ? { ...fact, stale: ['read'] } : fact));
      const plan = ask(ordered, replayed, { to: day(1), reprocess: 'all' }, before);
      expect(plan.windows.map(({ stages }) => stages.map(({ stage }) => stage))).toEqual([
        ['read', 'add', 'top'],
        ['add', 'top'],
        ['read', 'add', 'top'],
      ]);
      const later = planFollowing(ordered, plan.request, accepted(4, ordered, { stale: ['read'] }));
      expect(later.stages.map(({ stage, reason }) => `${stage}: ${reason}`)).toEqual([
        'read: input changed',
        'add: input changed',
        'top: input changed',
      ]);
    });
  });

  it('that would leave a hole is refused', () => {
    expect(() => ask(ordered, [{ ...missing(1), run: 'held', generation: 1 }, missing(2)], {}, { anchor })).toThrow(
      expect.objectContaining({ code: 'backfill.gap', next: expect.stringContaining('--reprocess failed') as string }),
    );
    expect(() => ask(ordered, [{ ...missing(1), run: 'open', generation: 1 }], {}, { anchor })).toThrow(
      expect.objectContaining({ code: 'backfill.gap', next: expect.stringContaining('--wait') as string }),
    );
  });

  it('goes forward only', () => {
    expect(() => ask(ordered, [missing(1)], { order: 'backward' })).toThrow(expect.objectContaining({ code: 'run.usage' }));
  });
});

describe('whatever the ledger says', () => {
  const anyFacts = (plan: Plan): fc.Arbitrary<WindowFacts[]> =>
    fc
      .array(
        fc.record({
          generation: fc.integer({ min: 1, max: 4 }),
          run: fc.constantFrom('none' as const, 'held' as const, 'failed' as const, 'stopped' as const, 'succeeded' as const),
          stands: fc.subarray(plan.stages.map(({ id }) => id)),
          old: fc.subarray(plan.stages.map(({ id }) => id)),
          changed: fc.subarray(['read', 'add']),
        }),
        { minLength: 1, maxLength: 12 },
      )
      .map((list) =>
        list.map(({ generation, run, stands, old, changed }, index) => {
          const done = run === 'succeeded';
          const made = standing(plan, day(index + 1));
          const kept = done ? Object.keys(made) : run === 'none' ? [] : stands;
          return {
            window: day(index + 1),
            generation: run === 'none' ? 0 : generation,
            run,
            accepted: done ? [`total@${day(index + 1)}#v1`] : null,
            standing: Object.fromEntries(
              kept.map((id) => [id, old.includes(id) ? { hash: 'old', versions: [] } : (made[id] ?? { hash: '', versions: [] })]),
            ),
            changedInputs: done ? changed : [],
            stale: [],
          };
        }),
      );
  const question = fc.constantFrom(ordered, independent).chain((plan) =>
    fc.record({
      plan: fc.constant(plan),
      facts: anyFacts(plan),
      reprocess: fc.constantFrom(...REPROCESS),
      fromStage: fc.constantFrom(null, ...plan.stages.map(({ id }) => id)),
    }),
  );
  const planned = ({
    plan,
    facts,
    reprocess,
    fromStage,
  }: { plan: Plan; facts: WindowFacts[] } & Pick<BackfillRequest, 'reprocess' | 'fromStage'>): BackfillPlan | undefined => {
    try {
      return ask(plan, facts, { reprocess, fromStage });
    } catch (error) {
      expect(error).toMatchObject({ code: 'backfill.gap' });
      return undefined;
    }
  };

  it('every window is built or left, every stage of a built one runs or is carried as this code made it', () => {
    fc.assert(
      fc.property(question, (given) => {
        const result = planned(given);
        if (result === undefined) return;
        const { plan, facts } = given;
        expect([...result.windows, ...result.left].map(({ window }) => window).sort()).toEqual(facts.map(({ window }) => window));
        for (const { window, stages, carried } of result.windows) {
          const fact = facts.find((one) => one.window === window);
          expect([...stages, ...carried].map(({ stage }) => stage).sort()).toEqual(plan.stages.map(({ id }) => id).sort());
          // Where all stages stand and nothing is accepted, only the acceptance is left to do.
          if (fact?.accepted !== null) expect(stages).not.toHaveLength(0);
          const kept = new Set(carried.map(({ stage }) => stage));
          for (const stage of plan.stages.filter(({ id }) => kept.has(id))) {
            expect(fact?.standing[stage.id]?.hash).toBe(stage.hash);
            expect(stage.needs.every((need) => kept.has(need))).toBe(true);
          }
        }
        // A window that is not accepted is built whenever the mode is for it.
        if (given.reprocess !== 'missing')
          for (const { window } of result.left) expect(facts.find((one) => one.window === window)?.accepted).not.toBeNull();
      }),
      { numRuns: 500 },
    );
  });

  it('an ordered range leaves no window behind the first that it builds, if that reads the one before', () => {
    fc.assert(
      fc.property(question, (given) => {
        const result = planned(given);
        if (result === undefined || given.plan.chain !== 'ordered' || result.windows.length === 0) return;
        expect(previousReaders(given.plan)).toEqual(['add']);
        const first = given.facts.findIndex(({ window }) => window === result.windows[0]?.window);
        expect(result.windows.map(({ window }) => window)).toEqual(given.facts.slice(first).map(({ window }) => window));
      }),
      { numRuns: 300 },
    );
  });

  it('the same question has the same hash and no drift; another answer has another hash and names its drift', () => {
    fc.assert(
      fc.property(question, question, (one, two) => {
        const [a, b] = [planned(one), planned(two)];
        if (a === undefined || b === undefined) return;
        const again = planned(structuredClone(one));
        expect(again && backfillHash(again, hash)).toBe(backfillHash(a, hash));
        expect(driftOf(a, a)).toEqual([]);
        const same = { ...b, request: a.request, chain: a.chain };
        expect(driftOf(a, same).length > 0).toBe(backfillHash(a, hash) !== backfillHash(same, hash));
      }),
      { numRuns: 500 },
    );
  });
});

describe('drift', () => {
  it('names window, stage, old and new', () => {
    const before = ask(independent, [missing(1), missing(2)]);
    const after = ask(planOf('independent', 'select 2 * n as n from added'), [missing(1), accepted(2, independent)]);
    const lines = driftOf(before, after);
    expect(lines[0]).toMatch(new RegExp(`^${day(1)} add: code [0-9a-f]{12} → [0-9a-f]{12}$`));
    expect(lines).toContain(`${day(2)}: to be built → left alone (accepted)`);
  });

  it('of what is pinned or carried is named too', () => {
    const pinned = (version: string): BackfillPlan => ask(ordered, [missing(1)], {}, { anchor: { window: day(0), accepted: [version] } });
    expect(driftOf(pinned('total@x#v1'), pinned('total@x#v2'))).toEqual([`${day(1)}: goes on from total@x#v1 → total@x#v2`]);
    const again = (generation: number): BackfillPlan => ask(independent, [accepted(1, independent, { generation })], { reprocess: 'all' });
    expect(driftOf(again(1), again(2))).toEqual([`${day(1)}: generation 1 → 2, somebody ran it`]);
  });
});

describe('the estimate', () => {
  const windows = ask(independent, [missing(1), missing(2)]).windows;
  const history = { read: { seconds: 60, bytes: 10 }, add: { seconds: 120, bytes: 5 } };

  it('follows the longest way through the stages, so many windows at a time', () => {
    expect(estimateBackfill(independent, windows, history, 1)).toEqual({ minutes: 6, bytes: 30, noHistory: ['top'] });
    expect(estimateBackfill(independent, windows, history, 2).minutes).toBe(3);
  });

  it('is nothing where nothing is left, whatever the history', () => {
    expect(estimateBackfill(independent, [], {}, 1)).toEqual({ minutes: 0, bytes: 0, noHistory: [] });
  });

  it('is none without a history', () => {
    expect(estimateBackfill(independent, windows, {}, 1)).toEqual({ minutes: null, bytes: null, noHistory: ['read', 'add', 'top'] });
  });
});
