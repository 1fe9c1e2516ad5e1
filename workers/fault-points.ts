import { existsSync, writeFileSync } from 'node:fs';

/**
 * Lets a kill test end this process at a named point, once: `ALMANAC_TEST_KILL_AT=STAGE:POINT` and
 * `ALMANAC_TEST_KILL_MARK=FILE`, which is written before the kill so that the restarted process lives.
 */
export function faultPoints(env: Readonly<Record<string, string | undefined>>): (name: string) => Promise<void> {
  const { ALMANAC_TEST_KILL_AT: at, ALMANAC_TEST_KILL_MARK: mark } = env;
  if (at === undefined || mark === undefined) return () => Promise.resolve();
  return (name) => {
    if (name === at && !existsSync(mark)) {
      writeFileSync(mark, name);
      process.kill(process.pid, 'SIGKILL');
    }
    return Promise.resolve();
  };
}
