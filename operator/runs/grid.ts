import { planReader } from '../../activities/ledger/plans';
import { readGrid, type GridFilter, type GridRow } from '../../activities/ledger/run-grid';
import { requirePipeline, requireRange } from '../names';
import type { OperatorSession } from '../session';

/** Windows of a pipeline by its stages. */
export interface RunGrid {
  readonly pipeline: string;
  readonly branch: string;
  /** In the order of the newest plan; stages that only earlier plans had come after. */
  readonly stages: readonly string[];
  /** Newest window first. */
  readonly windows: readonly GridRow[];
}

/** Throws `pipeline.unknown`. */
export async function runGrid(session: Pick<OperatorSession, 'database' | 'project'>, filter: GridFilter): Promise<RunGrid> {
  await requirePipeline(session, filter.pipeline);
  await requireRange(session, filter.pipeline, filter.from, filter.to);
  const windows = await readGrid(session.database, filter);
  const [newest] = windows;
  const planned = newest === undefined ? [] : (await planReader(session.database)(newest.planHash)).stages.map(({ id }) => id);
  const stages = [...new Set([...planned, ...windows.flatMap((row) => Object.keys(row.stages))])];
  return { pipeline: filter.pipeline, branch: filter.branch, stages, windows };
}
