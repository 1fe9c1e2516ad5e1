/**
 * The vocabulary of Almanac as types. Everything here is plain data: it travels in workflow inputs, ledger rows and
 * manifests, so it holds ids, counts, hashes and URIs, never rows of a dataset.
 */
import type { QualityMetric, RowMetric } from './quality/metrics';
import type { Sensed } from './sensed';

/** Column types every engine understands; `timestamp` is UTC with microseconds, `text` is UTF-8 without NUL. */
export type ColumnType = 'text' | 'bigint' | 'integer' | 'double' | 'boolean' | 'timestamp' | 'date';

/** A dataset as its pipeline declares it. Names are unique in a project. */
export interface DatasetSpec {
  readonly columns: Readonly<Record<string, ColumnType>>;
  /** Columns that identify a row; exact uniqueness is measured with each version. */
  readonly key?: readonly string[];
  /** Files are split by hash of one column; stages that declare `each: 'bucket'` see one bucket at a time. At most 256. */
  readonly buckets?: { readonly by: string; readonly count: number };
  /** `state` datasets are carried from window to window and kept longer (design §7). Default `window`. */
  readonly kind?: 'window' | 'state';
  /** Columns that may be empty in landing data; a row where another one is empty goes to quarantine `malformed`. */
  readonly optional?: readonly string[];
  /** Columns with personal data: their values are in no sample, result, metric, message or log. */
  readonly pii?: readonly string[];
  /** A CSV file of this name, with header and in the order of the key, lies beside each version that a compute stage writes. */
  readonly file?: string;
}

/** Reads the version the previous window accepted, for ordered chains; with `since`, of the window that an ingest goes on from. */
export interface PreviousRead {
  readonly previous: string;
  /** A dataset whose ingest has `folders: 'every'`: what it has read before is in that version, what is new in its own. */
  readonly since?: string;
}

/** Reads what a sense stage of the pipeline found accepted: the versions of another pipeline's dataset, of all windows it waited for. */
export interface SensedRead {
  readonly sensed: string;
}
export type Read = string | PreviousRead | SensedRead;

interface StageCommon {
  /** Stages that must be done first, beside those implied by what the stage reads. */
  readonly needs?: readonly string[];
  /** Wall-clock limit of one attempt in seconds. Default 3600. */
  readonly timeoutSeconds?: number;
  /** Permits it holds while its body runs, of a pool that the project declares. Default: 1 permit. */
  readonly pool?: { readonly name: string; readonly permits?: number };
}

/** Reads landing files of the window, or a reference file by content, into an immutable version and its quarantine. */
export interface IngestSpec extends StageCommon {
  readonly kind: 'ingest';
  /** Folder under `landing/`; exactly one of `landing` and `reference` is given. */
  readonly landing?: string;
  /** File name under `reference/`. */
  readonly reference?: string;
  readonly writes: string;
  /**
   * Which `dt=` folders of a landing: the window's own (the default); the newest one before its end that holds data; or every one before
   * its end, of which only files are read that the accepted window it goes on from had not.
   */
  readonly folders?: 'window' | 'newest' | 'every';
  /** CSV files have no header: their fields are the dataset's columns in the order of declaration. */
  readonly header?: false;
  /** Column → what the files call it, where that differs. */
  readonly names?: Readonly<Record<string, string>>;
  /** A column of type date that takes the date of the row's folder; files do not have it. */
  readonly folderDate?: string;
  /** The column that must lie inside the row's `dt=` day; rows outside go to quarantine `early` or `late`. */
  readonly eventTime?: string;
  /** What more than one file makes a landing window ready. */
  readonly ready?: { readonly marker?: string; readonly files?: number; readonly quietMinutes?: number };
}

/** What computes SQL; both come to the same rows. */
export type EngineName = 'duckdb' | 'spark';

/** Runs one SQL text over versions and writes one candidate version. */
export interface ComputeSpec extends StageCommon {
  readonly kind: 'compute';
  /**
   * `none` computes and writes nothing: a join point in the graph. `sparkAbove`, a size like `20GB`: Spark when the versions it reads hold
   * more bytes, else DuckDB. A run's `--engine` wins over it. Default `duckdb`.
   */
  readonly engine?: EngineName | 'none' | { readonly sparkAbove: string };
  /** Alias in the SQL text → dataset, the previous window's version of one, or what a sense stage found of another pipeline's. */
  readonly reads?: Readonly<Record<string, Read>>;
  /** File under `pipelines/ID/sql/`; on Spark `NAME.spark.sql` beside it is taken where there is one. */
  readonly sql?: string;
  /** File that computes the same state from all landing data in one scan; used by bootstrap runs instead of `sql`. */
  readonly bootstrap?: string;
  readonly writes?: string;
  /** `bucket`: the text runs once a bucket, over that bucket of every bucketed read. Default `version`. */
  readonly each?: 'version' | 'bucket';
}

