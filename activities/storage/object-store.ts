import type { Readable } from 'node:stream';

export interface ObjectInfo {
  readonly path: string;
  readonly bytes: number;
  readonly modifiedAt: Date;
  /** Why it is no object one can read, as the end of a sentence; see {@link ObjectStore.listAll}. */
  readonly fault?: string;
}

/** An object to be read as a file. */
export interface WantedFile {
  readonly path: string;
  /** Of its bytes, where they are on record: what is found is held to it. */
  readonly sha256?: string;
}

/** Objects as files of this machine. They stay as they are until this is disposed of. */
export interface LocalFiles extends AsyncDisposable {
  /** The file of an object that was asked for. */
  path(objectPath: string): string;
}

/**
 * The object store behind every version: files of this machine, or S3. Paths are relative to the root, `/`-separated, and
 * never leave it. Objects are immutable: there is no overwrite, only put-if-absent and delete.
 */
export interface ObjectStore {
  /** Writes a small object durably; false when the path is taken. */
  putIfAbsent(path: string, body: string | Buffer): Promise<boolean>;
  /** Moves a local file into the store durably; false when the path is taken, and the file stays. */
  adoptFile(localFile: string, path: string): Promise<boolean>;
  get(path: string): Promise<Buffer | undefined>;
  /** The bytes of an object as a stream, for objects too big to hold. A signal that aborts before it is there makes this throw its reason. */
  read(path: string, signal?: AbortSignal): Promise<Readable>;
  /** All objects below a prefix, sorted by path. */
  list(prefix: string): Promise<ObjectInfo[]>;
  /** The same and, with a `fault`, what only looks like one: links to nothing, pipes, folders that may not be read. For folders others write. */
  listAll(prefix: string): Promise<ObjectInfo[]>;
  delete(path: string): Promise<void>;
  /** Brings objects to where DuckDB can read them: their own files, or copies of them. */
  localFiles(files: readonly WantedFile[], signal?: AbortSignal): Promise<LocalFiles>;
  /** Where people find an object, or would put it: a file path, or an `s3://` URI. */
  place(path: string): string;
  /** A fresh scratch directory that {@link adoptFile} moves from cheaply, kept young while this process lives; litter in it is swept. */
  scratch(): Promise<string>;
  /** Removes empty scratch directories that nobody touched since `before`; returns how many. */
  removeEmptyScratch(before: Date): Promise<number>;
}
