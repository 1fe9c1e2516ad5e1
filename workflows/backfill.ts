import { condition, continueAsNew, proxyActivities, setHandler, setWorkflowOptions } from '@temporalio/workflow';
import type { BackfillActivities } from '../activities/tasks';
import { followsBuilds } from './follows-builds';
import { lookSignal } from './messages';

/** Steps before its history is cut: ten events each. */
const STEPS = 300;
const SHORTEST_SLEEP_MS = 250;
const LONGEST_SLEEP_MS = 5000;

const { stepBackfill } = proxyActivities<BackfillActivities>({
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '5 seconds',
  retry: { initialInterval: '500 ms', backoffCoefficient: 2, maximumInterval: '10 seconds' },
});

/** Steps through a backfill until it has nothing to do; what a step does is not its business. A verb starts or wakes it. */
export async function backfill(hash: string): Promise<void> {
  let asked = false;
  let quiet = 0;
  setHandler(lookSignal, () => {
    asked = true;
  });
  for (let steps = 0; steps < STEPS; steps++) {
    asked = false;
    const { idle, changed } = await stepBackfill(hash);
    if (idle && !asked) return;
    quiet = changed ? 0 : quiet + 1;
    // Looks become rarer as a run takes longer: what is waited in vain stays a share of what is worked.
    await condition(() => asked, Math.min(LONGEST_SLEEP_MS, SHORTEST_SLEEP_MS * 2 ** Math.min(quiet, 5)));
  }
  return continueAsNew<typeof backfill>(hash);
}

setWorkflowOptions(followsBuilds, backfill);
