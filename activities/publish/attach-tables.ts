import { attachSql, parentOf, partitionOf } from '../../pipelines/publish-sql';
import { withLockRetries } from './lock-retry';
import { holdFence, type OpenPublication } from './publication-ledger';
import { inTransaction, type PublishSession } from './publish-session';

/** From here ANALYZE can leave partitions alone: each was analyzed when it was loaded. */
const ANALYZE_ONLY_VERSION = 180_000;

/** Attaches each partition that is not attached yet; readers run on, since only new plans see it and none selects it. */
export async function attachTables(
  session: PublishSession,
  open: OpenPublication,
  tables: readonly string[],
  point: (name: string) => Promise<void>,
): Promise<void> {
  for (const table of tables) {
    await withLockRetries(session, `attaching ${table} of publication ${open.id}`, () =>
      inTransaction(session, async () => {
        await holdFence(session, open);
        if (!(await isAttached(session, partitionOf(table, open.id)))) await session.client.query(attachSql(table, open.id));
      }),
    );
    await point(`attached:${table}`);
  }
}

/** Autovacuum never analyzes a partitioned parent; without statistics joins over the view are planned blindly. */
export async function analyzeParents(
  session: PublishSession,
  tables: readonly string[],
  point: (name: string) => Promise<void>,
): Promise<void> {
  const { rows } = await session.client.query<{ version: number }>(`select current_setting('server_version_num')::int as version`);
  const only = (rows[0]?.version ?? 0) >= ANALYZE_ONLY_VERSION ? 'only ' : '';
  for (const table of tables) {
    await withLockRetries(session, `analyzing live table ${table}`, () => session.client.query(`analyze ${only}${parentOf(table)}`));
    await point(`parent-analyzed:${table}`);
  }
}

async function isAttached({ client }: PublishSession, partition: string): Promise<boolean> {
  const { rowCount } = await client.query('select from pg_inherits where inhrelid = to_regclass($1)', [partition]);
  return rowCount === 1;
}
