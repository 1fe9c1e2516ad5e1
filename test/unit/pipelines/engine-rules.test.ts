import { engineProblems } from '../../../pipelines/engine-rules';
import { problemsOf } from '../../../pipelines/rules';
import type { ComputeSpec, PipelineSpec } from '../../../pipelines/types';

const specOf = (change: Partial<ComputeSpec>): PipelineSpec => ({
  id: 'sample',
  owner: 'team',
  window: { every: 'day', timezone: 'UTC' },
  chain: 'independent',
  datasets: { events: { columns: { user_id: 'text' } }, report: { columns: { user_id: 'text' } } },
  stages: {
    events: { kind: 'ingest', landing: 'events', writes: 'events' },
    report: { kind: 'compute', reads: { events: 'events' }, sql: 'report.sql', writes: 'report', ...change },
  },
});

it.each<ComputeSpec['engine']>([undefined, 'duckdb', 'spark', { sparkAbove: '20GB' }, { sparkAbove: '0.5 TiB' }])(
  'lets a stage declare the engine %j',
  (engine) => {
    expect(problemsOf(specOf(engine === undefined ? {} : { engine }))).toEqual([]);
  },
);

it.each<[unknown, string, string]>([
  ['sprak', 'stages.report.engine', `"sprak" is none of 'duckdb', 'spark', 'none' and { sparkAbove: '20GB' }`],
  [{ above: '20GB' }, 'stages.report.engine', `{"above":"20GB"} is none of 'duckdb', 'spark', 'none' and { sparkAbove: '20GB' }`],
  [null, 'stages.report.engine', `null is none of 'duckdb', 'spark', 'none' and { sparkAbove: '20GB' }`],
  [{ sparkAbove: '20 gigabytes' }, 'stages.report.engine.sparkAbove', '"20 gigabytes" is no size such as 20GB or 512MiB'],
  [{ sparkAbove: 20e9 }, 'stages.report.engine.sparkAbove', '20000000000 is no size such as 20GB or 512MiB'],
])('refuses the engine %j at its place', (engine, place, message) => {
  expect(engineProblems('stages.report', engine)).toEqual([{ place, message }]);
  expect(problemsOf(specOf({ engine: engine as ComputeSpec['engine'] & string }))).toEqual([{ place, message }]);
});

it('refuses a stage that names the text for Spark instead of the one text', () => {
  expect(problemsOf(specOf({ sql: 'report.spark.sql' }))).toEqual([
    { place: 'stages.report', message: '"report.spark.sql" is what Spark runs in the place of "report.sql"; name that one' },
  ]);
});
