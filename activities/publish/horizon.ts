import type { PublishSession } from './publish-session';

/** What the oldest snapshot of this database can see. Transactions below `oldest` are visible to every snapshot. */
export interface SnapshotHorizon {
  readonly oldest: bigint;
  /** Who holds it there, for the log. */
  readonly holder: string;
  /** Some sessions' snapshots cannot be read by this role, so nothing is known to be safe. */
  readonly hiddenSessions: boolean;
  readonly standbys: number;
}

/**
 * Reads the horizon from sessions, prepared transactions, replication slots and standbys. Their 32-bit ids are
 * widened by their distance from the next id, which is less than 2^31.
 */
export async function readHorizon({ client }: Pick<PublishSession, 'client'>): Promise<SnapshotHorizon> {
  const { rows } = await client.query<{ oldest: string; holder: string; hidden: boolean; standbys: number }>(HORIZON_SQL);
  const row = rows[0];
  if (row === undefined) throw new Error('the horizon query returned no row');
  return { oldest: BigInt(row.oldest), holder: row.holder, hiddenSessions: row.hidden, standbys: row.standbys };
}

const HORIZON_SQL = `
with next as (select pg_snapshot_xmax(pg_current_snapshot())::text::numeric as xid),
here as (select oid, datname from pg_database where datname = current_database()),
holders as (
  select format('session %s (%s)', a.pid, coalesce(nullif(a.application_name, ''), a.backend_type)) as holder, a.backend_xmin as xid
    from pg_stat_activity a, here where a.pid <> pg_backend_pid() and (a.datid = here.oid or coalesce(a.datid, 0) = 0)
  union all select format('prepared transaction %s', p.gid), p.transaction from pg_prepared_xacts p, here where p.database = here.datname
  union all select format('replication slot %s', s.slot_name), x.xid
    from pg_replication_slots s, here, unnest(array[s.xmin, s.catalog_xmin]) as x (xid)
    where coalesce(s.database, here.datname) = here.datname and s.wal_status is distinct from 'lost'
  union all select format('standby %s', r.application_name), r.backend_xmin from pg_stat_replication r
),
wide as (
  select holder, next.xid - case when distance >= 2147483648 then distance - 4294967296 else distance end as xid
  from holders, next, lateral (select mod(mod(next.xid, 4294967296) - holders.xid::text::numeric + 4294967296, 4294967296) as distance) as d
  where holders.xid is not null
)
select coalesce(w.xid, next.xid)::text as oldest, coalesce(w.holder, 'no session') as holder,
  not pg_has_role('pg_read_all_stats', 'usage') and exists (
    select from pg_stat_activity a, here where a.datid = here.oid and a.usesysid is distinct from (select oid from pg_roles where rolname = current_user)) as hidden,
  (select count(*)::int from pg_stat_replication where application_name <> 'pg_basebackup') as standbys
from next left join (select * from wide order by xid limit 1) as w on true`;
