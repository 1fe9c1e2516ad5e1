import { randomBytes } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time';
import type { NativeConnection } from '@temporalio/worker';
import { readConfig } from '../../lib/config';
import { connectClient, connectWorker } from '../../lib/temporal';

/** Address of the server the jest run started. */
export function temporalAddress(): string {
  const address = process.env.ALMANAC_TEST_TEMPORAL_ADDRESS;
  if (!address) throw new Error('the jest global setup did not start Temporal');
  return address;
}

const config = readConfig({}, '/');

export interface TestNamespace extends AsyncDisposable {
  readonly namespace: string;
  readonly client: Client;
  /** A connection for workers of this namespace. */
  readonly connection: NativeConnection;
}

/** A namespace of its own on the run's server, so that workflow ids of tests never meet. */
export async function testNamespace(): Promise<TestNamespace> {
  const namespace = `t-${randomBytes(6).toString('hex')}`;
  const admin = await connectClient(config, temporalAddress());
  await admin.workflowService.registerNamespace({ namespace, workflowExecutionRetentionPeriod: msToTs('1 day') });
  await admin.connection.close();
  return openNamespace(namespace);
}

/**
 * The namespace that the server began with, whose ids a test shares with others of its kind: what the server does by workflows of its own
 * (Worker Deployments) begins in a new namespace only after minutes.
 */
export function firstNamespace(): Promise<TestNamespace> {
  return openNamespace(config.temporal.namespace);
}

async function openNamespace(namespace: string): Promise<TestNamespace> {
  const client = await connectClient({ temporal: { namespace } }, temporalAddress());
  const connection = await connectWorker(config, temporalAddress());
  return {
    namespace,
    client,
    connection,
    async [Symbol.asyncDispose]() {
      await client.connection.close();
      await connection.close();
    },
  };
}

/** A name no other test uses, for task queues and workflow ids. */
export function uniqueName(prefix: string): string {
  return `${prefix}-${randomBytes(6).toString('hex')}`;
}
