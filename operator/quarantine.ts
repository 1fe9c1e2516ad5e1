import type { Engine } from '../activities/compute/engine';
import type { DataFile } from '../activities/storage/manifest';
import type { DatasetServices } from './dataset-names';
import { requireDataset } from './dataset-names';
import { requireQuarantineReason, requireSource, requireWindow } from './names';
import type { OperatorSession } from './session';
import { quoteText } from '../pipelines/quote-sql';

export interface QuarantineFilter {
  readonly dataset?: string | undefined;
  /** `landing/SOURCE` or `reference/FILE`, or SOURCE alone. */
  readonly source?: string | undefined;
  readonly window?: string | undefined;
  readonly reason?: string | undefined;
  /** Groups, newest window first. */
  readonly limit: number;
  /** Rows shown of each group; 0 reads no file. */
  readonly samples: number;
}

/** One quarantined row; its text is `***` where the dataset has personal columns. */
export interface QuarantinedRow {
  readonly file: string;
  readonly line: string;
  readonly column: string | null;
  readonly detail: string | null;
  /** Instant of an early or late row, ISO. */
  readonly eventTime: string | null;
  readonly raw: string;
}

/** Rows put aside for one reason by the version that counts for a window: the current one, else the newest. */
export interface QuarantineView {
  readonly source: string;
  readonly dataset: string;
  readonly window: string;
  readonly version: string;
  readonly accepted: boolean;
  readonly reason: string;
  readonly rows: number;
  /** Rows the version was read from, for a ratio. */
  readonly rowsIn: number;
  readonly samples: readonly QuarantinedRow[];
  /** Rows by the checks they fail, which may be many; for the reason `check`. */
  readonly checks?: Readonly<Record<string, number>>;
  /** Where rows of this window were brought back to; they stay in quarantine. */
  readonly replayed: readonly { readonly window: string; readonly rows: number; readonly who: string; readonly at: string }[];
}

export interface QuarantineServices extends Pick<DatasetServices, 'database' | 'store' | 'datasets' | 'project'> {
  readonly engine: Engine;
  readonly config: Pick<OperatorSession['config'], 'worker'>;
}

type Group = Omit<QuarantineView, 'samples' | 'replayed' | 'checks'>;
type SampleRow = QuarantinedRow & Record<string, unknown> & { readonly version: string; readonly reason: string };

const MASK = '***';

/** Quarantined rows counted by source, window and reason, with some of each. Throws `dataset.unknown`, `window.invalid`, `run.usage`. */
export async function listQuarantine(services: QuarantineServices, filter: QuarantineFilter): Promise<QuarantineView[]> {
  if (filter.reason !== undefined) requireQuarantineReason(filter.reason);
  if (filter.dataset !== undefined) await requireDataset(services, filter.dataset);
  if (filter.window !== undefined) await requireWindow(services, filter.window, filter.dataset);
  if (filter.source !== undefined) await requireSource(services, filter.source);
  const { rows: groups } = await services.database.query<Group>(
    `with counted as (
       select distinct on (v.dataset, v.window_key, v.branch) v.*, a.version is not null as accepted
       from almanac.dataset_version v
       left join almanac.accepted_version a on a.dataset = v.dataset and a.version_window = v.window_key and a.version = v.version and a.branch in (v.branch, 'main')
       order by v.dataset, v.window_key, v.branch, (a.version is not null) desc, v.written_at desc)
     select coalesce(string_agg(s.source, ', ' order by s.source) filter (where s.source not like 'replays/%'), '') as source, v.dataset, v.window_key as "window", v.version, v.accepted, q.reason, q.rows, v.rows_in as "rowsIn"
     from almanac.quarantine q join counted v using (dataset, window_key, version) left join almanac.version_source s using (dataset, window_key, version)
     where ($1::text is null or v.dataset = $1) and ($2::text is null or v.window_key = $2) and ($3::text is null or q.reason = $3)
     group by v.dataset, v.window_key, v.version, v.accepted, q.reason, q.rows, v.rows_in
     having $4::text is null or bool_or(s.source in ($4, 'landing/' || $4, 'reference/' || $4))
     order by v.window_key desc, v.dataset, q.reason limit $5`,
    [filter.dataset ?? null, filter.window ?? null, filter.reason ?? null, filter.source ?? null, filter.limit],
  );
  const samples = filter.samples > 0 && groups.length > 0 ? await sampleRows(services, groups, filter.samples) : [];
  const replays = await replaysOf(services, groups);
  const checks = await checksOf(services, groups);
  return groups.map((group) => ({
    ...group,
    ...(group.reason === 'check' ? { checks: checks.get(nameOf(group)) ?? {} } : {}),
    replayed: replays.flatMap(({ dataset, from, version, reasons, ...replay }) => {
      // Of checks a version has the rows it was judged without, whatever an earlier one had.
      const own = dataset === group.dataset && from === group.window && (group.reason !== 'check' || version === group.version);
      const rows = own ? (reasons[group.reason] ?? 0) : 0;
      return rows === 0 ? [] : [{ ...replay, rows }];
    }),
    samples: samples
      .filter((row) => row.version === nameOf(group) && row.reason === group.reason)
      .map(({ version: _version, reason: _reason, ...row }) => row),
  }));
}

