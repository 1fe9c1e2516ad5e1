import { createHash } from 'node:crypto';
import { buildPlan, outline, planDiff } from '../../../pipelines/plan';
import type { ComputeSpec, ParamValue, PipelineSpec, Plan, StageSpec } from '../../../pipelines/types';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

const spec: PipelineSpec = {
  id: 'sample',
  owner: 'team',
  window: { every: 'day', timezone: 'UTC' },
  chain: 'ordered',
  params: { days: 30, floor: 5, label: 'x', strict: false },
  datasets: {
    events: { columns: { user_id: 'text', ts: 'timestamp' } },
    state: { kind: 'state', columns: { user_id: 'text', plays: 'bigint' }, key: ['user_id'] },
    report: { columns: { plays: 'bigint' } },
  },
  stages: {
    publish: { kind: 'publish', needs: ['judge'], mode: 'newest', tables: { live: { from: 'report', key: ['plays'] } } },
    events: { kind: 'ingest', landing: 'events', writes: 'events', eventTime: 'ts' },
    update: {
      kind: 'compute',
      reads: { added: 'events', before: { previous: 'state' } },
      sql: 'update.sql',
      bootstrap: 'all.sql',
      writes: 'state',
    },
    report: { kind: 'compute', reads: { state: 'state' }, sql: 'report.sql', writes: 'report' },
    judge: {
      kind: 'check',
      suite: {
        checks: [
          {
            id: 'few',
            dataset: 'report',
            measure: { metric: 'rows-where', predicate: 'plays < $floor' },
            fail: { max: 0 },
            owner: 'o',
            why: 'w',
          },
        ],
      },
    },
  },
};
const texts = new Map([
  ['update.sql', 'select * from added where ts > $window_end - interval ($days) day'],
  ['all.sql', 'select * from events where ts < $window_end'],
  ['report.sql', "select count(*) as plays, '$label' from state"],
]);

const plan = (change: Partial<PipelineSpec> = {}, files = texts, params: Record<string, ParamValue> = {}): Plan =>
  buildPlan({ ...spec, ...change }, files, params, sha256);
const withStage = (id: string, change: object): Partial<PipelineSpec> => ({
  stages: { ...spec.stages, [id]: { ...(spec.stages[id] as StageSpec), ...change } as StageSpec },
});
const base = plan();
/** Stages whose hash a change moves. */
const moved = (other: Plan): string[] => planDiff(base, other).changed.map(({ stage }) => stage);