/**
 * Which windows of another pipeline are meant: every one that overlaps ours, which for equal windows is that of our key; those that overlap
 * the one before ours; or the newest that is over when ours ends.
 */
export type SensedWindows = 'same' | 'previous' | 'newest';

/** One thing a sense stage waits for. `folder` is a path below `landing/SOURCE/`, `{window}` in it our key; default the days of the window. */
export type SenseCondition =
  /** Windows of another pipeline are accepted; with `dataset`, of the pipeline that owns it, and it is part of them. */
  | { readonly accepted: { readonly pipeline: string; readonly window?: SensedWindows } }
  | { readonly accepted: { readonly dataset: string; readonly window?: SensedWindows } }
  /** Windows of another pipeline are live, or were until a later one took their place; with `table`, in that live table. */
  | { readonly published: { readonly pipeline: string; readonly window?: SensedWindows } }
  | { readonly published: { readonly table: string; readonly window?: SensedWindows } }
  /** A file of that name lies in the landing folder. */
  | { readonly marker: { readonly landing: string; readonly file: string; readonly folder?: string } }
  /** The landing folder holds files, and none of them changed for so many minutes. */
  | { readonly quiet: { readonly landing: string; readonly minutes: number; readonly folder?: string } };

/** A condition with what it says of other pipelines looked up in the project, so that a frozen plan needs no project. */
export type ResolvedCondition =
  | {
      readonly kind: 'accepted' | 'published';
      readonly pipeline: string;
      readonly window: WindowSpec;
      readonly windows: SensedWindows;
      /** Of an accepted window. */
      readonly dataset?: string;
      /** Of a publication. */
      readonly table?: string;
    }
  | { readonly kind: 'marker'; readonly landing: string; readonly file: string; readonly folder?: string }
  | { readonly kind: 'quiet'; readonly landing: string; readonly minutes: number; readonly folder?: string };

/** Waits until all its conditions hold, then notes what it found; between looks it holds no place. */
export interface SenseSpec extends StageCommon {
  readonly kind: 'sense';
  readonly conditions: readonly SenseCondition[];
  /** How long a scheduled run waits here before it holds, such as `2h` or `90m`. Default: the schedule's patience. */
  readonly patience?: string;
  /** The conditions as the project resolves them; not written by authors. */
  readonly resolved?: readonly ResolvedCondition[];
}

/** Judges what the run wrote so far; see {@link SuiteSpec}. */
export interface CheckSpec extends StageCommon {
  readonly kind: 'check';
  readonly suite: SuiteSpec;
}

/** One live table of a publication. */
export interface LiveTableSpec {
  readonly from: string;
  readonly key: readonly string[];
  readonly indexes?: readonly (readonly string[])[];
}

export interface PublishSpec extends StageCommon {
  readonly kind: 'publish';
  readonly mode: 'newest';
  readonly tables: Readonly<Record<string, LiveTableSpec>>;
}

export type StageSpec = IngestSpec | SenseSpec | ComputeSpec | CheckSpec | PublishSpec;
export type StageKind = StageSpec['kind'];

/** A band: an observed value outside `[min, max]` breaches it, and so does one that is not above `above` or below `below`. */
export interface Band {
  readonly min?: number;
  readonly max?: number;
  readonly above?: number;
  readonly below?: number;
}

/** What a check measures. `rows-where` counts rows for which the SQL predicate is true. `D`, `S`: names of datasets and stages. */
export type Metric<D extends string = string, S extends string = string> =
  | { readonly metric: 'rows' }
  | { readonly metric: 'null-count'; readonly column: string }
  | { readonly metric: 'duplicate-keys'; readonly key: readonly string[] }
  | { readonly metric: 'rows-where'; readonly predicate: string }
  | { readonly metric: 'missing-references'; readonly column: string; readonly in: { readonly dataset: D; readonly column: string } }
  | { readonly metric: 'quarantine-ratio'; readonly stage: S; readonly reasons: readonly string[] }
  | QualityMetric<D>;

