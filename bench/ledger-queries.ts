/** What the command line asks of the ledger, through the functions it uses itself; each question differs from the one before. */
import { listBackfills, stageHistory } from '../activities/ledger/backfills';
import { makeBackfill } from '../operator/backfills/plan';
import { runGrid } from '../operator/runs/grid';
import { runLogs, runs, showRun, whyRun } from '../operator/runs/inspect';
import { builtOn, listStale } from '../operator/stale';
import type { OperatorSession } from '../operator/session';
import { MAIN_BRANCH } from '../pipelines/run-id';
import { FIRST_WINDOW, lastWindow, pipelineName, type LedgerSize } from './ledger-data';

const DAY_MS = 86_400_000;
/** Windows of a page of the grid, and of a plan. */
const PAGE = 60;
const PLANNED = 30;

export type LedgerQuestion = (session: OperatorSession, index: number) => Promise<unknown>;

/** By what they answer; `index` moves through pipelines and windows. */
export function ledgerQuestions(size: LedgerSize): Readonly<Record<string, LedgerQuestion>> {
  const pipeline = (index: number): string => pipelineName(index % size.pipelines);
  /** Anywhere in the chain, so that no page is the warm one. */
  const day = (index: number, margin = 0): string => {
    const at = (index * 7919) % Math.max(1, size.windows - margin);
    return new Date(Date.parse(`${FIRST_WINDOW}T00:00:00Z`) + at * DAY_MS).toISOString().slice(0, 10);
  };
  const after = (key: string, days: number): string => new Date(Date.parse(`${key}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
  const address = (index: number): { pipeline: string; window: string; branch: string } => ({
    ...{ pipeline: pipeline(index), window: day(index), branch: MAIN_BRANCH },
  });
  return {
    'runs': (session) => runs(session, { limit: 50 }),
    'runs --pipeline': (session, index) => runs(session, { pipeline: pipeline(index), limit: 50 }),
    'runs --state held': (session) => runs(session, { state: 'held', limit: 50 }),
    'runs --pipeline --from --to': (session, index) =>
      runs(session, { pipeline: pipeline(index), from: day(index), to: after(day(index), PAGE), limit: 50 }),
    'runs --grid, newest': (session, index) => runGrid(session, { pipeline: pipeline(index), branch: MAIN_BRANCH, limit: PAGE }),
    'runs --grid --to': (session, index) =>
      runGrid(session, { pipeline: pipeline(index), branch: MAIN_BRANCH, to: day(index), limit: PAGE }),
    'show': (session, index) => showRun(session, address(index)),
    'why': (session, index) => whyRun(session, address(index)),
    'logs': (session, index) => runLogs(session, address(index), undefined),
    'backfill stale': (session) => listStale(session),
    'what is built on a late window': (session, index) =>
      builtOn(session.database, { ...address(index), window: after(lastWindow(size), -PLANNED) }),
    'backfill plan, history of stages': (session, index) => stageHistory(session.database, pipeline(index)),
    'backfill plan of 30 windows': (session, index) =>
      makeBackfill(
        session,
        {
          ...{ pipeline: pipeline(index), from: day(index, PLANNED), to: after(day(index, PLANNED), PLANNED - 1) },
          ...{ reprocess: 'all', fromStage: null, order: 'forward' },
        },
        1,
      ),
    'backfill list': (session) => listBackfills(session.database, undefined, 50),
  };
}
