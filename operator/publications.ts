import { publishedElsewhere } from '../activities/publish/live-schema';
import { withLockRetries } from '../activities/publish/lock-retry';
import { recordEvent, type PublicationState, type TableAudit } from '../activities/publish/publication-ledger';
import { inTransaction, withPublishSession, type PublishSession } from '../activities/publish/publish-session';
import { AlmanacError } from '../pipelines/failures';
import type { RunRef, VersionRef } from '../pipelines/types';
import { requirePipeline } from './names';
import { requireReason } from './reason';
import { recordAction } from './runs/actions';
import type { OperatorSession } from './session';

/** What the verbs about publications work with. */
export type PublicationServices = Pick<OperatorSession, 'database' | 'clock'>;

/** One publication as `publish list` tells it; times are ISO instants. */
export interface PublicationView {
  readonly id: number;
  readonly state: PublicationState;
  readonly run: RunRef;
  readonly acceptedSequence: number;
  /** Check stage → its verdict when the set was accepted. */
  readonly gates: Readonly<Record<string, { readonly status: string }>>;
  readonly versions: Readonly<Record<string, VersionRef>>;
  readonly tables: Readonly<Record<string, TableAudit>> | null;
  readonly replaced: number | null;
  readonly openedAt: string;
  readonly flippedAt: string | null;
  readonly retiredAt: string | null;
  /** The last thing an operator did to it. */
  readonly lastRestore: { readonly event: string; readonly at: string; readonly who: string; readonly reason: string | null } | null;
}

export interface PublicationFilter {
  readonly pipeline?: string | undefined;
  /** Also those whose tables are gone: collected, failed, superseded. */
  readonly all?: boolean | undefined;
  readonly limit: number;
}

interface Row {
  id: number;
  pipeline: string;
  branch: string;
  window_key: string;
  generation: number;
  state: PublicationState;
  accepted_sequence: number;
  gates: PublicationView['gates'];
  versions: Record<string, VersionRef>;
  tables: Record<string, unknown>;
  audit: Record<string, TableAudit> | null;
  previous: number | null;
  opened_at: Date;
  flipped_at: Date | null;
  retired_at: Date | null;
  restore_event: string | null;
  restore_at: Date | null;
  restore_who: string | null;
  restore_reason: string | null;
}

/** Publications, newest first. Throws `pipeline.unknown`. */
export async function listPublications(
  { database, project }: Pick<OperatorSession, 'database' | 'project'>,
  filter: PublicationFilter,
): Promise<PublicationView[]> {
  if (filter.pipeline !== undefined) await requirePipeline({ database, project }, filter.pipeline);
  const { rows } = await database.query<Row>(
    `select p.*, e.event as restore_event, e.at as restore_at, e.who as restore_who, e.reason as restore_reason
     from almanac.publication p left join lateral (
       select event, at, who, reason from almanac.publication_event where publication = p.id and event in ('restored', 'withdrawn') order by id desc limit 1) e on true
     where ($1::text is null or p.pipeline = $1) and ($2 or p.state not in ('collected', 'failed', 'superseded')) order by p.id desc limit $3`,
    [filter.pipeline ?? null, filter.all ?? false, filter.limit],
  );
  return rows.map((row) => ({
    id: row.id,
    state: row.state,
    run: { pipeline: row.pipeline, window: row.window_key, branch: row.branch, generation: row.generation },
    acceptedSequence: row.accepted_sequence,
    gates: row.gates,
    versions: row.versions,
    tables: row.audit,
    replaced: row.previous,
    openedAt: row.opened_at.toISOString(),
    flippedAt: row.flipped_at?.toISOString() ?? null,
    retiredAt: row.retired_at?.toISOString() ?? null,
    lastRestore:
      row.restore_event === null || row.restore_at === null || row.restore_who === null
        ? null
        : { event: row.restore_event, at: row.restore_at.toISOString(), who: row.restore_who, reason: row.restore_reason },
  }));
}

export interface RestoreRequest {
  readonly publication: number;
  readonly reason: string;
  readonly who: string;
}

export interface RestoreAnswer {
  readonly pipeline: string;
  readonly live: number;
  /** The publication that was live before; null when the wanted one was live already. */
  readonly replaced: number | null;
  readonly did: 'restored' | 'nothing';
}

