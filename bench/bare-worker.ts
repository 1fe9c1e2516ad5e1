/** One worker process of the bare arm: `bare-worker ROLE TEMPORAL_ADDRESS TASK_QUEUE`. Its options are those of Almanac's own workers. */
import { bundleWorkflowCode, DefaultLogger, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import { readConfig } from '../lib/config';
import { connectWorker } from '../lib/temporal';
import { controlOptions, stageOptions } from '../workers/worker-options';
import type { BareActivities } from './bare-workflows';

export type BareRole = 'workflows' | 'activities';

const logger = new DefaultLogger('ERROR');
const activities: BareActivities = { nothing: () => Promise.resolve() };

async function main(role: BareRole, address: string, taskQueue: string): Promise<void> {
  Runtime.install({ logger, shutdownSignals: [] });
  const config = readConfig({}, '/');
  const connection = await connectWorker(config, address);
  const options: WorkerOptions =
    role === 'activities'
      ? { ...stageOptions(config, connection, 'live'), taskQueue, activities: { ...activities } }
      : {
          ...controlOptions(config, connection),
          taskQueue,
          workflowBundle: await bundleWorkflowCode({ workflowsPath: require.resolve('./bare-workflows'), logger }),
        };
  // Payloads of this arm are those of plain Temporal.
  const worker = await Worker.create({ ...options, dataConverter: {} });
  // The channel closes when the bench ends, however it ends.
  process.once('disconnect', () => worker.shutdown());
  const done = worker.run();
  process.send?.('ready');
  await done;
  await connection.close();
}

const [role, address = '', taskQueue = ''] = process.argv.slice(2);
main(role as BareRole, address, taskQueue).catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
