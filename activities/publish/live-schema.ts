import { AlmanacError } from '../../pipelines/failures';
import {
  addColumnsSql,
  columnChange,
  createParentSql,
  LIVE_SCHEMA,
  PUBLICATION_COLUMN,
  viewSql,
  type LiveTable,
} from '../../pipelines/publish-sql';
import { quoteName } from '../../pipelines/quote-sql';
import { inTransaction, type PublishSession } from './publish-session';
import { withLockRetries } from './lock-retry';

/** Any constant serves; this one spells "live". Two pipelines making tables at once take turns. */
const SCHEMA_LOCK = 0x6c697665;

interface RegisteredTable {
  readonly name: string;
  readonly pipeline: string;
  readonly view_schema: string;
}

/**
 * Makes or widens the parents of a publication's tables and claims their names; touches no view. Throws
 * `publish.name-taken` when a name belongs to somebody else, `publish.schema-changed` when readers would feel the change.
 */
export async function prepareParents(session: PublishSession, pipeline: string, tables: readonly LiveTable[]): Promise<void> {
  await refuseRemovedTables(session, pipeline, tables);
  for (const table of tables) {
    await withLockRetries(session, `preparing live table ${table.name}`, () =>
      inTransaction(session, async () => {
        await session.client.query('select pg_advisory_xact_lock($1)', [SCHEMA_LOCK]);
        await claimName(session, pipeline, table.name);
        await prepareParent(session, table);
      }),
    );
  }
}

async function prepareParent({ client }: PublishSession, table: LiveTable): Promise<void> {
  const { rows } = await client.query<{ name: string; type: string }>(
    `select attname as name, format_type(atttypid, atttypmod) as type from pg_attribute
     where attrelid = to_regclass($1) and attnum > 0 and not attisdropped and attname <> $2 order by attnum`,
    [`${LIVE_SCHEMA}.${quoteName(table.name)}`, PUBLICATION_COLUMN],
  );
  if (rows.length === 0) {
    await client.query(createParentSql(table));
    return;
  }
  const change = columnChange(rows, table.columns);
  if (change.change === 'append') await client.query(addColumnsSql(table.name, change.added));
  if (change.change === 'breaking') throw schemaChanged(`live table ${table.name}: ${change.what}`, table.name);
}

/** A view whose table is no longer published would fall empty at the flip. */
async function refuseRemovedTables(session: PublishSession, pipeline: string, tables: readonly LiveTable[]): Promise<void> {
  const removed = await publishedElsewhere(
    session,
    pipeline,
    tables.map(({ name }) => name),
  );
  const first = removed[0];
  if (first === undefined) return;
  const view = `${quoteName(first.view_schema)}.${quoteName(first.name)}`;
  throw new AlmanacError(
    'publish.schema-changed',
    `live table ${first.name} of ${pipeline} is no longer declared, but its view ${view} still has readers`,
    {
      next: `declare it again, or move its readers and drop view ${view}, then retry`,
      details: { table: first.name },
    },
  );
}

/** Live views of the pipeline beyond `names`. */
export async function publishedElsewhere(
  session: Pick<PublishSession, 'client'>,
  pipeline: string,
  names: readonly string[],
): Promise<RegisteredTable[]> {
  const { rows } = await session.client.query<RegisteredTable>(
    `select name, pipeline, view_schema from almanac.live_table
     where pipeline = $1 and name <> all ($2) and to_regclass(format('%I.%I', view_schema, name)) is not null order by name`,
    [pipeline, names],
  );
  return rows;
}

