import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';

/**
 * Lets a test end or freeze this process at a named point, once: a file `STAGE:POINT` in the directory
 * `ALMANAC_TEST_FAULTS` holds the signal. It is removed first, so that the restarted process lives.
 */
export function faultPoints(env: Readonly<Record<string, string | undefined>>): (name: string) => Promise<void> {
  const directory = env.ALMANAC_TEST_FAULTS;
  if (directory === undefined) return () => Promise.resolve();
  return (name) => {
    const signal = takeOrder(path.join(directory, name));
    if (signal !== undefined) process.kill(process.pid, signal);
    return Promise.resolve();
  };
}

function takeOrder(file: string): NodeJS.Signals | undefined {
  try {
    const signal = readFileSync(file, 'utf8') as NodeJS.Signals;
    rmSync(file);
    return signal;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
