import { condition, defineSignal, defineUpdate, proxyActivities, setHandler } from '@temporalio/workflow';

/** Workflows that pass on more than a payload may hold, each at another place. */
const { echo } = proxyActivities<{ echo(value: unknown): Promise<unknown> }>({ startToCloseTimeout: '10 seconds' });
const { grow } = proxyActivities<{ grow(bytes: number): Promise<{ rows: string }> }>({ startToCloseTimeout: '10 seconds' });

export async function oversizedArgument(bytes: number): Promise<unknown> {
  return echo({ stage: 'udb', plan: { sql: 'x'.repeat(bytes) } });
}

export async function oversizedActivityResult(bytes: number): Promise<number> {
  return (await grow(bytes)).rows.length;
}

export function oversizedResult(bytes: number): Promise<{ report: string }> {
  return Promise.resolve({ report: 'x'.repeat(bytes) });
}

/** What goes wrong can be met in the workflow itself. */
export async function survivesOversizedArgument(bytes: number): Promise<string> {
  try {
    await oversizedArgument(bytes);
    return 'passed';
  } catch (error) {
    return error instanceof Error && 'type' in error ? String(error.type) : 'unknown';
  }
}

/** Answers the Update `grow` until the signal `finish`. */
export async function answersUpdates(): Promise<void> {
  let finished = false;
  setHandler(defineUpdate<string, [number]>('grow'), (bytes) => 'x'.repeat(bytes));
  setHandler(defineSignal('finish'), () => {
    finished = true;
  });
  await condition(() => finished);
}
