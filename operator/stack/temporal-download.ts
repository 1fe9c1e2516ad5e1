import { TestWorkflowEnvironment } from '@temporalio/testing';

/**
 * Run as a process: `node temporal-download.js DIRECTORY VERSION`. Lets the SDK download its server into the directory; that it starts
 * once is the proof that the file is whole. Ends 1 without a network.
 */
async function main(directory: string, version: string): Promise<void> {
  const environment = await TestWorkflowEnvironment.createLocal({
    server: { executable: { type: 'cached-download', downloadDir: directory, version }, log: { level: 'error', format: 'pretty' } },
  });
  await environment.teardown();
}

main(process.argv[2] ?? '', process.argv[3] ?? '').then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    process.exit(1);
  },
);
