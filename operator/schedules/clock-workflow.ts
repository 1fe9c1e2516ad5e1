import type { Client } from '@temporalio/client';
import { CLOCK_WORKFLOW_ID } from '../../lib/queues';
import { unavailable } from '../runs/execution';

/** Has the clock look at the schedules now; starts it where it does not run. */
export async function wakeClock(client: Client, controlQueue: string): Promise<void> {
  try {
    await client.workflow.signalWithStart('clock', {
      workflowId: CLOCK_WORKFLOW_ID,
      taskQueue: controlQueue,
      signal: 'look',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
    });
  } catch (error) {
    throw unavailable(error);
  }
}