/**
 * How a value is held against the accepted ones of earlier windows. `level`: the median of the same calendar key; `rate`: the ratio to
 * the window before; `proportion`: a share, by the test of two proportions; `psi`, `js`: the distribution by value of the last windows.
 */
export interface DriftSpec {
  readonly method: 'level' | 'rate' | 'proportion' | 'psi' | 'js';
  /** From this score on it warns; a rate warns outside of the band. Each method has a default. */
  readonly warn?: number | Band;
  /** From this score on it fails; without it drift only warns. */
  readonly fail?: number | Band;
}

/** Metrics that say of each row whether it is right: what fails by them can be put aside. Those over many windows are of no row. */
export type PutAsideMetric<D extends string = string> =
  Extract<Metric<D>, { metric: 'null-count' | 'rows-where' | 'missing-references' }> | (RowMetric & { readonly over?: never });

interface DeclaredCheck<D extends string> {
  readonly id: string;
  readonly dataset: D;
  /** `ratio` divides by the dataset's rows before the bands apply; 0 rows give 0. */
  readonly as?: 'count' | 'ratio';
  readonly warn?: Band | 'drift';
  readonly fail?: Band;
  /** The least share of rows that must be right: a `fail` band from it on. */
  readonly mostly?: number;
  readonly drift?: DriftSpec;
  /** Columns shown for sampled failing rows. Default: the dataset's key. */
  readonly sample?: readonly string[];
  readonly owner?: string;
  /** One sentence for the person who is paged. */
  readonly why: string;
}

/**
 * A check: a metric of one dataset and the bands it is held to. Names follow deequ where one fits. `onFail: 'warn'` lets the run go on where
 * the check fails; what cannot be measured holds it all the same. `quarantine` puts the rows that fail aside while no more of them fail than
 * the check allows. Default `block`.
 */
export type CheckDeclaration<D extends string = string, S extends string = string> = DeclaredCheck<D> &
  (
    | { readonly measure: Metric<D, S>; readonly onFail?: 'block' | 'warn' }
    | { readonly measure: PutAsideMetric<D>; readonly onFail: 'quarantine' }
  );

/** A check whose failing rows go to quarantine. */
export type PutAsideCheck<D extends string = string> = Extract<CheckDeclaration<D>, { readonly onFail: 'quarantine' }>;

export interface SuiteSpec<D extends string = string, S extends string = string> {
  readonly checks: readonly CheckDeclaration<D, S>[];
}

/** How the windows of a pipeline tile time. `timezone` gives local days of 23 to 25 hours, or weeks of such days. */
export type WindowSpec =
  | { readonly every: 'day' | 'week'; readonly timezone: string }
  /** Counted from midnight UTC; a divisor of the 1,440 minutes of a day. */
  | { readonly every: 'minutes'; readonly minutes: number };

export interface ScheduleSpec {
  /** Five fields, read as wall-clock times of `timezone`. */
  readonly cron: string;
  readonly timezone: string;
  /** A time the clocks jump over: fire as soon as they have passed it, or not at all. */
  readonly gap: 'shift' | 'skip';
  /** A time that comes twice: which of the two. */
  readonly fold: 'first' | 'last';
  /** What becomes of slots that were due while nothing could start them: all run in order, the latest only, or none. */
  readonly catchUp: 'all' | 'latest' | 'none';
  /** A slot that is due while the run of an earlier one is open: waits, is skipped, or has that run cancelled. */
  readonly overlap: 'queue' | 'skip' | 'cancel-running';
  /** How long a scheduled run waits for its landing data before it holds. Default 360. */
  readonly patienceMinutes?: number;
  /** Local dates `YYYY-MM-DD` without slots. */
  readonly holidays?: readonly string[];
}

export type ParamValue = string | number | boolean;

export interface PipelineSpec {
  readonly id: string;
  readonly owner: string;
  readonly window: WindowSpec;
  readonly chain: 'ordered' | 'independent';
  readonly schedule?: ScheduleSpec;
  readonly deadline?: { readonly published: string };
  readonly params?: Readonly<Record<string, ParamValue>>;
  readonly datasets: Readonly<Record<string, DatasetSpec>>;
  readonly stages: Readonly<Record<string, StageSpec>>;
  /** Datasets of other pipelines that stages read, as the project resolves them; not written by authors. */
  readonly sensed?: Readonly<Record<string, DatasetSpec>>;
}

