import type { DatasetStore } from '../activities/storage/dataset-store';
import type { Manifest } from '../activities/storage/manifest';
import { nearest } from '../lib/nearest';
import { AlmanacError } from '../pipelines/failures';
import { MAIN_BRANCH } from '../pipelines/run-id';
import type { OperatorSession } from './session';

/** What the verbs about datasets work with. */
export type DatasetServices = Pick<OperatorSession, 'database' | 'store' | 'datasets' | 'clock' | 'project'>;

/** What people type: the version a window accepted, or one version by its name or the beginning of it. */
export interface VersionAddress {
  readonly dataset: string;
  readonly window: string;
  readonly branch: string;
  readonly version?: string;
}

const EXAMPLE = 'udb@2026-11-20, or udb@2026-11-20#3f2a for one that was not accepted';

/** Reads `DATASET@WINDOW[~BRANCH][#VERSION]`; throws `run.usage`. */
export function parseVersionAddress(text: string): VersionAddress {
  const [, dataset, window, branch = MAIN_BRANCH, version] =
    /^([^@/#~]+)@([0-9A-Za-z-]+)(?:~([^#]+))?(?:#([0-9A-Za-z]+))?$/.exec(text) ?? [];
  if (dataset === undefined || window === undefined) {
    throw new AlmanacError('run.usage', `${JSON.stringify(text)} does not name a version of a dataset`, {
      next: `name it as DATASET@WINDOW, like ${EXAMPLE}`,
    });
  }
  return { dataset, window, branch, ...(version === undefined ? {} : { version }) };
}

/** Throws `dataset.unknown` for a dataset that has no version and that the project does not declare. */
export async function requireDataset({ database, project }: Pick<DatasetServices, 'database' | 'project'>, dataset: string): Promise<void> {
  const { rows } = await database.query<{ dataset: string }>('select distinct dataset from almanac.dataset_version order by dataset');
  const known = new Set(rows.map((row) => row.dataset));
  if (known.has(dataset)) return;
  for (const { spec } of (await project()).pipelines.values()) for (const name of Object.keys(spec.datasets)) known.add(name);
  if (known.has(dataset)) return;
  const names = [...known].sort();
  const meant = nearest(dataset, names);
  throw new AlmanacError('dataset.unknown', `There is no dataset ${JSON.stringify(dataset)}; there are ${names.join(', ') || 'none'}.`, {
    next: meant === undefined ? 'almanac dataset list shows them all.' : `Did you mean ${meant}?`,
    details: { dataset, known: names },
  });
}

/** The manifest an address names; throws `dataset.unknown` and `dataset.version-missing`. */
export async function resolveVersion(services: DatasetServices, address: VersionAddress): Promise<Manifest> {
  const { dataset, window, branch } = address;
  await requireDataset(services, dataset);
  const { rows } = await services.database.query<{ version: string; version_window: string; current: boolean }>(
    `select v.version, v.window_key as version_window, false as current from almanac.dataset_version v where v.dataset = $1 and v.window_key = $2
     union all
     select a.version, a.version_window, true from almanac.accepted_version a where a.dataset = $1 and a.window_key = $2 and a.branch = $3`,
    [dataset, window, branch],
  );
  const wanted = address.version;
  const found =
    wanted === undefined
      ? rows.filter(({ current }) => current)
      : rows.filter(({ version, current }) => !current && version.startsWith(wanted));
  const [one] = found;
  if (one === undefined || found.length > 1)
    throw missing(
      address,
      rows.filter(({ current }) => !current).map(({ version }) => version),
      found.length,
    );
  return manifestOf(services.datasets, { dataset, window: one.version_window, version: one.version });
}

/** The catalog may name what a collection has removed since: then a reindex mends it. */
async function manifestOf(datasets: DatasetStore, ref: { dataset: string; window: string; version: string }): Promise<Manifest> {
  const manifest = await datasets.find(ref.dataset, ref.window, ref.version);
  if (manifest) return manifest;
  throw new AlmanacError(
    'dataset.version-missing',
    `The catalog names ${ref.dataset}@${ref.window}#${ref.version}, but the store does not have it.`,
    {
      next: `Retention collected it, or the catalog is old: \`almanac dataset reindex\` rebuilds it; \`almanac dataset versions ${ref.dataset}\` shows what there is.`,
      details: { ...ref },
    },
  );
}

function missing(address: VersionAddress, versions: readonly string[], found: number): AlmanacError {
  const { dataset, window, branch, version } = address;
  const place = `${dataset}@${window}${branch === MAIN_BRANCH ? '' : `~${branch}`}`;
  const listed = versions.length === 0 ? 'the window has no version at all' : `the window has the versions ${versions.join(', ')}`;
  const what =
    version === undefined
      ? `No run was accepted for ${place}`
      : found > 1
        ? `${place}#${version} is the beginning of ${found} versions`
        : `There is no version ${version} of ${place}`;
  const [only] = versions;
  return new AlmanacError('dataset.version-missing', `${what}; ${listed}.`, {
    next: only === undefined ? `almanac dataset versions ${dataset}` : `Name one: ${dataset}@${window}#${only}`,
    details: { dataset, window, branch, versions },
  });
}
