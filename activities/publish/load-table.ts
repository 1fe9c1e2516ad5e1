import { createReadStream } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { pipeline as pipe } from 'node:stream/promises';
import { from as copyFrom } from 'pg-copy-streams';
import { versionSelect } from '../../pipelines/duckdb-sql';
import { AlmanacError } from '../../pipelines/failures';
import {
  checksumSql,
  copySql,
  createPartitionSql,
  exportSql,
  indexSql,
  keySql,
  partitionOf,
  type LiveTable,
} from '../../pipelines/publish-sql';
import type { EngineSession } from '../compute/engine';
import type { StageContext } from '../stage';
import type { Manifest } from '../storage/manifest';
import { withLockRetries } from './lock-retry';
import type { OpenPublication, TableAudit } from './publication-ledger';
import { errorCode, inTransaction, type PublishSession } from './publish-session';

/** SQLSTATEs of values Postgres cannot hold: NUL in text, text it cannot read, out of range. */
const VALUE_REFUSED = new Set(['22021', '22P05', '22P02', '22003', '22007', '22008']);
/** SQLSTATEs of a key that is none: repeated, NULL. */
const KEY_INVALID = new Set(['23505', '23502']);

export interface LoadedTable extends TableAudit {
  /** Bytes sent to Postgres; 0 when an earlier try had sent them. */
  readonly bytes: number;
}

/** Brings one version into a partition of its own, not yet attached: whole, keyed, indexed, analyzed and audited, or not at all. */
export async function loadTable(
  context: Pick<StageContext, 'store' | 'point' | 'stage' | 'run'>,
  session: PublishSession,
  engine: EngineSession,
  open: OpenPublication,
  table: LiveTable,
  manifest: Manifest,
): Promise<LoadedTable> {
  await using local = await context.store.localFiles(manifest.files, session.signal);
  const files = manifest.files.map(({ path: file }) => local.path(file));
  const partition = partitionOf(table.name, open.id);
  const bytes = (await exists(session, partition)) ? 0 : await copyIn(context, session, engine, open, table, files);
  await context.point(`loaded:${table.name}`);
  await session.client.query(`analyze ${partition}`);
  await context.point(`analyzed:${table.name}`);
  const [expected] = await engine.rows<{ rows: string; checksum: string }>(
    checksumSql('duckdb', table.columns, `(${versionSelect(table.columns, files)}) as v`),
  );
  const observed = (await session.client.query<{ rows: string; checksum: string }>(checksumSql('postgres', table.columns, partition)))
    .rows[0];
  const stored = String(manifest.rows);
  if (
    expected === undefined ||
    observed === undefined ||
    observed.rows !== expected.rows ||
    observed.checksum !== expected.checksum ||
    observed.rows !== stored
  ) {
    throw new AlmanacError(
      'publish.audit-failed',
      `live table ${table.name} of publication ${open.id} has ${observed?.rows} rows, checksum ${observed?.checksum}; version ${manifest.version} of ${manifest.dataset} ` +
        `has ${expected?.rows} rows, checksum ${expected?.checksum}, and its manifest says ${stored} rows`,
      { next: 'nothing went live; the stage retries with a new load', details: { publication: open.id, table: table.name } },
    );
  }
  await context.point(`audited:${table.name}`);
  return { rows: Number(observed.rows), checksum: observed.checksum, bytes };
}

async function exists({ client }: PublishSession, relation: string): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>('select to_regclass($1) is not null as found', [relation]);
  return rows[0]?.found === true;
}

/** One transaction from the empty partition to its last index: a killed loader leaves no half-filled table. Returns bytes sent. */
async function copyIn(
  context: Pick<StageContext, 'store' | 'point' | 'stage' | 'run'>,
  session: PublishSession,
  engine: EngineSession,
  open: OpenPublication,
  table: LiveTable,
  files: readonly string[],
): Promise<number> {
  const scratch = await context.store.scratch();
  const file = path.join(scratch, `${open.id}.csv`);
  try {
    await engine.exec(exportSql(table, files, file));
    await context.point(`exported:${table.name}`);
    await withLockRetries(session, `loading live table ${table.name}`, () =>
      inTransaction(session, async () => {
        await session.client.query(createPartitionSql(table, open.id));
        await context.point(`created:${table.name}`);
        await pipe(createReadStream(file), session.client.query(copyFrom(copySql(table, open.id))), { signal: session.signal });
        await context.point(`copied:${table.name}`);
        await session.client.query(keySql(table, open.id));
        await context.point(`keyed:${table.name}`);
        for (const sql of indexSql(table, open.id)) await session.client.query(sql);
        await context.point(`indexed:${table.name}`);
      }),
    );
    return (await stat(file)).size;
  } catch (error) {
    throw refused(error, context, table) ?? error;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** The failure a bad value or key stands for; names columns, never values: they may be personal. */
function refused(error: unknown, { run, stage }: Pick<StageContext, 'run' | 'stage'>, table: LiveTable): AlmanacError | undefined {
  const code = errorCode(error) ?? '';
  const retry = `then almanac retry ${run.pipeline}/${run.window} --stage ${stage.id} --reason …`;
  const details = { table: table.name, dataset: table.from };
  if (KEY_INVALID.has(code)) {
    const what = code === '23505' ? 'is not unique' : 'is NULL in some row';
    return new AlmanacError(
      'publish.key-invalid',
      `live table ${table.name}: the key (${table.key.join(', ')}) ${what} in dataset ${table.from}`,
      {
        next: `correct the SQL that writes ${table.from}, or the key of ${table.name}; ${retry}`,
        details,
      },
    );
  }
  if (VALUE_REFUSED.has(code)) {
    // COPY's context reads `COPY name, line 3, column c: "value"`.
    const column = error instanceof Error && 'where' in error ? /, column ([^:]+)/.exec(String(error.where))?.[1] : undefined;
    return new AlmanacError(
      'publish.value-refused',
      `live table ${table.name}: Postgres cannot hold a value of ${column === undefined ? 'a text column' : `column ${column}`} of dataset ${table.from} (SQLSTATE ${code})`,
      {
        next: `correct the SQL that writes ${table.from}; ${retry}`,
        details,
      },
    );
  }
  return undefined;
}
