import type { Readable } from 'node:stream';

export interface ObjectInfo {
  readonly path: string;
  readonly bytes: number;
  readonly modifiedAt: Date;
  /** Why it is no object one can read, as the end of a sentence; see {@link ObjectStore.listAll}. */
  readonly fault?: string;
}

/**
 * The object store behind every version: local files now, S3 later. Paths are relative to the root, `/`-separated, and
 * never leave it. Objects are immutable: there is no overwrite, only put-if-absent and delete.
 */
export interface ObjectStore {
  /** Writes a small object durably (temp, fsync, link, fsync of the folder); false when the path is taken. */
  putIfAbsent(path: string, body: string | Buffer): Promise<boolean>;
  /** Moves a local file into the store durably; false when the path is taken. */
  adoptFile(localFile: string, path: string): Promise<boolean>;
  get(path: string): Promise<Buffer | undefined>;
  /** The bytes of an object as a stream, for objects too big to hold. */
  read(path: string): Promise<Readable>;
  /** All objects below a prefix, sorted by path. */
  list(prefix: string): Promise<ObjectInfo[]>;
  /** The same and, with a `fault`, what only looks like one: links to nothing, pipes, folders that may not be read. For folders others write. */
  listAll(prefix: string): Promise<ObjectInfo[]>;
  delete(path: string): Promise<void>;
  /** A URI or file path DuckDB can read. */
  readable(path: string): string;
  /** A fresh scratch directory on the same device as the store, kept young while this process lives; litter in it is swept. */
  scratch(): Promise<string>;
  /** Removes empty scratch directories that nobody touched since `before`; returns how many. */
  removeEmptyScratch(before: Date): Promise<number>;
}
