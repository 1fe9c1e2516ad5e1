import { condition, continueAsNew, proxyActivities, setHandler, setWorkflowOptions } from '@temporalio/workflow';
import type { ClockActivities } from '../activities/tasks';
import { followsBuilds } from './follows-builds';
import { lookSignal } from './messages';

/** Looks before its history is cut: ten events each. */
const LOOKS = 400;
/** The longest it sleeps: a worker whose clock was set is noticed by then. */
const LONGEST_SLEEP_MS = 60_000;
/** Between looks while slots wait for something that no timer tells: a run that ends. */
const WAITING_SLEEP_MS = 1000;

const { lookAtSlots } = proxyActivities<ClockActivities>({
  startToCloseTimeout: '5 minutes',
  heartbeatTimeout: '5 seconds',
  retry: { initialInterval: '500 ms', backoffCoefficient: 2, maximumInterval: '10 seconds' },
});

/** Wakes when a slot is due and looks at the schedules; what a look does is not its business. */
export async function clock(): Promise<never> {
  let asked = false;
  setHandler(lookSignal, () => {
    asked = true;
  });
  for (let looks = 0; looks < LOOKS; looks++) {
    asked = false;
    const { nextInMs, waiting } = await lookAtSlots();
    const sleep = Math.min(nextInMs ?? LONGEST_SLEEP_MS, waiting > 0 ? WAITING_SLEEP_MS : LONGEST_SLEEP_MS);
    if (sleep > 0) await condition(() => asked, sleep);
  }
  return continueAsNew<typeof clock>();
}

setWorkflowOptions(followsBuilds, clock);