/** A restore is a matter of milliseconds; beyond this somebody holds the pointer. */
const LOCK_DEADLINE_MS = 30_000;

/**
 * Puts an earlier publication back, every table of it together, and withdraws the newer one: that goes live again only
 * by a new accepted set or another restore. Twice is once. Throws `publish.unknown`, `publish.collected`,
 * `publish.never-live`, `publish.schema-changed` when a newer live table is not part of it, `publish.locked`.
 */
export async function restorePublication({ database, clock }: PublicationServices, request: RestoreRequest): Promise<RestoreAnswer> {
  const said = { ...request, reason: requireReason(request.reason, 'publish restore') };
  return withPublishSession(database, new AbortController().signal, LOCK_DEADLINE_MS, (session) =>
    withLockRetries(session, `restoring publication ${request.publication}`, () =>
      inTransaction(session, () => restore(session, said, clock.now())),
    ),
  );
}

async function restore(session: PublishSession, request: RestoreRequest, now: Date): Promise<RestoreAnswer> {
  const { client } = session;
  const wanted = request.publication;
  const by = { who: request.who, reason: request.reason };
  const pipeline = (await client.query<{ pipeline: string }>('select pipeline from almanac.publication where id = $1', [wanted])).rows[0]
    ?.pipeline;
  if (pipeline === undefined)
    throw new AlmanacError('publish.unknown', `there is no publication ${wanted}`, {
      next: 'almanac publish list',
      details: { publication: wanted },
    });
  // The pointer first, as a flip does; then the row, against a collection.
  const live =
    (await client.query<{ publication: number | null }>('select publication from almanac.live where pipeline = $1 for update', [pipeline]))
      .rows[0]?.publication ?? null;
  const target = (await client.query<Row>('select * from almanac.publication where id = $1 for update', [wanted])).rows[0];
  if (target === undefined || live === wanted) return { pipeline, live: wanted, replaced: null, did: 'nothing' };
  refuseUnrestorable(target);
  await refuseMissingTables(session, target);
  await client.query(
    'update almanac.live set publication = $2, changed_at = $3 where pipeline = $1 and publication is not distinct from $4',
    [pipeline, wanted, now, live],
  );
  await client.query(
    `update almanac.publication set state = 'live', previous = $2, flipped_at = $3, retired_at = null, retired_xid = null where id = $1`,
    [wanted, live, now],
  );
  await recordEvent(session, wanted, 'restored', now, { replaced: live }, by);
  if (live !== null) {
    const fate = live > wanted ? 'withdrawn' : 'retired';
    await client.query('update almanac.publication set state = $2, retired_at = $3, retired_xid = pg_current_xact_id() where id = $1', [
      live,
      fate,
      now,
    ]);
    await recordEvent(session, live, fate, now, { by: wanted }, by);
  }
  const run = { pipeline, window: target.window_key, branch: target.branch, generation: target.generation };
  await recordAction(client, { run, verb: 'publish restore', ...by, detail: { publication: wanted, replaced: live }, now });
  return { pipeline, live: wanted, replaced: live, did: 'restored' };
}

function refuseUnrestorable({ id, state }: Row): void {
  if (state === 'retired' || state === 'withdrawn') return;
  const next = 'almanac publish list, and restore one that is retired or withdrawn';
  const details = { publication: id, state };
  if (state === 'collected')
    throw new AlmanacError('publish.collected', `the tables of publication ${id} were dropped already`, { next, details });
  throw new AlmanacError('publish.never-live', `publication ${id} is ${state} and was never live`, { next, details });
}

/** A view whose table the old publication lacks would fall empty. */
async function refuseMissingTables(session: PublishSession, target: Row): Promise<void> {
  const missing = (await publishedElsewhere(session, target.pipeline, Object.keys(target.tables)))[0];
  if (missing === undefined) return;
  throw new AlmanacError('publish.schema-changed', `publication ${target.id} has no table ${missing.name}, which is live now`, {
    next: `restore a later one, or move the readers of ${missing.name}, drop view "${missing.view_schema}"."${missing.name}" and restore again`,
    details: { publication: target.id, table: missing.name },
  });
}
