import { versionsFor, versionsOf } from '../../../pipelines/standing-versions';
import type { StageKind, StageOutput } from '../../../pipelines/types';

const stage = (id: string, kind: StageKind, ...needs: string[]) => ({ id, kind, needs });
const left = (dataset: string, version: string): StageOutput => ({
  ...{ rowsIn: 0, rowsOut: 0, bytesIn: 0, bytesOut: 0 },
  versions: [{ dataset, window: 'w', version, digest: version }],
});

const STAGES = [
  stage('judge', 'check', 'load'),
  stage('load', 'ingest'),
  stage('sum', 'compute', 'judge', 'load'),
  stage('beside', 'check', 'load'),
  stage('last', 'check', 'sum'),
];
const OUTPUTS = { load: left('orders', 'raw'), judge: left('orders', 'clean'), sum: left('sums', 'first') };

test('of a dataset that a gate put rows aside of, the version it left counts, wherever it is declared', () => {
  expect(versionsOf(STAGES, OUTPUTS).map(({ dataset, version }) => [dataset, version])).toEqual([
    ['orders', 'clean'],
    ['sums', 'first'],
  ]);
});

test.each([
  ['the gate itself, on its second try', 'judge', 'raw'],
  ['a stage after it', 'sum', 'clean'],
  ['a stage that only comes after one after it', 'last', 'clean'],
  ['a stage that waits for something else', 'beside', 'raw'],
])('%s reads what was there before it', (_who, id, version) => {
  expect(versionsFor(STAGES, id, OUTPUTS).get('orders')?.version).toBe(version);
});

test('nobody reads what it left itself', () => {
  expect(versionsFor(STAGES, 'sum', OUTPUTS).get('sums')).toBeUndefined();
});
