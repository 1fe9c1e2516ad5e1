import type { Queryable } from '../../lib/postgres';
import { NOTICE_KINDS, type HookSpec, type Notice, type NoticeKind } from '../../pipelines/notify';

/** Older notices are told to nobody any more. */
const TOLD_FOR = '7 days';
/** The outbox remembers so long. */
const KEPT_FOR = '35 days';

interface RawNotice {
  id: number;
  kind: NoticeKind;
  at: Date;
  pipeline: string;
  window_key: string | null;
  branch: string | null;
  generation: number | null;
  detail: Record<string, unknown>;
}

function fromRaw(row: RawNotice): Notice {
  return {
    ...{ id: row.id, kind: row.kind, at: row.at.toISOString(), pipeline: row.pipeline, window: row.window_key },
    ...{ branch: row.branch, generation: row.generation, detail: row.detail },
  };
}

/** Makes a hook known; what happened before it first was is not told to it. */
export async function registerHook(database: Queryable, hook: string, now: Date): Promise<void> {
  await database.query('insert into almanac.notice_hook (name, since) values ($1, $2) on conflict do nothing', [hook, now]);
}

/** Addresses new notices to a hook that wants them. */
export async function addressNotices(database: Queryable, hook: string, spec: HookSpec, now: Date): Promise<void> {
  await database.query({
    name: 'address-notices',
    text: `insert into almanac.notice_delivery (notice, hook, next_at)
      select n.id, h.name, $4 from almanac.notice n join almanac.notice_hook h on h.name = $1
      where n.at >= greatest(h.since, $4::timestamptz - interval '${TOLD_FOR}') and n.kind = any($2) and ($3::text[] is null or n.pipeline = any($3))
        and not exists (select from almanac.notice_delivery d where d.notice = n.id and d.hook = h.name)
      on conflict do nothing`,
    values: [hook, spec.on ?? NOTICE_KINDS, spec.pipelines ?? null, now],
  });
}

export interface TakenNotice {
  readonly notice: Notice;
  /** This one included. */
  readonly tries: number;
}

/** Takes what is due for a hook, oldest first; nobody else takes it before the lease ends. */
export async function takeNotices(
  database: Queryable,
  hook: string,
  limit: number,
  leaseSeconds: number,
  now: Date,
): Promise<TakenNotice[]> {
  const { rows } = await database.query<RawNotice & { tries: number }>({
    name: 'take-notices',
    text: `with taken as (
        update almanac.notice_delivery d set tries = d.tries + 1, next_at = $4::timestamptz + make_interval(secs => $3)
        where d.hook = $1 and d.notice in (
          select notice from almanac.notice_delivery where hook = $1 and state = 'due' and next_at <= $4 order by notice limit $2 for update skip locked)
        returning d.notice, d.tries)
      select n.*, t.tries from taken t join almanac.notice n on n.id = t.notice order by n.id`,
    values: [hook, limit, leaseSeconds, now],
  });
  return rows.map((row) => ({ notice: fromRaw(row), tries: row.tries }));
}

export type DeliveryEnd =
  | { readonly state: 'delivered' }
  | { readonly state: 'due'; readonly error: string; readonly nextAt: Date }
  | { readonly state: 'given-up'; readonly error: string };

/** Writes how one try ended. */
export async function endDelivery(database: Queryable, notice: number, hook: string, end: DeliveryEnd, now: Date): Promise<void> {
  await database.query(
    `update almanac.notice_delivery set state = $3, error = $4, next_at = coalesce($5, next_at), ended_at = case when $3 <> 'due' then $6::timestamptz end
     where notice = $1 and hook = $2 and state = 'due'`,
    [notice, hook, end.state, end.state === 'delivered' ? null : end.error, end.state === 'due' ? end.nextAt : null, now],
  );
}

/** Forgets notices that are too old for anyone. */
export async function pruneNotices(database: Queryable, now: Date): Promise<void> {
  await database.query(`delete from almanac.notice where at < $1::timestamptz - interval '${KEPT_FOR}'`, [now]);
}

/** A notice of the list, with what became of it at each hook. */
export interface ListedNotice extends Notice {
  readonly deliveries: readonly { readonly hook: string; readonly state: string; readonly tries: number; readonly error: string | null }[];
}

/** Newest first. */
export async function listNotices(
  database: Queryable,
  filter: { readonly pipeline?: string | undefined; readonly limit: number },
): Promise<ListedNotice[]> {
  const { rows } = await database.query<RawNotice & { deliveries: ListedNotice['deliveries'] }>(
    `select n.*, coalesce((select json_agg(json_build_object('hook', hook, 'state', state, 'tries', tries, 'error', error) order by hook)
       from almanac.notice_delivery d where d.notice = n.id), '[]') as deliveries
     from almanac.notice n where $1::text is null or pipeline = $1 order by id desc limit $2`,
    [filter.pipeline ?? null, filter.limit],
  );
  return rows.map((row) => ({ ...fromRaw(row), deliveries: row.deliveries }));
}
