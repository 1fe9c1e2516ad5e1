import { listAttempts } from '../../activities/ledger/attempts';
import { latestRun, type RunRow } from '../../activities/ledger/runs';
import { previousReaders, type BackfillQuestion, type BackfillRequest, type WindowFacts } from '../../pipelines/backfill-plan';
import { nextBranch } from '../../pipelines/chain-head';
import { AlmanacError } from '../../pipelines/failures';
import { MAIN_BRANCH } from '../../pipelines/run-id';
import type { StaleWindow } from '../../pipelines/stale';
import { RUN_STATES } from '../../pipelines/status';
import type { Plan, VersionRef, Window } from '../../pipelines/types';
import { enumerate, isOver, nextKey } from '../../pipelines/window';
import { headOf } from '../runs/head';
import { compareInputs } from '../runs/input-changes';
import { presentOutputs } from '../runs/retry';
import type { OperatorSession } from '../session';
import { findStale, staleOf } from '../stale';

/**
 * What is known of every window of a range. A range of an ordered chain begins after its nearest anchor, the last window before it
 * that is accepted. Throws `window.invalid` and `window.open`.
 */
export async function backfillFacts(session: OperatorSession, plan: Plan, request: BackfillRequest): Promise<BackfillQuestion> {
  const { datasets, clock, database } = session;
  const asked = enumerate(plan.window, request.from, request.to);
  const last = asked.at(-1);
  if (last !== undefined && !isOver(last, clock.now())) {
    throw new AlmanacError('window.open', `${request.pipeline}/${last.key} ends at ${last.end}; its data are not complete`, {
      next: 'end the range with a window that is over',
    });
  }
  const accepted = await datasets.acceptedWindows(request.pipeline, MAIN_BRANCH);
  const anchor = plan.chain === 'ordered' ? accepted.filter((key) => key < request.from).at(-1) : undefined;
  const successors = accepted.filter((key) => key > request.to);
  const upTo = plan.chain === 'ordered' ? (successors.at(-1) ?? request.to) : request.to;
  const windows =
    anchor === undefined && upTo === request.to
      ? asked
      : enumerate(plan.window, anchor === undefined ? request.from : nextKey(plan.window, anchor), upTo);
  const stale = await findStale(database);
  const facts: WindowFacts[] = [];
  for (const window of windows) facts.push(await windowFacts(session, plan, request, window, staleOf(stale, addressOf(request, window))));
  return {
    plan,
    request,
    facts,
    anchor: anchor === undefined ? null : { window: anchor, accepted: await acceptedVersions(session, request.pipeline, anchor) },
    successors,
    nextBranch: nextBranch(await headOf(session, request.pipeline)),
  };
}

function addressOf({ pipeline }: BackfillRequest, window: Window): { pipeline: string; window: string; branch: string } {
  return { pipeline, window: window.key, branch: MAIN_BRANCH };
}

/** What is known of a window of `main`. */
export async function windowFacts(
  session: OperatorSession,
  plan: Plan,
  request: BackfillRequest,
  window: Window,
  stale: StaleWindow | undefined,
): Promise<WindowFacts> {
  const { datasets, database } = session;
  const known = await datasets.generations(request.pipeline, MAIN_BRANCH, window.key);
  const row = await latestRun(database, request.pipeline, window.key, MAIN_BRANCH);
  const facts = {
    window: window.key,
    generation: Math.max(row?.run.generation ?? 0, known.highest),
    run: runFact(row, known.accepted !== undefined),
    accepted: known.accepted === undefined ? null : namesOf(known.accepted.versions),
  };
  const looksAway =
    facts.accepted !== null && (request.reprocess === 'missing' || request.reprocess === 'failed') && facts.run === 'succeeded';
  // What is left alone whatever it holds need not be read, except where it could be rebuilt for what it was built on.
  if (row === undefined || facts.run === 'open' || (looksAway && (plan.chain !== 'ordered' || previousReaders(plan).length === 0)))
    return { ...facts, standing: {}, changedInputs: [], stale: [] };
  const attempts = await listAttempts(database, row.run);
  const kept = await presentOutputs(session, attempts);
  const changed = looksAway ? [] : (await compareInputs(session, row, plan, kept)).changes.map(({ stage }) => stage);
  return {
    ...facts,
    standing: Object.fromEntries(
      Object.entries(kept).map(([stage, { stageHash, output }]) => [
        stage,
        {
          hash: stageHash,
          versions: namesOf(output.versions),
        },
      ]),
    ),
    changedInputs: changed,
    stale: staleStages(plan, stale),
  };
}

function runFact(row: RunRow | undefined, accepted: boolean): WindowFacts['run'] {
  if (row === undefined) return accepted ? 'succeeded' : 'none';
  if (row.state === 'held') return 'held';
  if (RUN_STATES[row.state].open) return 'open';
  if (row.state === 'succeeded') return 'succeeded';
  return row.failure === null ? 'stopped' : 'failed';
}

/** Stages whose output was built on rows that are no longer current. */
function staleStages(plan: Plan, stale: StaleWindow | undefined): string[] {
  const datasets = (stale?.versions ?? []).map(({ dataset }) => dataset);
  return plan.stages
    .filter(({ spec }) => 'writes' in spec && spec.writes !== undefined && datasets.includes(spec.writes))
    .map(({ id }) => id);
}

async function acceptedVersions(session: OperatorSession, pipeline: string, window: string): Promise<string[]> {
  return namesOf((await session.datasets.accepted(pipeline, MAIN_BRANCH, window))?.versions ?? []);
}

export function namesOf(versions: readonly VersionRef[]): string[] {
  return versions.map(({ dataset, window, version }) => `${dataset}@${window}#${version}`);
}
