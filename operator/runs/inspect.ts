import { isTainted, standingOutputs } from '../../activities/accept-window';
import { listAttempts, type AttemptRow } from '../../activities/ledger/attempts';
import { planReader } from '../../activities/ledger/plans';
import { latestRun, listRuns, readRun, runKey, type ListedRun, type RunFilter, type RunRow } from '../../activities/ledger/runs';
import { AlmanacError } from '../../pipelines/failures';
import { formatRun, type RunAddress } from '../../pipelines/run-id';
import type { Plan, RunRef } from '../../pipelines/types';
import { why, type Why } from '../../pipelines/why';
import type { OperatorSession } from '../session';
import type { ActionState } from './actions';

export interface RunView {
  readonly row: RunRow;
  /** What it wrote follows a skip or tainted pins. */
  readonly tainted: boolean;
  readonly plan: Plan;
  readonly attempts: readonly AttemptRow[];
  readonly actions: readonly ActionView[];
  readonly why: Why;
}

export interface ActionView {
  readonly at: string;
  readonly who: string;
  readonly verb: string;
  readonly generation: number;
  readonly stage: string | null;
  readonly reason: string | null;
  readonly detail: unknown;
  /** `intended`: it is not known whether the run took it. */
  readonly state: ActionState;
}

export interface LogLine {
  readonly at: string;
  readonly stage: string;
  readonly attempt: number;
  readonly line: string;
}

/** The named generation, else the newest; throws `run.unknown`. */
export async function findRun(session: OperatorSession, address: RunAddress & { readonly generation?: number }): Promise<RunRow> {
  const row =
    address.generation === undefined
      ? await latestRun(session.database, address.pipeline, address.window, address.branch)
      : await readRun(session.database, { ...address, generation: address.generation });
  if (row !== undefined) return row;
  throw new AlmanacError(
    'run.unknown',
    `no run ${formatRun(address)}${address.generation === undefined ? '' : ` generation ${address.generation}`} in the ledger`,
    {
      next: `almanac runs --pipeline ${address.pipeline} lists them`,
    },
  );
}

export async function showRun(session: OperatorSession, address: RunAddress & { readonly generation?: number }): Promise<RunView> {
  const row = await findRun(session, address);
  const [plan, attempts, actions] = await Promise.all([
    planReader(session.database)(row.planHash),
    listAttempts(session.database, row.run),
    listActions(session, row.run),
  ]);
  return { row, tainted: isTainted(row, standingOutputs(attempts)), plan, attempts, actions, why: whyOf(row, plan, attempts, actions) };
}

export async function whyRun(
  session: OperatorSession,
  address: RunAddress & { readonly generation?: number },
): Promise<Why & { readonly run: RunRef; readonly state: string }> {
  const view = await showRun(session, address);
  return { run: view.row.run, state: view.row.state, ...view.why };
}

function whyOf(row: RunRow, plan: Plan, attempts: readonly AttemptRow[], actions: readonly ActionView[]): Why {
  return why(
    { ...row, name: formatRun(row.run), pipeline: row.run.pipeline, window: row.run.window },
    plan.stages,
    attempts.map((attempt) => ({ ...attempt, publication: attempt.output?.publication })),
    actions.filter(({ generation }) => generation === row.run.generation),
  );
}

export function runs(session: OperatorSession, filter: RunFilter): Promise<ListedRun[]> {
  return listRuns(session.database, filter);
}

/** Log lines of a run or one stage of it, oldest first. */
export async function runLogs(
  session: OperatorSession,
  address: RunAddress & { readonly generation?: number },
  stage: string | undefined,
): Promise<LogLine[]> {
  const row = await findRun(session, address);
  const { rows } = await session.database.query<{ at: Date; stage: string; attempt: number; line: string }>(
    `select at, stage, attempt, line from almanac.log_line
     where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and ($5::text is null or stage = $5) order by id`,
    [...runKey(row.run), stage ?? null],
  );
  return rows.map(({ at, ...rest }) => ({ at: at.toISOString(), ...rest }));
}

/** Verbs over all generations of the run, oldest first. */
async function listActions(session: OperatorSession, run: RunRef): Promise<ActionView[]> {
  const { rows } = await session.database.query<Omit<ActionView, 'at'> & { at: Date }>(
    `select at, who, verb, generation, stage, reason, detail, state from almanac.action
     where pipeline = $1 and window_key = $2 and branch = $3 order by id`,
    [run.pipeline, run.window, run.branch],
  );
  return rows.map(({ at, ...rest }) => ({ ...rest, at: at.toISOString() }));
}
