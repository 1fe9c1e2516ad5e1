/** A compute worker's part of a Spark stage in a process of its own: tells each point it passes, and kills or stops itself at the one it was told. */
import type { RunRef } from '../../pipelines/types';
import { emrRunner, work, type RunnerPlace } from './emr-runner';

export interface ChildOrder {
  readonly place: RunnerPlace;
  readonly run: RunRef;
  readonly attempt: number;
  readonly milliseconds: number;
  /** How many points it passes before the signal; null lets it live. */
  readonly after: number | null;
  readonly signal: 'SIGKILL' | 'SIGSTOP';
}

export type ChildReport = { readonly passed: string } | { readonly finished: number } | { readonly failed: string };

function report(message: ChildReport): Promise<void> {
  return new Promise((resolve) => process.send?.(message, () => resolve()));
}

process.once('message', (order: ChildOrder) => void serve(order));
process.once('disconnect', () => process.exit(1));

async function serve({ place, run, attempt, milliseconds, after, signal }: ChildOrder): Promise<void> {
  await using runner = emrRunner(place);
  let passed = 0;
  const point = async (name: string): Promise<void> => {
    await report({ passed: name });
    if (passed++ === after) process.kill(process.pid, signal);
  };
  try {
    const { round } = await runner.runner.run(work(place.root, run, attempt, { milliseconds }, { point }), new AbortController().signal);
    await report({ finished: round });
  } catch (error) {
    await report({ failed: String(error) });
  }
  process.exit(0);
}
