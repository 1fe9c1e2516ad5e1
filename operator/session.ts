import type { Client } from '@temporalio/client';
import type pg from 'pg';
import { createDatasetStore } from '../activities/storage/datasets';
import type { DatasetStore } from '../activities/storage/dataset-store';
import type { ObjectStore } from '../activities/storage/object-store';
import { openStore } from '../activities/storage/open-store';
import { systemClock, type Clock } from '../lib/clock';
import { readConfig, type Config } from '../lib/config';
import { migrate } from '../lib/migrate';
import { connect } from '../lib/postgres';
import { connectClient } from '../lib/temporal';
import { loadProject, type Project } from './project';
import { stackEnvironment } from './stack/environment';

/** What every verb works with; services are opened on first use. */
export interface OperatorSession {
  readonly config: Config;
  readonly database: pg.Pool;
  readonly store: ObjectStore;
  readonly datasets: DatasetStore;
  readonly clock: Clock;
  project(): Promise<Project>;
  temporal(): Promise<Client>;
  close(): Promise<void>;
}

export interface SessionOptions {
  /** Leaves the control schema as it is, for a look before a deploy. */
  readonly unmigrated?: boolean;
}

/**
 * Opens a session on the project's stack: the embedded one that runs, or the external services the environment names. Throws
 * `deploy.migration` while workers of another build could not live with what this one makes of the control schema.
 */
export async function openSession(projectDirectory: string, { unmigrated = false }: SessionOptions = {}): Promise<OperatorSession> {
  const config = readConfig(process.env, projectDirectory);
  const addresses = stackEnvironment(config);
  const store = await openStore(config);
  const database = connect(addresses.databaseUrl);
  try {
    if (!unmigrated) await migrate(database);
  } catch (error) {
    await database.end();
    throw error;
  }
  let client: Promise<Client> | undefined;
  let project: Promise<Project> | undefined;
  return {
    config,
    database,
    store,
    datasets: createDatasetStore(store, systemClock),
    clock: systemClock,
    project: () => (project ??= loadProject(projectDirectory)),
    temporal: () => (client ??= connectClient(config, addresses.temporalAddress)),
    async close() {
      await Promise.all([database.end(), client?.then((opened) => opened.connection.close())]);
    },
  };
}
