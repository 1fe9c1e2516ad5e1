import { randomBytes } from 'node:crypto';
import type { Clock } from '../../lib/clock';
import { AlmanacError } from '../../pipelines/failures';
import type { RunRef, VersionRef } from '../../pipelines/types';
import { createAcceptedSets } from './accepted-sets';
import { createChainHeads } from './chain-heads';
import type { CandidateInput, DatasetStore } from './dataset-store';
import type { DataFile, Manifest } from './manifest';
import type { ObjectStore } from './object-store';
import { sealFile } from './sealed-file';
import { dataPath, manifestPath, quarantinePath } from './store-paths';

/** Tells kill tests which durable step comes next; does nothing otherwise. */
export type StorePoint = (name: string) => Promise<void>;

type VersionName = Pick<VersionRef, 'dataset' | 'window' | 'version'>;

/**
 * Versions, candidates and accepted sets over an object store. A commit moves the data files in under a name of its own
 * and only then puts the manifest, so a version is whole or is not there; files of a killed or losing commit are litter.
 */
export function createDatasetStore(store: ObjectStore, clock: Clock, point: StorePoint = () => Promise.resolve()): DatasetStore {
  async function read(ref: VersionName): Promise<Manifest | undefined> {
    const body = await store.get(manifestPath(ref));
    return body && (JSON.parse(body.toString('utf8')) as Manifest);
  }

  async function manifest(ref: VersionName): Promise<Manifest> {
    const found = await read(ref);
    if (found) return found;
    throw new AlmanacError(
      'dataset.version-missing',
      `The store has no version ${ref.version} of ${ref.dataset} for the window ${ref.window}.`,
      {
        next: `\`almanac dataset versions ${ref.dataset}\` lists those there are; running the window ${ref.window} again writes a new one.`,
        details: { ...ref },
      },
    );
  }

  async function moveIn(files: CandidateInput['files'], pathOf: (index: number) => string): Promise<DataFile[]> {
    const moved: DataFile[] = [];
    for (const [index, given] of files.entries()) {
      if (!('file' in given)) {
        moved.push(given);
        continue;
      }
      const { file, rows, bucket, seal } = given;
      const path = pathOf(index);
      const { sha256, bytes } = seal ?? (await sealFile(file));
      await point(`commit.file-${index}`);
      if (!(await store.adoptFile(file, path))) throw new Error(`the path ${path} is taken although its name is random`);
      moved.push({ path, rows, bytes, sha256, ...(bucket === undefined ? {} : { bucket }) });
    }
    return moved;
  }

  /** Not what was in the store before: another attempt may have committed it. */
  async function deleteMoved(moved: readonly DataFile[], given: CandidateInput['files']): Promise<void> {
    for (const file of moved) if (!given.some((one) => one === file)) await store.delete(file.path);
  }

  async function commit(candidate: CandidateInput): Promise<Manifest> {
    const { dataset, window, key, quarantine } = candidate;
    const earlier = await read({ dataset, window, version: key });
    if (earlier) return earlier;
    const name = `${key}-${randomBytes(6).toString('hex')}`;
    const files = await moveIn(candidate.files, (index) => dataPath(dataset, window, `${name}-${index}`));
    const quarantined = await moveIn(quarantine?.files ?? [], (index) => quarantinePath(dataset, window, `${name}-${index}`));
    const written: Manifest = {
      format: 1,
      dataset,
      window,
      version: key,
      digest: candidate.digest,
      columns: candidate.columns,
      ...(candidate.buckets ? { buckets: candidate.buckets } : {}),
      files,
      rows: total(files, 'rows'),
      bytes: total(files, 'bytes'),
      ...(candidate.minKey ? { minKey: candidate.minKey } : {}),
      ...(candidate.maxKey ? { maxKey: candidate.maxKey } : {}),
      ...(candidate.profile ? { profile: candidate.profile } : {}),
      provenance: candidate.provenance,
      ...(quarantine ? { quarantine: { ...quarantine, files: quarantined } } : {}),
      ...(candidate.pii ? { pii: candidate.pii } : {}),
      rowsIn: candidate.rowsIn,
      writtenAt: clock.now().toISOString(),
    };
    await point('commit.manifest');
    try {
      await sets.requireNotRevoked(candidate.provenance.run);
    } catch (error) {
      await deleteMoved([...files, ...quarantined], candidate.files);
      throw error;
    }
    if (await store.putIfAbsent(manifestPath(written), `${JSON.stringify(written, undefined, 2)}\n`)) return written;
    const winner = await manifest(written);
    await point('commit.lost');
    await deleteMoved([...files, ...quarantined], candidate.files);
    return winner;
  }

  const heads = createChainHeads(store, clock);
  const sets = createAcceptedSets(store, clock, heads, point);
  return {
    heads,
    find: (dataset, window, key) => read({ dataset, window, version: key }),
    commit,
    manifest,
    accepted: sets.accepted,
    generations: sets.generations,
    acceptedSets: sets.acceptedSets,
    acceptedWindows: sets.acceptedWindows,
    async accept(next, options) {
      for (const version of next.versions) await manifest(version);
      return sets.accept(next, options);
    },
    revoke: (run: RunRef) => sets.revoke(run),
  };
}

function total(files: readonly DataFile[], what: 'rows' | 'bytes'): number {
  return files.reduce((sum, file) => sum + file[what], 0);
}
