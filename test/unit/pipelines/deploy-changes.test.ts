import { changedStages } from '../../../pipelines/deploy-changes';
import type { Plan } from '../../../pipelines/types';

const plan = (stages: Record<string, string>): Pick<Plan, 'stages'> => ({
  stages: Object.entries(stages).map(([id, hash]) => ({ id, hash })) as unknown as Plan['stages'],
});

test('stages that changed, came or went are named; what is the same is not', () => {
  expect(changedStages(plan({ read: '1', add: '1', old: '1' }), plan({ read: '1', add: '2', fresh: '1' }))).toEqual([
    { stage: 'add', change: 'changed' },
    { stage: 'fresh', change: 'added' },
    { stage: 'old', change: 'removed' },
  ]);
  expect(changedStages(plan({ read: '1' }), plan({ read: '1' }))).toEqual([]);
});
