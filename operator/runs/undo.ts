import { standingOutputs } from '../../activities/accept-window';
import { listAttempts } from '../../activities/ledger/attempts';
import { type RunRow } from '../../activities/ledger/runs';
import { withdrawOverride } from '../../activities/quality/overrides';
import { AlmanacError } from '../../pipelines/failures';
import { formatRun, retryCommand, type RunAddress } from '../../pipelines/run-id';
import { RUN_STATES } from '../../pipelines/status';
import { audit, type AuditedAction } from '../audit';
import { requireReason } from '../reason';
import type { OperatorSession } from '../session';
import { recordAction } from './actions';
import { queryState } from './execution';
import { retryRun, type RetryAnswer, type RetryVerb } from './retry';
import { newestRun } from './newest-run';

export interface UndoVerb {
  readonly address: RunAddress;
  readonly reason: string;
}

export interface UndoAnswer {
  readonly undone: AuditedAction;
  /** What runs again for it; null when only what is still to come changes. */
  readonly retry: RetryAnswer | null;
  /** What undoing could not change, and the command that does. */
  readonly left: string | null;
}

/** Verbs of a run that look for nothing to take back. */
const PASSED_OVER = ['undo', 'quarantine replay'];
const LOOKED_BACK = 100;
/** An undo that is marked and did no more for so long was cut off: the next one goes on with it. */
const CUT_OFF_MS = 60_000;

/**
 * Takes back the last skip, mark-done, override or abandon of a run, when nothing was done after it: the stage runs for itself, the
 * check counts again, the run goes on. Throws `undo.impossible`, saying why.
 */
export async function undoVerb(session: OperatorSession, verb: UndoVerb): Promise<UndoAnswer> {
  const { database, clock, config } = session;
  const reason = requireReason(verb.reason, 'undo');
  const name = formatRun(verb.address);
  const row = await newestRun(session, verb.address);
  const { pipeline, window, branch } = row.run;
  const done = await audit(session, { run: { pipeline, window, branch }, limit: LOOKED_BACK });
  const last = lastToTakeBack(done);
  if (last === undefined) throw impossible(`nothing was done to ${name} that could be taken back`, `almanac audit ${name}`);
  const again = (more: Pick<RetryVerb, 'stages' | 'inputs'>): Promise<RetryAnswer> =>
    retryRun(session, {
      address: verb.address,
      reason,
      code: 'same',
      recordedAs: { verb: 'undo', detail: { undoes: last.id, verb: last.verb } },
      ...more,
    });
  // Of several who take back the same, one does; it is on record before anything runs again.
  const taking = async (work: () => Promise<Omit<UndoAnswer, 'undone'>>): Promise<UndoAnswer> => {
    const faster = new AlmanacError('run.stale', `${last.verb} of ${name} is being taken back by somebody faster`, {
      next: `almanac show ${name}`,
    });
    if (last.run?.generation !== row.run.generation) throw faster;
    const now = clock.now();
    const { rowCount } = await database.query(
      'update almanac.action set undone_at = $2 where id = $1 and (undone_at is null or undone_at < $3)',
      [last.id, now, new Date(now.getTime() - CUT_OFF_MS)],
    );
    if (rowCount !== 1) throw faster;
    try {
      return { undone: { ...last, state: 'undone' }, ...(await work()) };
    } catch (error) {
      // Without an answer it may still be taken; what was refused stands as it was.
      if (error instanceof AlmanacError && error.class !== 'platform')
        await database.query('update almanac.action set undone_at = null where id = $1', [last.id]);
      throw error;
    }
  };
  switch (last.verb) {
    case 'skip':
    case 'mark-done': {
      const stage = last.stage ?? '';
      await requireQuiet(session, row, last);
      return taking(async () => ({ retry: await again({ stages: [stage], inputs: 'latest' }), left: left(row, name) }));
    }
    case 'override': {
      const stage = last.stage ?? '';
      await requireQuiet(session, row, last);
      return taking(async () => {
        await withdrawOverride(database, Number(last.detail.override), clock.now());
        const judged = standingOutputs(await listAttempts(database, row.run))[stage]?.output.gate?.overridden ?? [];
        if (row.state !== 'succeeded' && judged.length > 0) {
          return { retry: await again({ stages: [stage], inputs: 'pinned' }), left: null };
        }
        const detail = { undoes: last.id, verb: last.verb };
        await recordAction(database, { run: row.run, verb: 'undo', who: config.actor, stage, reason, detail, now: clock.now() });
        const stays = `${name} was accepted under it and stays so, tainted; ${retryCommand(row.run, stage)} judges it anew`;
        return { retry: null, left: row.state === 'succeeded' ? stays : null };
      });
    }
    case 'abandon':
      return taking(async () => ({ retry: await again({ inputs: 'pinned' }), left: null }));
    default:
      throw impossible(
        `the last thing done to ${name} is ${last.verb}, by ${last.who} at ${last.at}: ${whyNot(last)}`,
        nextFor(last, name),
      );
  }
}

/** The newest action that stands, or that was marked as taken back by an undo of which nothing else is on record. */
function lastToTakeBack(actions: readonly AuditedAction[]): AuditedAction | undefined {
  const undone = new Set(actions.filter(({ verb, state }) => verb === 'undo' && state !== 'refused').map(({ detail }) => detail.undoes));
  return actions.find(
    ({ id, verb, state }) => !PASSED_OVER.includes(verb) && (state === 'done' || (state === 'undone' && !undone.has(id))),
  );
}

/** A stage that reads the stand-in right now would finish as if it had read the real thing. */
async function requireQuiet(session: OperatorSession, row: RunRow, last: AuditedAction): Promise<void> {
  if (!RUN_STATES[row.state].open || (await queryState(await session.temporal(), row)).held) return;
  const name = formatRun(row.run);
  throw impossible(
    `${name} is running on what ${last.verb} let it; stages that run cannot be called back one by one`,
    `almanac undo ${name} --reason … once it holds or is done, or almanac cancel ${name} --reason …`,
  );
}

function left(row: RunRow, name: string): string | null {
  return row.state === 'succeeded'
    ? `what ${name} accepted stays current, and what it published live, until the new generation is done`
    : null;
}

function whyNot({ verb }: AuditedAction): string {
  if (verb === 'cancel') return 'what a cancel stopped is fenced for good';
  return 'what it started runs, or ran, and its versions are immutable';
}

function nextFor({ verb }: AuditedAction, name: string): string {
  return verb === 'cancel' ? `almanac retry ${name} --reason … goes on from what stands` : `almanac why ${name}`;
}

function impossible(message: string, next: string): AlmanacError {
  return new AlmanacError('undo.impossible', message, { next });
}
