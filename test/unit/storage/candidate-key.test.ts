import fc from 'fast-check';
import { candidateKey, type CandidateIdentity } from '../../../activities/storage/candidate-key';

const version = (dataset: string) => ({ dataset, window: '2026-03-10', version: 'v1', digest: 'd1' });
const file = (path: string) => ({ path, bytes: 3, sha256: 'abc' });
const IDENTITY: CandidateIdentity = {
  run: { pipeline: 'p', window: '2026-03-10', branch: 'main', generation: 1 },
  stage: 's',
  stageHash: 'h',
  inputs: [version('a'), version('b'), version('c')],
  bootstrap: false,
  landing: [file('x'), file('y'), file('z')],
};

test('attempts of one stage arrive at one key, in whatever order they list their inputs', () => {
  fc.assert(
    fc.property(
      fc.shuffledSubarray(['a', 'b', 'c'], { minLength: 3 }),
      fc.shuffledSubarray(['x', 'y', 'z'], { minLength: 3 }),
      (inputs, landing) => {
        expect(candidateKey({ ...IDENTITY, inputs: inputs.map(version), landing: landing.map(file) })).toBe(candidateKey(IDENTITY));
      },
    ),
  );
  expect(candidateKey(IDENTITY)).toMatch(/^[0-9a-f]{20}$/);
});

test.each<[string, Partial<CandidateIdentity>]>([
  ['generation', { run: { ...IDENTITY.run, generation: 2 } }],
  ['window', { run: { ...IDENTITY.run, window: '2026-03-11' } }],
  ['branch', { run: { ...IDENTITY.run, branch: 'b' } }],
  ['stage', { stage: 't' }],
  ['code', { stageHash: 'i' }],
  ['bootstrap', { bootstrap: true }],
  ['input', { inputs: [version('a'), version('b'), { ...version('c'), version: 'v2' }] }],
  ['landing file', { landing: [file('x'), file('y'), { ...file('z'), sha256: 'abd' }] }],
  ['missing landing file', { landing: [file('x'), file('y')] }],
])('another %s gives another key', (_what, change) => {
  expect(candidateKey({ ...IDENTITY, ...change })).not.toBe(candidateKey(IDENTITY));
});
