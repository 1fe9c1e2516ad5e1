import type { ColumnType, EngineName, LandingFile, RunRef, VersionRef } from '../../pipelines/types';

export interface DataFile {
  /** Path in the object store. */
  readonly path: string;
  readonly rows: number;
  readonly bytes: number;
  readonly sha256: string;
  /** Bucket number, for bucketed datasets. */
  readonly bucket?: number;
}

export interface Provenance {
  readonly run: RunRef;
  readonly stage: string;
  readonly attempt: number;
  readonly stageHash: string;
  readonly inputs: readonly VersionRef[];
  readonly landing?: readonly LandingFile[];
  /** The accepted versions this ingest goes on from: they hold the rows of its carried files. */
  readonly since?: readonly VersionRef[];
  /** Set when a bootstrap computed this from all landing data up to the window's end. */
  readonly bootstrap?: true;
  /** What computed it; absent for DuckDB. */
  readonly engine?: EngineName;
  /** Set when a gate made this of what the stage wrote, by putting rows aside. */
  readonly cleaned?: Cleaning;
}

/** How a gate came to a version: everything else of its provenance is that of the version it judged. */
export interface Cleaning {
  /** The check stage. */
  readonly stage: string;
  readonly stageHash: string;
  /** The version it judged. */
  readonly from: VersionRef;
  /** Replays into the window it knew of: paths in the store. */
  readonly replays: readonly string[];
}

/** Rows that were put aside. */
export interface Quarantine<F = DataFile> {
  /** By reason; each row has one. */
  readonly rows: Readonly<Record<string, number>>;
  readonly files: readonly F[];
  /** Rows of the reason `check` by the checks that they fail; a row may fail many. */
  readonly checks?: Readonly<Record<string, number>>;
}

/** What was measured of a version's rows when it was written. */
export interface VersionProfile {
  /** Values as the engine returns them in JSON; personal columns have their nulls counted and no values. */
  readonly columns: Readonly<Record<string, { readonly nulls: number; readonly min?: unknown; readonly max?: unknown }>>;
  /** Rows beyond the first of each key, exactly; for datasets with a key. */
  readonly duplicateKeys?: number;
}

/** Explains one version without the database: `datasets/DATASET/WINDOW/VERSION.json`. */
export interface Manifest {
  readonly format: 1;
  readonly dataset: string;
  readonly window: string;
  readonly version: string;
  readonly digest: string;
  readonly columns: readonly { readonly name: string; readonly type: ColumnType }[];
  readonly buckets?: { readonly by: string; readonly count: number };
  readonly files: readonly DataFile[];
  readonly rows: number;
  readonly bytes: number;
  readonly minKey?: readonly unknown[];
  readonly maxKey?: readonly unknown[];
  readonly profile?: VersionProfile;
  readonly provenance: Provenance;
  /** What an ingest, or a gate, put aside. */
  readonly quarantine?: Quarantine;
  /** Columns never shown unmasked; the raw text of quarantined rows is masked with them. */
  readonly pii?: readonly string[];
  readonly rowsIn: number;
  readonly writtenAt: string;
}

/** One window's accepted versions: `accepted/PIPELINE/BRANCH/WINDOW/NNNNNN.json`; the highest number is current. */
export interface AcceptedSet {
  readonly format: 1;
  readonly pipeline: string;
  readonly branch: string;
  readonly window: string;
  readonly sequence: number;
  /** Sequence of the entry that set these versions; revocations after it keep it. */
  readonly since: number;
  readonly run: RunRef;
  readonly versions: readonly VersionRef[];
  /** Check stage → worst status, as judged before acceptance. */
  readonly gates: Readonly<Record<string, string>>;
  readonly bootstrap?: true;
  readonly origin?: true;
  readonly tainted?: true;
  /** Of a branch: `since` of the set that `main` had of the window when the run was claimed. */
  readonly over?: number;
  /** Generations that may no longer accept this window: their late commit is refused. */
  readonly revoked: readonly number[];
  /** Set while only revocations were written and no run was accepted yet. */
  readonly nothing?: true;
  readonly at: string;
}
