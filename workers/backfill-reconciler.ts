import type { Client } from '@temporalio/client';
import type pg from 'pg';
import { drivenBackfills } from '../activities/ledger/backfills';
import type { Logger } from '../lib/log';
import { backfillWorkflowId } from '../lib/queues';
import { periodically } from './periodic';

const EVERY_MS = 60_000;

export interface BackfillReconciler {
  readonly database: pg.Pool;
  readonly client: Client;
  readonly controlQueue: string;
  readonly log: Logger;
}

/** Starts the controller of every backfill that is under way and has none, at once and every minute: its sender may have died, or Temporal lost it. */
export function reconcileBackfills({ database, client, controlQueue, log }: BackfillReconciler, signal: AbortSignal): Promise<void> {
  return periodically(
    EVERY_MS,
    signal,
    async () => {
      for (const hash of await drivenBackfills(database)) {
        await client.workflow.start('backfill', {
          workflowId: backfillWorkflowId(hash),
          taskQueue: controlQueue,
          args: [hash],
          workflowIdReusePolicy: 'ALLOW_DUPLICATE',
          workflowIdConflictPolicy: 'USE_EXISTING',
        });
      }
    },
    (error) => log.warn({ error: String(error) }, 'the backfills could not be looked at'),
  );
}
