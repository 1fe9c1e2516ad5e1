import { rmSync } from 'node:fs';

export default async function globalTeardown(): Promise<void> {
  await globalThis.almanacTestServers?.stop();
  if (process.env.ALMANAC_TEST_HOME) rmSync(process.env.ALMANAC_TEST_HOME, { recursive: true, force: true });
}
