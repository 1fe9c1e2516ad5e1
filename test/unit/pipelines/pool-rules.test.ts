import { compute, daily, definePipeline, defineProject, type ProjectSpec } from '../../../pipelines/define';
import { AlmanacError } from '../../../pipelines/failures';
import { MAX_PERMITS, usersAbove, type Pools } from '../../../pipelines/pool-rules';
import type { PipelineSpec, StageSpec } from '../../../pipelines/types';

const pipeline = (pool: StageSpec['pool']): PipelineSpec =>
  definePipeline({
    ...{ id: 'plays', owner: 'team', window: daily(), chain: 'independent', datasets: {} },
    stages: { load: compute({ engine: 'none', ...(pool && { pool }) }) },
  });

function refusal(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    if (error instanceof AlmanacError && error.code === 'pipeline.invalid') return error.message;
    throw error;
  }
  throw new Error('the declaration was accepted');
}
const project = (pools: Pools | undefined, pool: StageSpec['pool']): ProjectSpec =>
  defineProject({ pipelines: [pipeline(pool)], ...(pools && { pools }) });

test('a stage may use permits of a pool that the project declares', () => {
  const pool = { name: 'warehouse', permits: 4 };
  expect(project({ warehouse: 4 }, pool)).toMatchObject({ pools: { warehouse: 4 }, pipelines: [{ stages: { load: { pool } } }] });
  expect(project({ warehouse: 4 }, undefined).pools).toEqual({ warehouse: 4 });
});

test.each<[string, () => unknown, RegExp]>([
  [
    'a pool that is not declared',
    () => project({ mail: 1, scans: 2 }, { name: 'warehouse' }),
    /at plays\.stages\.load\.pool: .*no pool "warehouse"; its pools are mail, scans/,
  ],
  ['a pool of a project without pools', () => project(undefined, { name: 'warehouse' }), /declares no pool "warehouse"\.$/],
  ['a name that objects have', () => project({}, { name: 'constructor' }), /no pool "constructor"/],
  [
    'more permits than the pool has',
    () => project({ warehouse: 4 }, { name: 'warehouse', permits: 5 }),
    /5 permits are more than the 4 of pool "warehouse"/,
  ],
  ['no permits', () => pipeline({ name: 'warehouse', permits: 0 }), /at stages\.load\.pool\.permits: 0 is not a whole number from 1/],
  ['a part of a permit', () => pipeline({ name: 'warehouse', permits: 1.5 }), /1\.5 is not a whole number/],
  ['a name that is none', () => pipeline({ name: 'Ware house' }), /at stages\.load\.pool\.name: "Ware house" does not match/],
  ['a pool of nothing', () => project({ warehouse: 0 }, undefined), /at pools\.warehouse: 0 is not a whole number from 1 to/],
  ['a pool without end', () => project({ warehouse: MAX_PERMITS + 1 }, undefined), /at pools\.warehouse: /],
  ['a pool with a name that is none', () => project({ 'a b': 1 }, undefined), /at pools\.a b: the name does not match/],
])('%s is refused with its place', (_what, make, message) => {
  expect(refusal(make)).toMatch(message);
});

test('the stages that a smaller pool would be too small for are named with what they ask for', () => {
  const pipelines = [
    pipeline({ name: 'warehouse', permits: 3 }),
    { ...pipeline({ name: 'warehouse' }), id: 'games' },
    { ...pipeline({ name: 'mail', permits: 9 }), id: 'mails' },
    { ...pipeline(undefined), id: 'none' },
  ];
  expect(usersAbove('warehouse', 2, pipelines)).toEqual([{ stage: 'plays.load', permits: 3 }]);
  expect(usersAbove('warehouse', 0, pipelines).map(({ stage }) => stage)).toEqual(['plays.load', 'games.load']);
  expect(usersAbove('warehouse', 3, pipelines)).toEqual([]);
});
