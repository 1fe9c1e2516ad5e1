import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { sweepTemporaryFiles, writeFileAtomically } from '../../lib/atomic-file';
import { AlmanacError } from '../../pipelines/failures';
import type { Cluster } from './cluster';

/** The clusters of a server on disk: one file each, replaced whole at every change. */
export class ClusterStore {
  readonly #directory: string;

  /** Call it only under the lock of the directory. */
  constructor(stateDirectory: string) {
    this.#directory = path.join(stateDirectory, 'clusters');
    mkdirSync(this.#directory, { recursive: true });
    sweepTemporaryFiles(this.#directory);
  }

  /** Throws `emr.local-state` for a file that holds no cluster: which processes it had nobody knows. */
  readAll(): readonly Cluster[] {
    return readdirSync(this.#directory)
      .filter((name) => name.endsWith('.json'))
      .map((name) => parse(path.join(this.#directory, name)));
  }

  write(cluster: Cluster): void {
    writeFileAtomically(path.join(this.#directory, `${cluster.id}.json`), `${JSON.stringify(cluster)}\n`);
  }

  /** Where the step runs and writes. */
  stepDirectory(cluster: string, step: string): string {
    return path.join(this.#directory, cluster, 'steps', step);
  }
}

function parse(file: string): Cluster {
  try {
    const value = JSON.parse(readFileSync(file, 'utf8')) as Partial<Cluster> | null;
    if (typeof value?.id === 'string' && typeof value.state === 'string' && Array.isArray(value.steps)) return value as Cluster;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new AlmanacError('emr.local-state', `${file} is damaged: which steps of that cluster still run is not known`, {
    next: `end what is left of it (ps shows processes below its directory), then: rm ${file}`,
    details: { file },
  });
}
