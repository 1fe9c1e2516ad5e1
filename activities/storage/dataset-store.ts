import type { ColumnType, RunRef, VersionRef } from '../../pipelines/types';
import type { ChainHeads } from './chain-heads';
import type { AcceptedSet, DataFile, Manifest, Provenance, Quarantine, VersionProfile } from './manifest';
import type { Seal } from './sealed-file';

/** Files of a candidate, still in a scratch directory. */
export interface ScratchFile {
  readonly file: string;
  readonly rows: number;
  readonly bucket?: number;
  /** When its bytes are known already; else the commit reads it. */
  readonly seal?: Seal;
}

export interface CandidateInput {
  readonly dataset: string;
  readonly window: string;
  /** From {@link candidateKey}; the version is named after it, so a second finisher adopts the first one's. */
  readonly key: string;
  readonly digest: string;
  readonly columns: readonly { readonly name: string; readonly type: ColumnType }[];
  readonly buckets?: { readonly by: string; readonly count: number };
  /** Those of a {@link DataFile} are in the store already, written there by whoever computed. */
  readonly files: readonly (ScratchFile | DataFile)[];
  readonly quarantine?: Quarantine<ScratchFile>;
  readonly pii?: readonly string[];
  readonly rowsIn: number;
  /** Smallest and largest value of each column of the key. */
  readonly minKey?: readonly unknown[];
  readonly maxKey?: readonly unknown[];
  readonly profile?: VersionProfile;
  readonly provenance: Provenance;
}

/** What a run asks to make current; the store adds the rest. */
export type Acceptance = Omit<AcceptedSet, 'format' | 'sequence' | 'since' | 'revoked' | 'nothing' | 'at'>;

/** Generations of one window that the store names. */
export interface KnownGenerations {
  readonly accepted: AcceptedSet | undefined;
  /** Highest that was accepted or revoked; 0 for none. A new one has to be above it, else it is refused. */
  readonly highest: number;
}

/** Versions, candidates and accepted sets over an object store; the catalog in the control schema is a read model of it. */
export interface DatasetStore {
  /** The finished candidate of this key, if an earlier try wrote one. */
  find(dataset: string, window: string, key: string): Promise<Manifest | undefined>;
  /** Moves the files in, then puts the manifest if absent; returns the manifest that won. Throws `run.fenced` for a revoked generation. */
  commit(candidate: CandidateInput): Promise<Manifest>;
  /** Throws `dataset.version-missing`. */
  manifest(ref: Pick<VersionRef, 'dataset' | 'window' | 'version'>): Promise<Manifest>;
  /** Everything about accepted sets goes through the head of the chain: `main` is what was promoted, a branch begins at its fork. */
  accepted(pipeline: string, branch: string, window: string): Promise<AcceptedSet | undefined>;
  /** The same of many windows, by window, the head read once; those without an accepted set are left out. */
  acceptedSets(pipeline: string, branch: string, windows: readonly string[]): Promise<Map<string, AcceptedSet>>;
  /** What the store knows of a window's generations, from one listing: the ledger may have been lost since. */
  generations(pipeline: string, branch: string, window: string): Promise<KnownGenerations>;
  /** Windows with an accepted set, ascending. */
  acceptedWindows(pipeline: string, branch: string): Promise<string[]>;
  /**
   * Makes `next` current iff the run's generation is neither revoked nor older than the one accepted; throws `run.fenced` or, for a
   * set that names a version that is not in the store, `dataset.version-missing`. The same run accepting the same versions
   * again is a no-op. `claimedUnder` is the number of the head that the run was claimed under, by default that of this moment: `run.fenced`
   * when its window was given to a branch since, or when its branch was promoted or discarded.
   */
  accept(next: Acceptance, options?: { readonly claimedUnder?: number }): Promise<AcceptedSet>;
  /** Forbids a generation's late commits and acceptance; the current versions stay. */
  revoke(run: RunRef): Promise<void>;
  readonly heads: ChainHeads;
}