/** How many rows each check put aside, by version. */
async function checksOf(
  { datasets }: QuarantineServices,
  groups: readonly Group[],
): Promise<Map<string, Readonly<Record<string, number>>>> {
  const found = new Map<string, Readonly<Record<string, number>>>();
  for (const group of groups.filter(({ reason }) => reason === 'check')) {
    const manifest = await datasets.find(group.dataset, group.window, group.version);
    found.set(nameOf(group), manifest?.quarantine?.checks ?? {});
  }
  return found;
}

interface ReplayRow extends Omit<QuarantineView['replayed'][number], 'rows'> {
  readonly dataset: string;
  readonly from: string;
  readonly version: string;
  readonly reasons: Readonly<Record<string, number>>;
}

async function replaysOf({ database }: QuarantineServices, groups: readonly Group[]): Promise<ReplayRow[]> {
  const { rows } = await database.query<ReplayRow>(
    `select dataset, from_window as "from", from_version as version, window_key as "window", reasons, who, to_char(replayed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as at
     from almanac.replay where (dataset, from_window) in (select * from unnest($1::text[], $2::text[])) order by window_key, number`,
    [groups.map(({ dataset }) => dataset), groups.map(({ window }) => window)],
  );
  return rows;
}

async function sampleRows(services: QuarantineServices, groups: readonly Group[], limit: number): Promise<SampleRow[]> {
  const selects: string[] = [];
  const personal = new Set<string>();
  const aside = new Map<string, readonly DataFile[]>();
  for (const group of new Map(groups.map((one) => [nameOf(one), one])).values()) {
    const manifest = await services.datasets.find(group.dataset, group.window, group.version);
    const files = manifest?.quarantine?.files ?? [];
    if (manifest?.pii?.length) personal.add(nameOf(group));
    if (files.length > 0) aside.set(nameOf(group), files);
  }
  if (aside.size === 0) return [];
  await using local = await services.store.localFiles([...aside.values()].flat());
  for (const [version, files] of aside) {
    const list = files.map(({ path }) => quoteText(local.path(path))).join(', ');
    selects.push(
      `select ${quoteText(version)} as version, reason, file, cast(line as varchar) as line, column_name as "column", detail, event_time as "eventTime", coalesce(raw, '') as raw
       from read_parquet([${list}]) qualify row_number() over (partition by reason order by file, line) <= ${limit}`,
    );
  }
  const { memoryBytes, threads } = services.config.worker;
  const rows = await services.engine.session({ memoryBytes, threads }, new AbortController().signal, (session) =>
    session.rows<SampleRow>(
      // A union is ordered by its columns alone; what is made of them needs a select around it.
      `select * from (${selects.map((select) => `(${select})`).join(' union all ')}) order by version, reason, file, try_cast(line as bigint)`,
    ),
  );
  return rows.map((row) => (personal.has(row.version) ? { ...row, raw: MASK } : row));
}

function nameOf({ dataset, window, version }: Pick<Group, 'dataset' | 'window' | 'version'>): string {
  return `${dataset}@${window}#${version}`;
}
