import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createDatasetStore } from '../../activities/storage/datasets';
import { createLocalStore } from '../../activities/storage/local-store';
import { systemClock } from '../../lib/clock';
import { readConfig } from '../../lib/config';
import { migrate } from '../../lib/migrate';
import { loadProject } from '../../operator/project';
import type { OperatorSession } from '../../operator/session';
import { testDatabase } from './postgres';
import { testNamespace, uniqueName, type TestNamespace } from './temporal';

export interface TestSession extends OperatorSession, AsyncDisposable {}

/**
 * A session of an operator on real services with no worker beside them: what is claimed stays claimed, so that a test brings every
 * run into the state it is about.
 */
export async function operatorSession(
  projectDirectory: string,
  namespace: () => Promise<TestNamespace> = testNamespace,
): Promise<TestSession> {
  const home = mkdtempSync(path.join(os.tmpdir(), 'almanac-session-'));
  const database = await testDatabase();
  await migrate(database.pool);
  const temporal = await namespace();
  const config = readConfig({ ALMANAC_HOME: home, ALMANAC_QUEUE: uniqueName('q'), ALMANAC_ACTOR: 'tester' }, home);
  const store = createLocalStore(config.data);
  return {
    config,
    database: database.pool,
    store,
    datasets: createDatasetStore(store, systemClock),
    clock: systemClock,
    project: () => loadProject(projectDirectory),
    temporal: () => Promise.resolve(temporal.client),
    close: () => Promise.resolve(),
    async [Symbol.asyncDispose]() {
      await temporal[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
      rmSync(home, { recursive: true });
    },
  };
}
