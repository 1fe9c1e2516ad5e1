import { reindex } from '../activities/storage/catalog';
import { formatRun } from '../pipelines/run-id';
import { requireDataset, type DatasetServices } from './dataset-names';

/** One dataset as `dataset list` tells it; counts over everything stored, rows and bytes of the newest accepted version. */
export interface DatasetView {
  readonly dataset: string;
  readonly pipeline: string;
  readonly versions: number;
  readonly acceptedWindows: number;
  readonly newestWindow: string | null;
  readonly rows: number | null;
  readonly bytes: number | null;
  /** Bytes of all stored versions. */
  readonly storedBytes: number;
}

/** `current` is what its window accepted last, `accepted` what another branch's window did, `candidate` no window's. */
export type VersionState = 'current' | 'accepted' | 'candidate';

export interface VersionView {
  readonly dataset: string;
  readonly window: string;
  readonly version: string;
  readonly state: VersionState;
  /** `PIPELINE/WINDOW[~BRANCH]#GENERATION`. */
  readonly run: string;
  readonly stage: string;
  readonly digest: string;
  readonly rows: number;
  readonly bytes: number;
  readonly rowsIn: number;
  readonly bootstrap: boolean;
  /** Its window's accepted set follows a skip or a tainted window. */
  readonly tainted: boolean;
  /** ISO instant. */
  readonly writtenAt: string;
}

export interface VersionFilter {
  readonly window?: string | undefined;
  readonly limit: number;
}

/** Every dataset that has a version, by name. */
export async function listDatasets({ database }: Pick<DatasetServices, 'database'>): Promise<DatasetView[]> {
  const { rows } = await database.query<DatasetView>(
    `with newest as (
       select distinct on (a.dataset) a.dataset, a.window_key, v.rows, v.bytes
       from almanac.accepted_version a left join almanac.dataset_version v on v.dataset = a.dataset and v.window_key = a.version_window and v.version = a.version
       where a.branch = 'main' order by a.dataset, a.window_key desc),
     accepted as (select dataset, count(distinct window_key) as windows from almanac.accepted_version where branch = 'main' group by dataset)
     select v.dataset, min(v.pipeline) as pipeline, count(*) as versions, coalesce(max(accepted.windows), 0) as "acceptedWindows",
       max(newest.window_key) as "newestWindow", max(newest.rows) as rows, max(newest.bytes) as bytes, sum(v.bytes)::bigint as "storedBytes"
     from almanac.dataset_version v left join newest using (dataset) left join accepted using (dataset) group by v.dataset order by v.dataset`,
  );
  return rows;
}

/** Versions of a dataset, newest window first, newest version first. Throws `dataset.unknown`. */
export async function listVersions(
  services: Pick<DatasetServices, 'database' | 'project'>,
  dataset: string,
  filter: VersionFilter,
): Promise<VersionView[]> {
  await requireDataset(services, dataset);
  const { rows } = await services.database.query<
    Omit<VersionView, 'run' | 'writtenAt'> & { pipeline: string; branch: string; generation: number; written_at: Date }
  >(
    `select v.dataset, v.window_key as window, v.version, v.stage, v.digest, v.rows, v.bytes, v.rows_in as "rowsIn", v.bootstrap, v.pipeline, v.branch, v.generation, v.written_at,
       case when bool_or(a.branch in (v.branch, 'main') and a.window_key = v.window_key) then 'current' when count(a.*) > 0 then 'accepted' else 'candidate' end as state,
       coalesce(bool_or(s.tainted and a.branch in (v.branch, 'main') and a.window_key = v.window_key), false) as tainted
     from almanac.dataset_version v
     left join almanac.accepted_version a on a.dataset = v.dataset and a.version_window = v.window_key and a.version = v.version
     left join almanac.accepted_set s on s.pipeline = a.pipeline and s.branch = a.branch and s.window_key = a.window_key
     where v.dataset = $1 and ($2::text is null or v.window_key = $2)
     group by v.dataset, v.window_key, v.version order by v.window_key desc, v.written_at desc, v.version limit $3`,
    [dataset, filter.window ?? null, filter.limit],
  );
  return rows.map(({ pipeline, branch, generation, written_at, ...view }) => ({
    ...view,
    run: `${formatRun({ pipeline, window: view.window, branch })}#${generation}`,
    writtenAt: written_at.toISOString(),
  }));
}

/** Rebuilds the catalog in the control schema from the store alone. */
export function reindexDatasets({
  store,
  database,
}: Pick<DatasetServices, 'store' | 'database'>): Promise<{ versions: number; windows: number }> {
  return reindex(store, database);
}
