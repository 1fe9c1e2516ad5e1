/**
 * Who of those that wait gets the permits of a pool. Pipelines take turns, the one least recently served first; within one, live runs and
 * those of backfills do the same, and the oldest request comes first. Nobody overtakes a request that does not fit yet: what is
 * free is kept for it, so that large ones do not starve behind small ones.
 */

/** How long a stage waits for permits before its run holds. */
export const POOL_PATIENCE_SECONDS = 7 * 24 * 3600;

/** Whose run it is for: a slot's or an operator's, or a backfill's. */
export type Lane = 'live' | 'backfill';

export interface PermitRequest {
  /** Of the stage: decides between requests of one instant, so that everybody sees the same order. */
  readonly id: string;
  readonly pipeline: string;
  readonly lane: Lane;
  readonly permits: number;
  /** Milliseconds since 1970. */
  readonly askedAt: number;
  /** Whether its stage looked lately: one that does not look keeps its position, but others need not wait until it does. */
  readonly present: boolean;
}

/** When a lane of a pipeline was last served: the higher the later; those never served are not listed. */
export interface Turn {
  readonly pipeline: string;
  readonly lane: Lane;
  readonly turn: number;
}

/** All that wait, in the order in which they would be served one after another. */
export function servingOrder<R extends PermitRequest>(requests: readonly R[], turns: readonly Turn[]): R[] {
  const last = new Map(turns.map(({ pipeline, lane, turn }) => [key(pipeline, lane), turn]));
  let newest = Math.max(0, ...last.values());
  const lanes = new Map<string, R[]>();
  for (const request of [...requests].sort(olderFirst)) {
    const name = key(request.pipeline, request.lane);
    lanes.set(name, [...(lanes.get(name) ?? []), request]);
  }
  const pipelines = new Set(requests.map(({ pipeline }) => pipeline));
  const order: R[] = [];
  while (pipelines.size > 0) {
    const heads = [...pipelines].flatMap((pipeline) => headOf(pipeline, lanes, last) ?? []);
    const [next] = heads.sort((a, b) => a.servedAt - b.servedAt || olderFirst(a.head, b.head));
    if (next === undefined) break;
    const { head } = next;
    const name = key(head.pipeline, head.lane);
    lanes.get(name)?.shift();
    last.set(name, (newest += 1));
    order.push(head);
    if (headOf(head.pipeline, lanes, last) === undefined) pipelines.delete(head.pipeline);
  }
  return order;
}

/** Those that may take their permits now, of a serving order. `held` may be above `size`: a pool was made smaller. */
export function granted<R extends PermitRequest>(size: number, held: number, order: readonly R[]): R[] {
  const grants: R[] = [];
  let free = size - held;
  for (const request of order) {
    // What is larger than the whole pool waits for an operator, not for a turn.
    if (!request.present || request.permits > size) continue;
    if (request.permits > free) break;
    free -= request.permits;
    grants.push(request);
  }
  return grants;
}

const SOON_MS = 1000;
const LATE_MS = 10_000;

/** Milliseconds until a stage at this position, from 1, looks again: the sooner its turn may come, the sooner. */
export function lookAgainMs(position: number, size: number): number {
  return Math.min(LATE_MS, SOON_MS * Math.ceil(position / Math.max(1, size)));
}

function headOf<R extends PermitRequest>(
  pipeline: string,
  lanes: ReadonlyMap<string, readonly R[]>,
  last: ReadonlyMap<string, number>,
): { readonly head: R; readonly servedAt: number } | undefined {
  const [live, backfill] = (['live', 'backfill'] as const).map((lane) => ({
    head: lanes.get(key(pipeline, lane))?.[0],
    turn: last.get(key(pipeline, lane)) ?? 0,
  }));
  const head = live?.head === undefined || (backfill?.head !== undefined && backfill.turn < live.turn) ? backfill?.head : live.head;
  return head === undefined ? undefined : { head, servedAt: Math.max(live?.turn ?? 0, backfill?.turn ?? 0) };
}

/** Names of pipelines hold no blank. */
function key(pipeline: string, lane: Lane): string {
  return `${pipeline} ${lane}`;
}

function olderFirst(a: PermitRequest, b: PermitRequest): number {
  return a.askedAt - b.askedAt || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}
