import type { LiveTable } from '../../pipelines/publish-sql';
import type { RunRef } from '../../pipelines/types';
import { assertCurrent } from './fence';
import { createViews } from './live-schema';
import { withLockRetries } from './lock-retry';
import { advance, holdFence, recordEvent, type OpenPublication } from './publication-ledger';
import { inTransaction, type PublishSession } from './publish-session';

/** The place of a publication in its pipeline's order of windows. */
export interface PublishedWindow {
  readonly window: string;
  readonly windowEnd: string;
  readonly acceptedSequence: number;
}

/** What the pointer names, if anything. */
export interface LivePublication extends PublishedWindow {
  readonly id: number;
}

export interface FlipRequest extends PublishedWindow {
  readonly run: RunRef;
  readonly tables: readonly LiveTable[];
  readonly point: (name: string) => Promise<void>;
  /** The wall clock, read for every record. */
  readonly now: () => Date;
}

export type FlipOutcome =
  | { readonly outcome: 'flipped'; readonly previous: number | null; readonly seconds: number }
  | { readonly outcome: 'superseded'; readonly by: LivePublication };

/** Whether what is live must stay: it is of a later window, or of a later acceptance of the same one. */
export function supersedes(live: PublishedWindow, next: PublishedWindow): boolean {
  if (live.window === next.window) return live.acceptedSequence > next.acceptedSequence;
  return new Date(live.windowEnd).getTime() > new Date(next.windowEnd).getTime();
}

export async function readLive({ client }: Pick<PublishSession, 'client'>, pipeline: string): Promise<LivePublication | undefined> {
  const { rows } = await client.query<{ id: number; window_key: string; window_end: Date; accepted_sequence: number }>(
    'select p.id, p.window_key, p.window_end, p.accepted_sequence from almanac.live l join almanac.publication p on p.id = l.publication where l.pipeline = $1',
    [pipeline],
  );
  const row = rows[0];
  return row && { id: row.id, window: row.window_key, windowEnd: row.window_end.toISOString(), acceptedSequence: row.accepted_sequence };
}

/**
 * Moves every table of the publication together by one conditional update of the pipeline's pointer. A later window
 * that is live wins: then this one becomes `superseded`. Throws `publish.fenced` for a zombie.
 */
export async function flip(session: PublishSession, open: OpenPublication, request: FlipRequest): Promise<FlipOutcome> {
  for (;;) {
    const live = await readLive(session, open.pipeline);
    if (live !== undefined && live.id !== open.id && supersedes(live, request)) {
      await advance(session, open, 'superseded', request.now(), { detail: { by: live.id } });
      return { outcome: 'superseded', by: live };
    }
    const expected = live?.id ?? null;
    let begun = 0;
    const moved = await withLockRetries(session, `flipping publication ${open.id}`, () => {
      begun = performance.now();
      return inTransaction(session, () => move(session, open, request, expected));
    });
    if (moved) return { outcome: 'flipped', previous: expected, seconds: (performance.now() - begun) / 1000 };
  }
}

/** False, with nothing changed, when the pointer is not what was expected any more. */
async function move(session: PublishSession, open: OpenPublication, request: FlipRequest, expected: number | null): Promise<boolean> {
  const { client } = session;
  const now = request.now();
  await assertCurrent(session, request.run);
  await holdFence(session, open);
  await request.point('flip-fenced');
  const pointer = await client.query(
    'update almanac.live set publication = $2, changed_at = $4 where pipeline = $1 and publication is not distinct from $3',
    [open.pipeline, open.id, expected, now],
  );
  if (pointer.rowCount !== 1) return false;
  await request.point('flip-moved');
  await client.query(`update almanac.publication set state = 'live', previous = $2, flipped_at = $3 where id = $1`, [
    open.id,
    expected,
    now,
  ]);
  await recordEvent(session, open.id, 'flipped', now, { previous: expected });
  if (expected !== null) {
    await client.query(
      `update almanac.publication set state = 'retired', retired_at = $2, retired_xid = pg_current_xact_id() where id = $1`,
      [expected, now],
    );
    await recordEvent(session, expected, 'retired', now, { by: open.id });
  }
  await createViews(session, open.pipeline, request.tables);
  await request.point('flip-committing');
  return true;
}
