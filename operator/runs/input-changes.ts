import type { standingOutputs } from '../../activities/accept-window';
import { landingOf } from '../../activities/compute/landing';
import type { RunRow } from '../../activities/ledger/runs';
import { acceptedDigests } from '../../activities/storage/catalog';
import type { Queryable } from '../../lib/postgres';
import { readOfSensed } from '../../pipelines/graph';
import type { Sensed } from '../../pipelines/sensed';
import type { LandingFile, Plan } from '../../pipelines/types';
import { parseWindow } from '../../pipelines/window';
import type { OperatorSession } from '../session';

/** Files that differ from what an ingest stage read, or versions, as `DATASET@WINDOW`, from what a sense stage found for others to read. */
export interface InputChange {
  readonly stage: string;
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
}

export interface InputComparison {
  readonly changes: readonly InputChange[];
  /** Ingest stages whose last attempt left no version to compare with: it failed, or there was none. */
  readonly unread: readonly string[];
}

/** Lists landing and references again and compares them with what each ingest stage read. */
export async function compareInputs(
  session: Pick<OperatorSession, 'store' | 'datasets' | 'database'>,
  row: Pick<RunRow, 'run' | 'bootstrap'>,
  plan: Plan,
  outputs: ReturnType<typeof standingOutputs>,
): Promise<InputComparison> {
  const window = parseWindow(plan.window, row.run.window);
  const changes: InputChange[] = [];
  const unread: string[] = [];
  for (const { id, spec } of plan.stages) {
    if (spec.kind === 'sense') {
      const change = await compareSensed(session.database, plan, id, outputs[id]?.output.sensed ?? []);
      if (change !== undefined) changes.push(change);
    }
    if (spec.kind !== 'ingest') continue;
    const version = outputs[id]?.output.versions[0];
    if (version === undefined) {
      unread.push(id);
      continue;
    }
    const read = (await session.datasets.manifest(version)).provenance.landing ?? [];
    const change = compareLanding(id, read, await landingOf(session.store, spec, window, row.bootstrap));
    if (change !== undefined) changes.push(change);
  }
  return { changes, unread };
}

/** What a sense stage found is an input where another stage reads it; else it was waited for, and that is over. */
async function compareSensed(database: Queryable, plan: Plan, stage: string, sensed: readonly Sensed[]): Promise<InputChange | undefined> {
  const read = readOfSensed(Object.fromEntries(plan.stages.map(({ id, spec }) => [id, spec])), stage);
  const found = sensed.flatMap((one) =>
    one.kind === 'accepted'
      ? one.versions.filter(({ dataset }) => read.includes(dataset)).map((version) => ({ ...version, at: one.window }))
      : [],
  );
  if (found.length === 0) return undefined;
  const now = await acceptedDigests(
    database,
    read,
    found.map(({ at }) => at),
  );
  const changed = found
    .filter(({ dataset, at, digest }) => now.get(`${dataset}@${at}`) !== digest)
    .map(({ dataset, at }) => `${dataset}@${at}`);
  return changed.length === 0 ? undefined : { stage, added: [], removed: [], changed };
}

/** Undefined when nothing differs. */
function compareLanding(stage: string, read: readonly LandingFile[], now: readonly LandingFile[]): InputChange | undefined {
  const before = new Map(read.map((file) => [file.path, file.sha256]));
  const after = new Map(now.map((file) => [file.path, file.sha256]));
  const change: InputChange = {
    stage,
    added: [...after.keys()].filter((path) => !before.has(path)),
    removed: [...before.keys()].filter((path) => !after.has(path)),
    changed: [...after.keys()].filter((path) => before.has(path) && before.get(path) !== after.get(path)),
  };
  return change.added.length + change.removed.length + change.changed.length === 0 ? undefined : change;
}
