/**
 * A publisher in a process of its own, for tests that kill it: serves one order over IPC, names each point it passes,
 * and kills itself with SIGKILL at the one it was told.
 */
import { publishStage } from '../../activities/publish/publish-stage';
import { createPublishing, type AcceptedRun } from './publishing';

export interface PublisherOrder {
  readonly databaseUrl: string;
  readonly root: string;
  readonly accepted: AcceptedRun;
  readonly attempt: number;
  /** How many points it passes before it dies at the next one; null lets it live. */
  readonly killAfter: number | null;
}

export type PublisherReport = { readonly passed: string } | { readonly finished: number };

function report(message: PublisherReport): Promise<void> {
  return new Promise((resolve) => process.send?.(message, () => resolve()));
}

process.once('message', (order: PublisherOrder) => {
  void serve(order);
});
process.once('disconnect', () => process.exit(1));

async function serve({ databaseUrl, root, accepted, attempt, killAfter }: PublisherOrder): Promise<void> {
  const publishing = createPublishing({ databaseUrl, root });
  let passed = 0;
  const point = async (name: string): Promise<void> => {
    await report({ passed: name });
    if (passed++ === killAfter) process.kill(process.pid, 'SIGKILL');
  };
  const output = await publishing.publish(publishStage, accepted, { attempt, point });
  await report({ finished: output.publication ?? 0 });
  await publishing[Symbol.asyncDispose]();
  process.exit(0);
}
