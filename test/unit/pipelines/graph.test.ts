import fc from 'fast-check';
import type { GraphNode } from '../../../pipelines/graph';
import { cyclePath, downstream, graphOf, impliedNeeds, layers } from '../../../pipelines/graph';
import type { Metric, StageSpec } from '../../../pipelines/types';

const stages: Record<string, StageSpec> = {
  events: { kind: 'ingest', landing: 'events', writes: 'events' },
  names: { kind: 'ingest', reference: 'names.csv', writes: 'names' },
  update: { kind: 'compute', reads: { added: 'events', before: { previous: 'state' } }, sql: 'u.sql', writes: 'state' },
  report: { kind: 'compute', reads: { state: 'state', names: 'names' }, sql: 'r.sql', writes: 'report' },
  judge: {
    kind: 'check',
    suite: {
      checks: [
        {
          id: 'known',
          dataset: 'report',
          measure: { metric: 'missing-references', column: 'id', in: { dataset: 'names', column: 'id' } },
          why: '.',
        },
        { id: 'late', dataset: 'report', measure: { metric: 'quarantine-ratio', stage: 'events', reasons: ['late'] }, why: '.' },
      ],
    },
  },
  publish: { kind: 'publish', needs: ['judge'], mode: 'newest', tables: { report: { from: 'report', key: ['id'] } } },
};

describe('impliedNeeds', () => {
  it.each([
    ['events', []],
    ['update', ['events']],
    ['report', ['names', 'update']],
    ['judge', ['events', 'names', 'report']],
    ['publish', ['report']],
  ])('of %s are the writers of what it looks at: %j', (id, needs) => {
    expect(impliedNeeds(stages, id)).toEqual(needs);
  });
});

test.each<Metric>([
  { metric: 'referential-integrity', columns: ['id'], in: { dataset: 'names', columns: ['id'] } },
  { metric: 'row-count-match', dataset: 'names' },
  { metric: 'custom-sql', sql: 'select count(*) from names', datasets: ['names'] },
])('a gate waits for the writer of every dataset it judges by: $metric', (measure) => {
  const gate: StageSpec = { kind: 'check', suite: { checks: [{ id: 'c', dataset: 'report', measure, fail: { min: 1 }, why: '.' }] } };
  expect(impliedNeeds({ ...stages, gate }, 'gate')).toEqual(['names', 'report']);
});

test('who reads a dataset waits for the gate that puts rows of it aside, but for that gate', () => {
  const priced = { id: 'named', dataset: 'names', measure: { metric: 'completeness', column: 'id' }, mostly: 0.9, why: '.' } as const;
  const gate: StageSpec = { kind: 'check', suite: { checks: [{ ...priced, onFail: 'quarantine' }] } };
  const needs = (id: string): string[] => impliedNeeds({ ...stages, gate }, id);
  expect([needs('gate'), needs('report'), needs('update')]).toEqual([['names'], ['gate', 'names', 'update'], ['events']]);
});

describe('graphOf', () => {
  it('joins explicit and implied needs, sorted', () => {
    expect(graphOf(stages).find((node) => node.id === 'publish')).toEqual({ id: 'publish', needs: ['judge', 'report'] });
  });
});

describe('layers', () => {
  it('puts every stage after what it needs', () => {
    expect(layers(graphOf(stages))).toEqual([['events', 'names'], ['update'], ['report'], ['judge'], ['publish']]);
  });

  it('refuses a cycle rather than leaving its stages out', () => {
    expect(() => layers([{ id: 'a', needs: ['a'] }])).toThrow('need each other');
  });
});

describe('downstream', () => {
  it('is everything that needs the stage, however far', () => {
    expect(downstream(graphOf(stages), 'update')).toEqual(['report', 'judge', 'publish']);
    expect(downstream(graphOf(stages), 'publish')).toEqual([]);
  });
});

/** Nodes `0 … n−1`, each needing only earlier ones: any graph without a cycle, shuffled. */
const acyclic: fc.Arbitrary<GraphNode[]> = fc
  .array(fc.array(fc.nat(), { maxLength: 4 }), { minLength: 1, maxLength: 20 })
  .map((rows) => rows.map((needs, at) => ({ id: `s${at}`, needs: at === 0 ? [] : [...new Set(needs.map((need) => `s${need % at}`))] })))
  .chain((nodes) => fc.shuffledSubarray(nodes, { minLength: nodes.length }));

describe('any graph without a cycle', () => {
  it('has layers that hold each stage once, after its needs', () => {
    fc.assert(
      fc.property(acyclic, (nodes) => {
        const order = layers(nodes);
        const layerOf = new Map(order.flatMap((layer, at) => layer.map((id) => [id, at] as const)));
        expect(order.flat().sort()).toEqual(nodes.map((node) => node.id).sort());
        for (const node of nodes) for (const need of node.needs) expect(layerOf.get(need)).toBeLessThan(layerOf.get(node.id) ?? -1);
        expect(cyclePath(nodes)).toBeUndefined();
      }),
    );
  });

  it('gets one when a stage is made to need one below it, and the path found is real', () => {
    fc.assert(
      fc.property(acyclic, fc.nat(), fc.nat(), (nodes, which, below) => {
        const node = nodes[which % nodes.length] as GraphNode;
        const under = [node.id, ...downstream(nodes, node.id)];
        const closed = nodes.map((other) =>
          other.id === node.id ? { ...other, needs: [...other.needs, under[below % under.length] as string] } : other,
        );
        const path = cyclePath(closed) ?? [];
        expect(path.length).toBeGreaterThan(1);
        expect(path[0]).toBe(path.at(-1));
        path.slice(1).forEach((need, at) => expect(closed.find((other) => other.id === path[at])?.needs).toContain(need));
      }),
    );
  });
});
