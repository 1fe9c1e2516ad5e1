import { gzipSync } from 'node:zlib';
import type { Client } from '@temporalio/client';
import { historyToJSON, type History } from '@temporalio/common/lib/proto-utils';
import type pg from 'pg';
import { runKey } from '../activities/ledger/runs';
import type { ObjectStore } from '../activities/storage/object-store';
import { systemClock } from '../lib/clock';
import { isForgotten } from '../lib/forgotten-execution';
import type { Logger } from '../lib/log';
import { formatRun } from '../pipelines/run-id';
import type { RunRef } from '../pipelines/types';
import { periodically } from './periodic';

const EVERY_MS = 1000;
const BATCH = 50;
/** The server closes an execution a moment after the ledger: by then one look suffices. */
const AFTER_MS = 2000;
/** What `history_path` says when the server had forgotten the execution. */
const FORGOTTEN = 'forgotten';

interface Unexported {
  pipeline: string;
  window_key: string;
  branch: string;
  generation: number;
  temporal_run_id: string | null;
}

/** Copies the histories of closed runs into the store, since the server forgets them; runs until `signal` aborts. */
export async function exportHistories(
  client: Client,
  database: pg.Pool,
  store: ObjectStore,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  await periodically(
    EVERY_MS,
    signal,
    () => exportBatch(client, database, store),
    (error) => log.warn({ error: String(error) }, 'histories could not be exported; next look in a second'),
  );
}

/** Exports at most one batch; returns how many runs it settled. */
async function exportBatch(client: Client, database: pg.Pool, store: ObjectStore): Promise<number> {
  const { rows } = await database.query<Unexported>(
    `select pipeline, window_key, branch, generation, temporal_run_id from almanac.run
     where ended_at < $2 and history_path is null and temporal_run_id is not null order by ended_at limit $1`,
    [BATCH, new Date(systemClock.now().getTime() - AFTER_MS)],
  );
  let settled = 0;
  for (const row of rows) {
    const run: RunRef = { pipeline: row.pipeline, window: row.window_key, branch: row.branch, generation: row.generation };
    const path = await exportOne(client, store, run, row.temporal_run_id ?? '');
    if (path === undefined) continue;
    await database.query(
      'update almanac.run set history_path = $5 where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4',
      [...runKey(run), path],
    );
    settled += 1;
  }
  return settled;
}

/** The path the history is at; undefined while the execution has not closed yet. */
async function exportOne(client: Client, store: ObjectStore, run: RunRef, runId: string): Promise<string | undefined> {
  const handle = client.workflow.getHandle(formatRun(run), runId);
  try {
    const history = await handle.fetchHistory();
    if (!isWhole(history)) return undefined;
    const path = `histories/${run.pipeline}/${run.branch}/${run.window}/${String(run.generation).padStart(6, '0')}.json.gz`;
    await store.putIfAbsent(path, gzipSync(historyToJSON(history)));
    return path;
  } catch (error) {
    if (isForgotten(error)) return FORGOTTEN;
    throw error;
  }
}

/** Whether its last event closes the execution; the ledger is told of the end a moment before the server is. */
export function isWhole(history: History): boolean {
  const last = history.events?.at(-1);
  return (
    last?.workflowExecutionCompletedEventAttributes != null ||
    last?.workflowExecutionFailedEventAttributes != null ||
    last?.workflowExecutionCanceledEventAttributes != null ||
    last?.workflowExecutionTerminatedEventAttributes != null ||
    last?.workflowExecutionTimedOutEventAttributes != null
  );
}