describe('buildPlan', () => {
  it('keeps the order of declaration and names all needs', () => {
    expect(outline(base)).toEqual([
      { id: 'publish', kind: 'publish', needs: ['judge', 'report'], timeoutSeconds: 3600 },
      { id: 'events', kind: 'ingest', needs: [], timeoutSeconds: 3600 },
      { id: 'update', kind: 'compute', needs: ['events'], timeoutSeconds: 3600 },
      { id: 'report', kind: 'compute', needs: ['update'], timeoutSeconds: 3600 },
      { id: 'judge', kind: 'check', needs: ['report'], timeoutSeconds: 3600 },
    ]);
  });

  it('names texts by hash and the params they use', () => {
    const update = base.stages.find(({ id }) => id === 'update');
    expect(update?.sqlHash).toBe(sha256(texts.get('update.sql') ?? ''));
    expect(update?.bootstrapHash).toBe(sha256(texts.get('all.sql') ?? ''));
    expect(base.stages.map(({ id, params }) => [id, params])).toEqual([
      ['publish', undefined],
      ['events', undefined],
      ['update', ['days']],
      ['report', undefined],
      ['judge', ['floor']],
    ]);
  });

  it('is the same plan each time, whatever the order of members', () => {
    const reversed = { ...spec, params: Object.fromEntries(Object.entries(spec.params ?? {}).reverse()) };
    expect(buildPlan(reversed, texts, {}, sha256).hash).toBe(base.hash);
    expect(JSON.parse(JSON.stringify(base))).toEqual(base);
  });

  it.each<[string, Partial<PipelineSpec>]>([
    ['owner', { owner: 'others' }],
    ['schedule', { schedule: { cron: '0 2 * * *', timezone: 'UTC', gap: 'shift', fold: 'first', catchUp: 'all', overlap: 'queue' } }],
    ['deadline', { deadline: { published: '06:00' } }],
    ['timeouts', withStage('update', { timeoutSeconds: 5 })],
    ['waiting', withStage('events', { ready: { files: 2 } })],
    [
      'masking',
      {
        datasets: {
          ...spec.datasets,
          state: { ...(spec.datasets['state'] as object), columns: { user_id: 'text', plays: 'bigint' }, pii: ['user_id'] },
        },
      },
    ],
  ])('leaves every hash of a stage alone when only %s changes', (_what, change) => {
    expect(plan(change).stages.map(({ hash }) => hash)).toEqual(base.stages.map(({ hash }) => hash));
  });

  it('lets the accepted windows that a sense stage pins decide its hash, and nothing else that it waits for', () => {
    const accepted = { kind: 'accepted', pipeline: 'other', window: spec.window, windows: 'same' } as const;
    const quiet = { kind: 'quiet', landing: 'events', minutes: 5 } as const;
    const waiting = (change: object): Plan =>
      plan({ stages: { ...spec.stages, wait: { kind: 'sense', conditions: [], resolved: [accepted, quiet], ...change } } });
    const hashOf = ({ stages }: Plan): string | undefined => stages.find(({ id }) => id === 'wait')?.hash;
    const first = hashOf(waiting({}));
    expect(hashOf(waiting({ patience: '2h', resolved: [accepted, { ...quiet, minutes: 9 }] }))).toBe(first);
    expect(hashOf(waiting({ resolved: [{ ...accepted, windows: 'previous' }, quiet] }))).not.toBe(first);
    expect(outline(waiting({ patience: '90m' })).at(-1)).toEqual({
      id: 'wait',
      kind: 'sense',
      needs: [],
      timeoutSeconds: 3600,
      patienceSeconds: 5400,
    });
  });

  it('leaves hashes alone when a check changes who is told and why', () => {
    const checks = [
      { id: 'few', dataset: 'report', measure: { metric: 'rows-where', predicate: 'plays < $floor' }, fail: { max: 0 }, why: 'other' },
    ];
    expect(moved(plan(withStage('judge', { suite: { checks } })))).toEqual([]);
  });

  it.each<[string, object]>([
    ['mostly', { mostly: 0.9 }],
    ['drift', { warn: 'drift', drift: { method: 'rate' } }],
    ['onFail', { onFail: 'warn' }],
    ['as', { as: 'ratio' }],
  ])('moves the hash of a gate when a check is judged otherwise: %s', (_what, more) => {
    const few = {
      id: 'few',
      dataset: 'report',
      measure: { metric: 'rows-where', predicate: 'plays < $floor' },
      fail: { max: 0 },
      why: 'w',
    };
    expect(moved(plan(withStage('judge', { suite: { checks: [{ ...few, ...more }] } })))).toEqual(['publish', 'judge']);
  });

  it.each<[string, Plan, string[]]>([
    ['a text', plan({}, new Map([...texts, ['report.sql', 'select 1 as plays']])), ['publish', 'report', 'judge']],
    ['a bootstrap text', plan({}, new Map([...texts, ['all.sql', 'select 1']])), ['publish', 'update', 'report', 'judge']],
    ['a param one stage uses', plan({}, texts, { floor: 6 }), ['publish', 'judge']],
    ['a param nobody uses', plan({}, texts, { label: 'y' }), []],
    ['where a stage reads from', plan(withStage('update', { reads: { added: 'events' } })), ['publish', 'update', 'report', 'judge']],
    [
      'the schema a stage writes',
      plan({ datasets: { ...spec.datasets, report: { columns: { plays: 'integer' } } } }),
      ['publish', 'report', 'judge'],
    ],
    [
      'the order of columns',
      plan({ datasets: { ...spec.datasets, state: { columns: { plays: 'bigint', user_id: 'text' }, key: ['user_id'] } } }),
      ['publish', 'update', 'report', 'judge'],
    ],
    ['how a stage runs', plan(withStage('report', { each: 'bucket' })), ['publish', 'report', 'judge']],
    [
      'a band',
      plan(
        withStage('judge', {
          suite: { checks: [{ id: 'few', dataset: 'report', measure: { metric: 'rows' }, fail: { min: 1 }, why: 'w' }] },
        }),
      ),
      ['publish', 'judge'],
    ],
  ])('moves the hash of the stage and of all below it with %s', (_what, other, expected) => {
    expect(moved(other)).toEqual(expected);
  });

  it('refuses a text that is not there, naming the file and the stage', () => {
    expect(() => plan(withStage('report', { sql: 'reprot.sql' }))).toThrow(
      expect.objectContaining({
        code: 'pipeline.invalid',
        message: expect.stringContaining('stages.report: there is no file pipelines/sample/sql/reprot.sql'),
      }),
    );
  });

  it('refuses a placeholder nobody fills, naming file and line', () => {
    const files = new Map([...texts, ['report.sql', 'select\n  $dayz as plays']]);
    expect(() => plan({}, files)).toThrow(
      expect.objectContaining({
        code: 'sql.placeholder',
        message: expect.stringContaining('$dayz at line 2 of pipelines/sample/sql/report.sql'),
      }),
    );
  });

  it('reads overrides as the declared type, as they come from a command line', () => {
    expect(plan({}, texts, { days: '7', strict: 'true', label: '9' }).params).toEqual({ days: 7, floor: 5, label: '9', strict: true });
  });

  it.each<[Record<string, ParamValue>, string]>([
    [{ dayz: 1 }, 'has no param "dayz"'],
    [{ constructor: 1 }, 'has no param "constructor"'],
    [{ days: 'many' }, '"many" is no number'],
    [{ days: '' }, '"" is no number'],
    [{ strict: 'yes' }, '"yes" is no boolean'],
    [{ label: 3 }, '"3" is no string'],
  ])('refuses the override %j', (params, message) => {
    expect(() => plan({}, texts, params)).toThrow(
      expect.objectContaining({ code: 'param.invalid', message: expect.stringContaining(message) }),
    );
  });
});

