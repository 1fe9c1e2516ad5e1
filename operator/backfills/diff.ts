import type { BackfillRow } from '../../activities/ledger/backfills';
import type { BackfillState } from '../../pipelines/backfill-steps';
import { MAIN_BRANCH } from '../../pipelines/run-id';
import type { VersionRef } from '../../pipelines/types';
import { AlmanacError } from '../../pipelines/failures';
import { diffVersions, type DatasetDiff, type DiffServices } from '../dataset-diff';
import type { OperatorSession } from '../session';
import { behindMain, branchStart, type BehindWindow } from './branch';
import { findBackfill } from './plan';

/** One dataset of one window: as `main` has it, and as the branch has it. */
export interface BranchDifference {
  readonly window: string;
  readonly dataset: string;
  /** `only-main`, `only-branch`: the other has no version of it. `reshaped`: their columns differ, so rows cannot be compared. */
  readonly state: 'same' | 'changed' | 'reshaped' | 'only-main' | 'only-branch';
  /** Null where there is no version. */
  readonly rows: { readonly main: number | null; readonly branch: number | null };
  /** Of a changed one: keys or rows that only the branch has, that only `main` has, and keys with other values. */
  readonly added: number;
  readonly removed: number;
  readonly changed: number;
  /** `left` is the row on `main`, `right` that on the branch; personal columns show `***`. */
  readonly samples: DatasetDiff['samples'];
}

export interface BranchDiff {
  readonly hash: string;
  readonly pipeline: string;
  readonly branch: string;
  /** Of the backfill: what may be done with the branch. */
  readonly state: BackfillState;
  readonly from: string;
  readonly windows: number;
  /** Oldest window first. */
  readonly differences: readonly BranchDifference[];
  /** What the branch is still to be given before it can be promoted. */
  readonly behind: readonly BehindWindow[];
}

/**
 * What promoting the branch of a backfill would change, by window and dataset, with at most so many sample rows of each kind. Throws
 * `backfill.unknown`, `backfill.state` for one without an open branch.
 */
export async function diffBackfill(session: OperatorSession & DiffServices, hash: string, samples: number): Promise<BranchDiff> {
  const row = await findBackfill(session, hash);
  const from = branchStart(row);
  const { datasets } = session;
  const state = (await datasets.heads.read(row.pipeline)).branches[row.branch]?.state;
  if (state !== 'open') throw noBranch(row, state);
  const windows = (await datasets.acceptedWindows(row.pipeline, row.branch)).filter((window) => window >= from);
  const differences: BranchDifference[] = [];
  for (const window of windows) differences.push(...(await diffWindow(session, row, window, samples)));
  const behind = await behindMain(session, row);
  return { hash, pipeline: row.pipeline, branch: row.branch, state: row.state, from, windows: windows.length, differences, behind };
}

async function diffWindow(
  session: OperatorSession & DiffServices,
  { pipeline, branch }: BackfillRow,
  window: string,
  samples: number,
): Promise<BranchDifference[]> {
  const versions = async (of: string): Promise<readonly VersionRef[]> =>
    (await session.datasets.accepted(pipeline, of, window))?.versions ?? [];
  const [main, own] = [await versions(MAIN_BRANCH), await versions(branch)];
  const names = [...new Set([...own, ...main].map(({ dataset }) => dataset))].sort();
  const found: BranchDifference[] = [];
  for (const dataset of names) {
    const [left, right] = [main, own].map((list) => list.find((version) => version.dataset === dataset));
    found.push({ window, dataset, ...(await diffDataset(session, left, right, samples)) });
  }
  return found;
}

async function diffDataset(
  session: OperatorSession & DiffServices,
  left: VersionRef | undefined,
  right: VersionRef | undefined,
  samples: number,
): Promise<Omit<BranchDifference, 'window' | 'dataset'>> {
  const [main, branch] = [left && (await session.datasets.manifest(left)), right && (await session.datasets.manifest(right))];
  const rows = { main: main?.rows ?? null, branch: branch?.rows ?? null };
  const none = { rows, added: 0, removed: 0, changed: 0, samples: [] };
  if (main === undefined || branch === undefined) return { ...none, state: main === undefined ? 'only-branch' : 'only-main' };
  if (main.digest === branch.digest) return { ...none, state: 'same' };
  const shape = ({ columns }: typeof main): string => columns.map(({ name, type }) => `${name} ${type}`).join(', ');
  if (shape(main) !== shape(branch)) return { ...none, state: 'reshaped' };
  const address = ({ dataset, window, version }: typeof main) => ({ dataset, window, version, branch: MAIN_BRANCH });
  const diff = await diffVersions(session, address(main), address(branch), samples);
  return {
    state: diff.equal ? 'same' : 'changed',
    rows,
    added: diff.onlyRight,
    removed: diff.onlyLeft,
    changed: diff.changed,
    samples: diff.samples,
  };
}

function noBranch({ hash, pipeline, branch }: BackfillRow, state: string | undefined): AlmanacError {
  const why = state === undefined ? 'is not forked yet' : `was ${state}`;
  return new AlmanacError('backfill.state', `branch ${branch} of ${pipeline}, of backfill ${hash}, ${why}; there is nothing to compare`, {
    next: `almanac backfill show ${hash}`,
  });
}
