import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { engineText, isSparkVariant, sparkVariant, textsOfStage, variedText } from '../../../pipelines/engine-texts';
import { buildPlan, planDiff, withEngine } from '../../../pipelines/plan';
import type { ComputeSpec, PipelineSpec, Plan, PlanStage } from '../../../pipelines/types';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

const update: ComputeSpec = {
  kind: 'compute',
  reads: { added: 'events', before: { previous: 'state' } },
  sql: 'update.sql',
  bootstrap: 'all.sql',
  writes: 'state',
};
const specOf = (engine?: ComputeSpec['engine']): PipelineSpec => ({
  id: 'sample',
  owner: 'team',
  window: { every: 'day', timezone: 'UTC' },
  chain: 'ordered',
  params: { days: 30, floor: 5 },
  datasets: {
    events: { columns: { user_id: 'text' } },
    state: { kind: 'state', columns: { user_id: 'text' } },
    report: { columns: { plays: 'bigint' } },
  },
  stages: {
    events: { kind: 'ingest', landing: 'events', writes: 'events' },
    update: { ...update, ...(engine === undefined ? {} : { engine }) },
    report: { kind: 'compute', reads: { state: 'state' }, sql: 'report.sql', writes: 'report' },
  },
});
const main: Record<string, string> = {
  'update.sql': 'select user_id from added limit $days',
  'all.sql': 'select user_id from added',
  'report.sql': 'select count(*) as plays from state',
};
const planOf = (more: Record<string, string> = {}, engine?: ComputeSpec['engine'], params = {}): Plan =>
  buildPlan(specOf(engine), new Map(Object.entries({ ...main, ...more })), params, sha256);
const hashes = ({ stages }: Plan): string[] => stages.map(({ hash }) => hash);
const stageOf = ({ stages }: Plan, id: string): PlanStage => {
  const stage = stages.find((one) => one.id === id);
  if (stage === undefined) throw new Error(`no stage ${id}`);
  return stage;
};
const base = planOf();
const variant = { 'update.spark.sql': 'select `user_id` from added limit $floor' };
const engines = fc.oneof(
  fc.constantFrom<ComputeSpec['engine'][]>(undefined, 'duckdb', 'spark'),
  fc.nat().map((mb) => ({ sparkAbove: `${mb}MB` })),
);
const forced = fc.constantFrom('duckdb', 'spark', undefined);

it('gives the same stage hashes whatever engine is declared or forced, with variants and without', () => {
  fc.assert(
    fc.property(engines, forced, fc.boolean(), (declared, force, varied) => {
      const texts = varied ? variant : {};
      const plan = withEngine(planOf(texts, declared), force, sha256);
      expect(hashes(plan)).toEqual(hashes(planOf(texts)));
      expect(planDiff(planOf(texts), plan)).toEqual({ added: [], removed: [], changed: [] });
    }),
  );
});

it('freezes the forced engine into the plan, which is another plan then', () => {
  const forcedPlan = withEngine(base, 'spark', sha256);
  expect(forcedPlan.engine).toBe('spark');
  expect(forcedPlan.hash).not.toBe(base.hash);
  expect(withEngine(forcedPlan, 'spark', sha256)).toBe(forcedPlan);
  expect(withEngine(forcedPlan, undefined, sha256)).toBe(forcedPlan);
  expect(withEngine(withEngine(base, 'duckdb', sha256), 'spark', sha256)).toEqual(forcedPlan);
  expect('engine' in base).toBe(false);
});

it('makes a join point another stage than one that computes', () => {
  const none = buildPlan(
    { ...specOf(), stages: { ...specOf().stages, report: { kind: 'compute', engine: 'none', needs: ['update'] } } },
    new Map(Object.entries(main)),
    {},
    sha256,
  );
  expect(planDiff(base, none).changed).toMatchObject([{ stage: 'report' }]);
});

