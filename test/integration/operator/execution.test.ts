import type { RunRow } from '../../../activities/ledger/runs';
import { queryState, sendVerb } from '../../../operator/runs/execution';
import type { RunState } from '../../../pipelines/status';
import { testNamespace, uniqueName, type TestNamespace } from '../../support/temporal';

let temporal: TestNamespace;
beforeAll(async () => {
  temporal = await testNamespace();
});
afterAll(() => temporal[Symbol.asyncDispose]());

/** A run of the ledger that Temporal knows nothing of. */
function row(state: RunState): RunRow {
  return {
    run: { pipeline: uniqueName('plays'), window: '2026-01-02', branch: 'main', generation: 2 },
    state,
    claim: 'mine',
  } as RunRow;
}

const asked = { claim: 'mine', who: 'test', reason: 'test' };

test.each([
  ['a look at', (run: RunRow) => queryState(temporal.client, run)],
  ['a verb for', (run: RunRow) => sendVerb(temporal.client, run, 'cancel', asked)],
])('%s a run that was claimed and not begun says so, and how to begin it', async (_what, act) => {
  const run = row('claimed');
  const { pipeline } = run.run;
  await expect(act(run)).rejects.toMatchObject({
    code: 'run.stale',
    message: `${pipeline}/2026-01-02 generation 2 is claimed and has not begun`,
    next: `almanac why ${pipeline}/2026-01-02 says since when; almanac run ${pipeline} --window 2026-01-02 starts it again`,
  });
});

test.each([
  ['a look at', (run: RunRow) => queryState(temporal.client, run)],
  ['a verb for', (run: RunRow) => sendVerb(temporal.client, run, 'cancel', asked)],
])('%s a run that closed since the ledger was read says so', async (_what, act) => {
  const run = row('running');
  await expect(act(run)).rejects.toMatchObject({ code: 'run.stale', message: `${run.run.pipeline}/2026-01-02: it closed meanwhile` });
});
