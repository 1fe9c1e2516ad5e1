import type { Client } from '@temporalio/client';
import type { ClockActivities } from '../activities/tasks';
import type { Logger } from '../lib/log';
import { CLOCK_WORKFLOW_ID } from '../lib/queues';
import { periodically } from './periodic';

const EVERY_MS = 60_000;

export interface SlotReconciler {
  readonly clock: ClockActivities;
  readonly client: Client;
  readonly controlQueue: string;
  readonly log: Logger;
}

/**
 * Doubles the clock: looks at the slots at once and every minute, whatever became of the clock's workflow, and starts that again
 * where there are schedules and it is gone.
 */
export function reconcileSlots({ clock, client, controlQueue, log }: SlotReconciler, signal: AbortSignal): Promise<void> {
  return periodically(
    EVERY_MS,
    signal,
    async () => {
      const { nextInMs } = await clock.lookAtSlots();
      if (nextInMs === null) return;
      await client.workflow.start('clock', {
        workflowId: CLOCK_WORKFLOW_ID,
        taskQueue: controlQueue,
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        workflowIdConflictPolicy: 'USE_EXISTING',
      });
    },
    (error) => log.warn({ error: String(error) }, 'the slots could not be looked at'),
  );
}