/** A name whose view is gone is free for another pipeline. */
async function claimName(session: PublishSession, pipeline: string, name: string): Promise<void> {
  const { client } = session;
  const registered = (
    await client.query<RegisteredTable>('select name, pipeline, view_schema from almanac.live_table where name = $1', [name])
  ).rows[0];
  const schema = registered?.view_schema ?? (await defaultSchema(session));
  const found = await objectNamed(session, schema, name);
  if (found !== undefined && (registered === undefined || !found.ours)) {
    throw new AlmanacError('publish.name-taken', `${quoteName(schema)}.${quoteName(name)} is a ${found.kind} that Almanac did not make`, {
      next: `rename live table ${name} in the declaration of ${pipeline}, or rename that ${found.kind}, then retry`,
      details: { schema, name, kind: found.kind },
    });
  }
  if (registered !== undefined && registered.pipeline !== pipeline && found !== undefined) {
    throw new AlmanacError('publish.name-taken', `live table ${name} is published by pipeline ${registered.pipeline}`, {
      next: `rename the table in the declaration of ${pipeline}, then retry`,
      details: { name, pipeline: registered.pipeline },
    });
  }
  await client.query(
    `insert into almanac.live_table (name, pipeline, view_schema) values ($1, $2, $3)
     on conflict (name) do update set pipeline = excluded.pipeline, view_schema = excluded.view_schema
     where (live_table.pipeline, live_table.view_schema) is distinct from (excluded.pipeline, excluded.view_schema)`,
    [name, pipeline, found === undefined ? await defaultSchema(session) : schema],
  );
}

/** The first of the search_path that is not our own: a role called `almanac` has the control schema there as "$user". */
async function defaultSchema({ client }: PublishSession): Promise<string> {
  const { rows } = await client.query<{ schema: string }>(
    'select schema from unnest(current_schemas(false)) with ordinality as s (schema, place) where schema <> all ($1) order by place limit 1',
    [['almanac', LIVE_SCHEMA]],
  );
  const schema = rows[0]?.schema;
  if (schema !== undefined) return schema;
  throw new AlmanacError(
    'config.invalid',
    'the search_path of the database connection names no schema that exists, so live views have no place',
    {
      next: 'create schema public, or alter role … set search_path = …, then retry',
    },
  );
}

interface FoundObject {
  readonly kind: string;
  /** A view that reads our parent of its name. */
  readonly ours: boolean;
}

async function objectNamed({ client }: PublishSession, schema: string, name: string): Promise<FoundObject | undefined> {
  const { rows } = await client.query<FoundObject>(
    `select case c.relkind when 'r' then 'table' when 'p' then 'table' when 'v' then 'view' when 'm' then 'materialized view'
                           when 'f' then 'foreign table' when 'S' then 'sequence' when 'i' then 'index' else 'type' end as kind,
            c.relkind = 'v' and exists (
              select from pg_rewrite r join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refclassid = 'pg_class'::regclass
              where r.ev_class = c.oid and d.refobjid = to_regclass(format('%I.%I', $3::text, $2::text))) as ours
     from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2`,
    [schema, name, LIVE_SCHEMA],
  );
  return rows[0];
}

function schemaChanged(what: string, table: string): AlmanacError {
  return new AlmanacError('publish.schema-changed', what, {
    next: `only appended columns keep readers running: publish under a new name such as ${table}_2, move the readers, then drop the old view`,
    details: { table },
  });
}

/** Appends new columns to the views that exist; before the flip, since it waits for readers. New views come with the flip. */
export async function widenViews(session: PublishSession, pipeline: string, tables: readonly LiveTable[]): Promise<void> {
  for (const table of tables) {
    const { schema, columns } = await viewState(session, table.name);
    if (columns === 0 || columns === table.columns.length) continue;
    await withLockRetries(session, `appending columns to view ${table.name}`, () =>
      session.client.query(viewSql(schema, table, pipeline, true)),
    );
  }
}

/** Creates the views that are not there yet; inside the flip, so that a new table appears with its rows. */
export async function createViews(session: PublishSession, pipeline: string, tables: readonly LiveTable[]): Promise<void> {
  for (const table of tables) {
    const { schema, columns } = await viewState(session, table.name);
    if (columns === 0) await session.client.query(viewSql(schema, table, pipeline, false));
  }
}

async function viewState({ client }: PublishSession, name: string): Promise<{ schema: string; columns: number }> {
  const { rows } = await client.query<{ schema: string; columns: number }>(
    `select t.view_schema as schema, count(a.attnum)::int as columns from almanac.live_table t
     left join pg_attribute a on a.attrelid = to_regclass(format('%I.%I', t.view_schema, t.name)) and a.attnum > 0 and not a.attisdropped
     where t.name = $1 group by t.view_schema`,
    [name],
  );
  const state = rows[0];
  if (state === undefined) throw new Error(`live table ${name} is not registered`);
  return state;
}