it('has a text for Spark and its params in the hash, and what is below it', () => {
  const plan = planOf(variant);
  expect(stageOf(plan, 'update')).toMatchObject({ sparkHash: sha256(variant['update.spark.sql']), params: ['days', 'floor'] });
  expect(stageOf(plan, 'update').sparkBootstrapHash).toBeUndefined();
  expect(planDiff(base, plan).changed).toEqual([
    { stage: 'update', reasons: ['text', 'params'] },
    { stage: 'report', reasons: ['upstream'] },
  ]);
  fc.assert(
    fc.property(fc.constantFrom('update', 'all'), fc.stringMatching(/^[a-z ]{1,20}$/), (name, edit) => {
      const file = `${name}.spark.sql`;
      const before = planOf({ [file]: 'select 1' });
      expect(planDiff(before, planOf({ [file]: `select 1 ${edit}` })).changed).toEqual([
        { stage: 'update', reasons: ['text'] },
        { stage: 'report', reasons: ['upstream'] },
      ]);
    }),
  );
  expect(planDiff(plan, planOf(variant, undefined, { floor: 6 })).changed[0]).toEqual({ stage: 'update', reasons: ['params'] });
});

it('refuses a placeholder of a variant that nobody fills, naming its file and line', () => {
  expect(() => planOf({ 'update.spark.sql': 'select\n  $dayz' })).toThrow(
    expect.objectContaining({
      code: 'sql.placeholder',
      message: expect.stringContaining('$dayz at line 2 of pipelines/sample/sql/update.spark.sql'),
    }),
  );
});

it('takes the text of the engine, and the one text where there is no other', () => {
  const plan = planOf({ ...variant, 'all.spark.sql': 'select 2' });
  const stage = stageOf(plan, 'update');
  expect(engineText(stage, 'duckdb', false)).toEqual({ file: 'update.sql', hash: stage.sqlHash });
  expect(engineText(stage, 'spark', false)).toEqual({ file: 'update.spark.sql', hash: stage.sparkHash });
  expect(engineText(stage, 'spark', true)).toEqual({ file: 'all.spark.sql', hash: stage.sparkBootstrapHash });
  expect(engineText(stageOf(base, 'update'), 'spark', true)).toEqual({ file: 'all.sql', hash: stage.bootstrapHash });
  expect(engineText(stageOf(plan, 'report'), 'spark', true)).toBeUndefined();
  expect(engineText(stageOf(plan, 'events'), 'spark', false)).toBeUndefined();
  expect(
    textsOfStage(stage)
      .map(({ file }) => file)
      .sort(),
  ).toEqual(['all.spark.sql', 'all.sql', 'update.spark.sql', 'update.sql']);
  expect(textsOfStage(stageOf(plan, 'report')).map(({ file }) => file)).toEqual(['report.sql']);
});

it('is read from a plan that an older build froze', () => {
  const { sparkHash: _sparkHash, ...frozen } = stageOf(planOf(variant), 'update');
  expect(engineText(frozen, 'spark', false)).toEqual({ file: 'update.sql', hash: frozen.sqlHash });
});

it('names variants after the text they stand for', () => {
  expect(sparkVariant('update-udb.sql')).toBe('update-udb.spark.sql');
  expect(variedText('update-udb.spark.sql')).toBe('update-udb.sql');
  expect(['a.sql', 'a.spark.sql', 'spark.sql', 'a.sparksql'].filter(isSparkVariant)).toEqual(['a.spark.sql']);
});

it('moves an ingest that carries on when a text for Spark of what it carries changes', () => {
  const stages: PipelineSpec['stages'] = {
    seen: { kind: 'ingest', landing: 'events', folders: 'every', writes: 'events' },
    update: {
      kind: 'compute',
      reads: { added: 'events', before: { previous: 'state', since: 'events' } },
      sql: 'update.sql',
      writes: 'state',
    },
  };
  const plan = (more: Record<string, string>): Plan =>
    buildPlan({ ...specOf(), stages }, new Map(Object.entries({ ...main, ...more })), {}, sha256);
  const before = plan({ 'update.spark.sql': 'select 1' });
  expect(planDiff(before, plan({ 'update.spark.sql': 'select 2' })).changed).toEqual([
    { stage: 'seen', reasons: ['text'] },
    { stage: 'update', reasons: ['text', 'upstream'] },
  ]);
  const { stages: frozen } = plan({});
  expect(frozen[0]?.hash).not.toBe(before.stages[0]?.hash);
});
