import {
  listDeadlines,
  newestAttempts,
  openDeadlines,
  stageDurations,
  writeDeadlines,
  type DeadlineRow,
  type DeadlineWrite,
  type OpenDeadline,
} from '../../activities/ledger/deadlines';
import { planReader } from '../../activities/ledger/plans';
import { estimate, judgeDeadline, type Estimate, type StageDuration, type StageProgress } from '../../pipelines/deadline';
import { AlmanacError } from '../../pipelines/failures';
import { firstInstant, zoneOf, DAY_MS } from '../../pipelines/local-day';
import { ATTEMPT_STATES, RUN_STATES } from '../../pipelines/status';
import type { OperatorSession } from '../session';
import { installedSchedule } from './verbs';

/** Looks come every second while slots wait; an estimate changes more slowly. */
const ESTIMATE_EVERY_MS = 15_000;

/** Judges the deadlines that are not settled: one statement when there are none. */
export async function lookAtDeadlines({ database, clock }: Pick<OperatorSession, 'database' | 'clock'>): Promise<void> {
  const now = clock.now();
  const open = (await openDeadlines(database, now)).filter((deadline) => isDue(deadline, now));
  if (open.length === 0) return;
  const unsettled = open.filter(({ state, published }) => state !== 'missed' && published === undefined);
  const durations = unsettled.length === 0 ? new Map() : await stageDurations(database, [...new Set(unsettled.map((row) => row.pipeline))]);
  const plan = planReader(database);
  const writes: DeadlineWrite[] = [];
  for (const deadline of open) {
    const { stages } = await plan(deadline.planHash);
    const progress =
      deadline.run === undefined ? new Map<string, StageProgress>() : await progressOf(database, deadline, deadline.run.generation);
    const known: ReadonlyMap<string, StageDuration> = durations.get(deadline.pipeline) ?? new Map();
    const usual = estimate(stages, progress, (stage) => known.get(stage)?.usual, now.getTime());
    const late = estimate(stages, progress, (stage) => known.get(stage)?.late, now.getTime());
    writes.push(judged(deadline, { usual, late }, now));
  }
  await writeDeadlines(database, writes, now);
}

function isDue({ state, lookedAt, published, laterAt, due }: OpenDeadline, now: Date): boolean {
  if (state === undefined || lookedAt === undefined || published !== undefined || laterAt !== undefined || due <= now) return true;
  return now.getTime() - lookedAt.getTime() >= ESTIMATE_EVERY_MS;
}

async function progressOf(
  database: OperatorSession['database'],
  { pipeline, window }: OpenDeadline,
  generation: number,
): Promise<Map<string, StageProgress>> {
  const progress = new Map<string, StageProgress>();
  for (const { stage, state, startedAt } of await newestAttempts(database, pipeline, window, generation)) {
    if (ATTEMPT_STATES[state].stands) progress.set(stage, { state: 'done' });
    else if (state === 'running') progress.set(stage, { state: 'running', since: startedAt.getTime() });
  }
  return progress;
}

function judged(deadline: OpenDeadline, { usual, late }: { usual: Estimate; late: Estimate }, now: Date): DeadlineWrite {
  const { pipeline, nominal, window, windowEnd, due, published } = deadline;
  const stuck = stuckReason(deadline.run);
  const facts = { due: due.getTime(), publishedAt: published?.at.getTime(), laterAt: deadline.laterAt?.getTime(), stuck, late };
  const { state, reason, settledAt } = judgeDeadline(facts, now.getTime());
  // What never ran, or cannot go on by itself, has no end that history could tell.
  const known = published === undefined && stuck === undefined && late.path.length > 0 && late.unknown.length < late.path.length;
  return {
    ...{ pipeline, nominal, window, windowEnd, due, state, reason, published },
    eta: known ? new Date(usual.eta) : undefined,
    etaLate: known ? new Date(late.eta) : undefined,
    path: published === undefined ? late.path : [],
    settledAt: settledAt === undefined ? undefined : new Date(settledAt),
  };
}

function stuckReason(run: OpenDeadline['run']): string | undefined {
  if (run?.state === 'held') return `its run is held at ${run.failedStages.join(', ') || 'its acceptance'}`;
  if (run === undefined || RUN_STATES[run.state].open || run.state === 'succeeded') return undefined;
  return `its run was ${run.state}`;
}

/** Deadlines, latest first. Throws `schedule.unknown` for a pipeline without a schedule. */
export async function deadlinesOf(session: OperatorSession, pipeline: string | undefined, limit: number): Promise<DeadlineRow[]> {
  if (pipeline !== undefined) await installedSchedule(session, pipeline);
  return listDeadlines(session.database, { pipeline, limit });
}

/** How a month went. Those still open count nowhere. */
export interface OnTimeReport {
  readonly pipeline: string;
  readonly month: string;
  readonly timezone: string;
  readonly deadlines: number;
  readonly met: number;
  readonly superseded: number;
  readonly missed: number;
  /** Met of those met and missed, from 0 to 1; null when there were none. */
  readonly onTime: number | null;
  readonly late: readonly (DeadlineRow & { readonly lateSeconds: number | null })[];
}

/** More than a month of minutes has. */
const MOST_OF_A_MONTH = 50_000;

/** The deadlines of one month, `YYYY-MM`, of the schedule's zone. Throws `schedule.unknown` and `run.usage`. */
export async function onTimeReport(session: OperatorSession, pipeline: string, month: string): Promise<OnTimeReport> {
  const { spec } = await installedSchedule(session, pipeline);
  const [, year, number] = /^(\d{4})-(0[1-9]|1[0-2])$/.exec(month) ?? [];
  if (year === undefined || number === undefined)
    throw new AlmanacError('run.usage', `--month ${month} is not a month`, { next: 'Use a month like 2026-11.' });
  const zone = zoneOf(spec.timezone);
  const first = (months: number): Date => new Date(firstInstant(zone, Date.UTC(Number(year), Number(number) - 1 + months, 1) / DAY_MS));
  const rows = await listDeadlines(session.database, { pipeline, from: first(0), to: first(1), limit: MOST_OF_A_MONTH });
  const count = (state: DeadlineRow['state']): number => rows.filter((row) => row.state === state).length;
  const [met, missed] = [count('met'), count('missed')];
  return {
    ...{ pipeline, month, timezone: spec.timezone, deadlines: rows.length, met, superseded: count('superseded'), missed },
    onTime: met + missed === 0 ? null : met / (met + missed),
    late: rows
      .filter(({ state }) => state === 'missed')
      .map((row) => ({
        ...row,
        lateSeconds: row.publishedAt === null ? null : (Date.parse(row.publishedAt) - Date.parse(row.due)) / 1000,
      })),
  };
}
