import type { Engine } from '../activities/compute/engine';
import type { Manifest } from '../activities/storage/manifest';
import { diffCountsQuery, diffSampleQuery, diffStatements, type DiffState } from '../pipelines/diff-sql';
import { AlmanacError } from '../pipelines/failures';
import type { OperatorSession } from './session';
import { resolveVersion, type DatasetServices, type VersionAddress } from './dataset-names';

type Row = Readonly<Record<string, unknown>>;

export interface DiffedVersion {
  readonly dataset: string;
  readonly window: string;
  readonly version: string;
  readonly digest: string;
  readonly rows: number;
}

export interface DatasetDiff {
  readonly left: DiffedVersion;
  readonly right: DiffedVersion;
  readonly equal: boolean;
  /** Columns that pair a row of one side with one of the other. */
  readonly key: readonly string[];
  /** Rows on one side only; with a key, those whose key is on one side only. */
  readonly onlyLeft: number;
  readonly onlyRight: number;
  /** Keys that both sides have with other values. */
  readonly changed: number;
  /** Personal columns show `***`. */
  readonly samples: readonly { readonly state: DiffState; readonly left: Row | null; readonly right: Row | null }[];
}

export interface DiffServices extends DatasetServices {
  readonly engine: Engine;
  readonly config: Pick<OperatorSession['config'], 'worker'>;
}

const MASK = '***';

/** What differs between two versions of one shape. Throws `dataset.unknown`, `dataset.version-missing`, `run.usage`. */
export async function diffVersions(
  services: DiffServices,
  left: VersionAddress,
  right: VersionAddress,
  samples: number,
): Promise<DatasetDiff> {
  const [a, b] = [await resolveVersion(services, left), await resolveVersion(services, right)];
  requireSameShape(a, b);
  const key = await keyOf(services, a, b);
  const summary = { left: diffed(a), right: diffed(b), key };
  if (a.digest === b.digest) return { ...summary, equal: true, onlyLeft: 0, onlyRight: 0, changed: 0, samples: [] };
  const { memoryBytes, threads } = services.config.worker;
  await using local = await services.store.localFiles([...a.files, ...b.files]);
  const side = (of: Manifest) => ({ columns: a.columns, files: of.files.map(({ path }) => local.path(path)) });
  // Awaited here, for the files are read until it is over.
  return await services.engine.session({ memoryBytes, threads }, new AbortController().signal, async (session) => {
    for (const statement of diffStatements(side(a), side(b), key)) await session.exec(statement);
    const counted = await session.rows<{ state: DiffState; rows: string }>(diffCountsQuery());
    const count = (state: DiffState): number => Number(counted.find((row) => row.state === state)?.rows ?? 0);
    const sampled = await session.rows<{ state: DiffState; left: Row | null; right: Row | null }>(diffSampleQuery(samples));
    const personal = new Set([...(a.pii ?? []), ...(b.pii ?? [])]);
    const totals = { onlyLeft: count('only-left'), onlyRight: count('only-right'), changed: count('changed') };
    const equal = totals.onlyLeft + totals.onlyRight + totals.changed === 0;
    return {
      ...summary,
      equal,
      ...totals,
      samples: sampled.map((row) => ({ state: row.state, left: masked(row.left, personal), right: masked(row.right, personal) })),
    };
  });
}

function requireSameShape(a: Manifest, b: Manifest): void {
  const shape = ({ columns }: Manifest): string => columns.map(({ name, type }) => `${name} ${type}`).join(', ');
  if (shape(a) === shape(b)) return;
  throw new AlmanacError(
    'run.usage',
    `${a.dataset}@${a.window} has the columns ${shape(a)}, but ${b.dataset}@${b.window} has ${shape(b)}.`,
    {
      next: 'Compare two versions that have the same columns; `almanac dataset versions` lists them.',
    },
  );
}

/** The key both datasets declare, if they still do; a version does not remember it. */
async function keyOf({ project }: DatasetServices, a: Manifest, b: Manifest): Promise<readonly string[]> {
  for (const { spec } of (await project()).pipelines.values()) {
    const key = spec.datasets[a.dataset]?.key;
    if (key && a.dataset === b.dataset && key.every((name) => a.columns.some((column) => column.name === name))) return key;
  }
  return [];
}

function diffed({ dataset, window, version, digest, rows }: Manifest): DiffedVersion {
  return { dataset, window, version, digest, rows };
}

function masked(row: Row | null, personal: ReadonlySet<string>): Row | null {
  return row && Object.fromEntries(Object.entries(row).map(([name, value]) => [name, personal.has(name) && value !== null ? MASK : value]));
}
