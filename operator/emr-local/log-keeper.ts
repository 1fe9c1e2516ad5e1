import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { copyFile, mkdir, rename, stat } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { createGzip } from 'node:zlib';
import { PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { s3Client } from '../../lib/aws';

/** What EMR keeps of a step: what ran and how it ended, and what it wrote. */
export const LOG_NAMES = ['controller', 'stdout', 'stderr'] as const;

/** Where a log of a step is kept below the log URI of its cluster. */
export function logFileUri(logUri: string, cluster: string, step: string, name: (typeof LOG_NAMES)[number]): string {
  return `${logUri.replace(/^s3[an]:/, 's3:').replace(/\/*$/, '')}/${cluster}/steps/${step}/${name}.gz`;
}

/** Copies logs to where clusters want them. */
export class LogKeeper {
  readonly #environment: NodeJS.ProcessEnv;
  #client: S3Client | undefined;

  constructor(environment: NodeJS.ProcessEnv) {
    this.#environment = environment;
  }

  /** Compresses the logs in `directory` and puts them below `logUri`; may be done again. Rejects when the place cannot be written. */
  async keep(logUri: string, cluster: string, step: string, directory: string): Promise<void> {
    for (const name of LOG_NAMES) {
      const source = path.join(directory, name);
      if (!existsSync(source)) continue;
      const compressed = `${source}.gz`;
      await pipeline(createReadStream(source), createGzip(), createWriteStream(compressed));
      await this.#put(compressed, new URL(logFileUri(logUri, cluster, step, name)));
    }
  }

  close(): void {
    this.#client?.destroy();
  }

  async #put(file: string, target: URL): Promise<void> {
    if (target.protocol === 'file:') {
      const place = fileURLToPath(target);
      await mkdir(path.dirname(place), { recursive: true });
      await copyFile(file, `${place}.new`);
      await rename(`${place}.new`, place);
      return;
    }
    this.#client ??= logClient(this.#environment);
    const { size } = await stat(file);
    const Key = decodeURIComponent(target.pathname.slice(1));
    await this.#client.send(
      new PutObjectCommand({
        Bucket: target.hostname,
        Key,
        Body: createReadStream(file),
        ContentLength: size,
        ContentType: 'application/gzip',
      }),
    );
  }
}

/** A store that is not AWS's is asked by path. */
function logClient(environment: NodeJS.ProcessEnv): S3Client {
  const endpoint = environment.AWS_ENDPOINT_URL_S3 ?? environment.AWS_ENDPOINT_URL;
  return s3Client(endpoint === undefined ? { pathStyle: false } : { endpoint, pathStyle: true });
}