describe('planDiff', () => {
  it('is empty between equal plans', () => {
    expect(planDiff(base, plan())).toEqual({ added: [], removed: [], changed: [] });
  });

  it('names every reason of a change, and upstream for what lies below', () => {
    const other = plan(
      {
        datasets: { ...spec.datasets, state: { columns: { user_id: 'text', plays: 'integer' }, key: ['user_id'] } },
        ...withStage('update', { reads: { added: 'events' } }),
      },
      new Map([...texts, ['update.sql', 'select 1 where $days > 0']]),
      { days: 7 },
    );
    expect(planDiff(base, other).changed).toEqual([
      { stage: 'publish', reasons: ['upstream'] },
      { stage: 'update', reasons: ['text', 'params', 'schema', 'declaration'] },
      { stage: 'report', reasons: ['upstream'] },
      { stage: 'judge', reasons: ['upstream'] },
    ]);
  });

  it('names stages added and removed', () => {
    const { report, ...stages } = spec.stages;
    const other = plan({ stages: { ...stages, summary: { ...(report as ComputeSpec) } } });
    expect(planDiff(base, other)).toMatchObject({ added: ['summary'], removed: ['report'] });
  });
});

test('a pool is part of the plan and of what the workflow gets, of no hash', () => {
  const pooled = plan(withStage('update', { pool: { name: 'warehouse' } }));
  expect(moved(pooled)).toEqual([]);
  expect(pooled.hash).not.toBe(base.hash);
  expect(outline(pooled).find(({ id }) => id === 'update')).toMatchObject({ pool: { name: 'warehouse', permits: 1 } });
  expect(outline(base).some((stage) => 'pool' in stage)).toBe(false);
});