/** A half-open interval of data; `start` and `end` are ISO instants, `key` matches `[0-9A-Za-z-]+`. */
export interface Window {
  readonly key: string;
  readonly start: string;
  readonly end: string;
}

/** One pipeline for one window; `branch` is `main` for the live chain. */
export interface RunRef {
  readonly pipeline: string;
  readonly window: string;
  readonly branch: string;
  readonly generation: number;
}

/** One immutable version of a dataset. */
export interface VersionRef {
  readonly dataset: string;
  readonly window: string;
  readonly version: string;
  /** Order-free digest of canonical rows; equal digests mean equal rows. */
  readonly digest: string;
}

/** What the workflow needs to know of a stage; everything else is behind the plan's hash. */
export interface StageOutline {
  readonly id: string;
  readonly kind: StageKind;
  /** Explicit and implied needs, sorted. */
  readonly needs: readonly string[];
  readonly timeoutSeconds: number;
  /** How long it waits in a scheduled run, where it declares that itself. */
  readonly patienceSeconds?: number;
  /** What it waits for before its body runs; not part of its hash. */
  readonly pool?: PoolUse;
}

/** So many permits of a pool. */
export interface PoolUse {
  readonly name: string;
  readonly permits: number;
}

/** A stage of a frozen plan. `hash` covers texts, params, engine settings, output schema and the hashes of its needs. */
export interface PlanStage extends StageOutline {
  readonly hash: string;
  readonly spec: StageSpec;
  /** Hash of the text `spec.sql` names, stored in the control schema. */
  readonly sqlHash?: string;
  readonly bootstrapHash?: string;
  /** Hashes of the texts that are taken on Spark in the place of those, where there are such. */
  readonly sparkHash?: string;
  readonly sparkBootstrapHash?: string;
  /** Names of the params its texts use; a change of another param leaves its hash alone. */
  readonly params?: readonly string[];
}

/** What a run will do, independent of its window; stored by hash. */
export interface Plan {
  readonly hash: string;
  readonly pipeline: string;
  readonly chain: PipelineSpec['chain'];
  readonly window: WindowSpec;
  readonly params: Readonly<Record<string, ParamValue>>;
  readonly datasets: Readonly<Record<string, DatasetSpec>>;
  readonly stages: readonly PlanStage[];
  /** What `--engine` asked for: it computes every stage that computes. */
  readonly engine?: EngineName;
  /** Datasets of other pipelines that stages read. */
  readonly sensed?: Readonly<Record<string, DatasetSpec>>;
}

/** A landing or reference file as ingest saw it. */
export interface LandingFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  /** When it was last written, ISO: with it and the bytes unchanged it need not be hashed again. */
  readonly modifiedAt?: string;
  /** Its rows are in what the ingest went on from, not in this version. */
  readonly carried?: true;
}

/** What a finished stage tells the run. */
export interface StageOutput {
  readonly versions: readonly VersionRef[];
  readonly rowsIn: number;
  readonly rowsOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Rows by quarantine reason, for ingest, and for a gate that put rows aside. */
  readonly quarantined?: Readonly<Record<string, number>>;
  /** Worst status and counts of a check stage. */
  readonly gate?: GateSummary;
  /** The publication a publish stage flipped to. */
  readonly publication?: number;
  /** What a sense stage found, condition by condition. */
  readonly sensed?: readonly Sensed[];
  /** Set when a sensed window is tainted: what follows is as well. */
  readonly tainted?: true;
  /** True when a finished candidate was found and nothing was computed again. */
  readonly adopted?: boolean;
  /** What computed it; absent for DuckDB. */
  readonly engine?: EngineName;
  /** Usage as the engine reported it. */
  readonly cpuSeconds?: number;
  readonly peakMemoryBytes?: number;
}

export type CheckStatus = 'PASS' | 'NO_HISTORY' | 'WARN' | 'FAIL' | 'ERROR';

export interface GateSummary {
  readonly status: CheckStatus;
  readonly checks: number;
  readonly warned: readonly string[];
  readonly failed: readonly string[];
  /** Checks that fail, and may for a while: what follows is tainted. Absent when there is none. */
  readonly overridden?: readonly string[];
}
