import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { createGunzip } from 'node:zlib';
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import type { Clock } from '../../lib/clock';
import { isErrno } from '../../lib/file-failure';
import { logTail } from '../../pipelines/log-tail';
import { LogEnd } from './log-end';
import { pause } from './pause';

/** How much of the end of a log is looked at: logs of failed steps reach gigabytes. */
const END_BYTES = 2 ** 20;

/** Reads what EMR puts below the log URI of a cluster; undefined while it is not there. */
export type LogReader = (uri: string) => Promise<Readable | undefined>;

/** Of `s3://` and `file://` URIs. */
export function createLogReader(s3: S3Client): LogReader {
  return async (uri) => {
    try {
      if (uri.startsWith('file://')) return (await open(fileURLToPath(uri))).createReadStream();
      const { host, pathname } = new URL(uri);
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: host, Key: decodeURIComponent(pathname.slice(1)) }));
      return Body as Readable | undefined;
    } catch (error) {
      const name = error instanceof Error ? error.name : '';
      if (name === 'NoSuchKey' || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  };
}

export interface LogWait {
  /** For stages with personal data: only what does not quote a row. */
  readonly maskValues?: boolean | undefined;
  readonly clock: Clock;
  readonly waitMs: number;
  readonly everyMs: number;
}

/**
 * The end of the log of a failed step, which EMR puts there some time after: of what it told on stderr, else on stdout. A log that does not come or
 * cannot be read is said so in its place: the failure of the step is told all the same.
 */
export async function failedLog(
  read: LogReader,
  logs: string | undefined,
  cluster: string,
  step: string,
  { clock, waitMs, everyMs, maskValues = false }: LogWait,
  signal: AbortSignal,
): Promise<string> {
  if (logs === undefined || logs === '') return 'its cluster keeps no logs';
  const folder = `${logs.replace(/^s3[an]:/, 's3:').replace(/\/*$/, '')}/${cluster}/steps/${step}/`;
  const until = clock.now().getTime() + waitMs;
  try {
    for (;;) {
      for (const name of ['stderr.gz', 'stdout.gz']) {
        const body = await read(folder + name);
        const text = body === undefined ? '' : await endOf(body, signal);
        const tail = logTail(text);
        if (tail === '') continue;
        return maskValues ? `${logTail(text, true)}\nThe rest may quote rows and is not shown; it is in ${folder}`.trim() : tail;
      }
      if (clock.now().getTime() >= until) return `its log did not come to ${folder} in ${Math.round(waitMs / 1000)} s`;
      await pause(everyMs, signal);
    }
  } catch (error) {
    signal.throwIfAborted();
    return `its log in ${folder} cannot be read: ${error instanceof Error || isErrno(error) ? error.message : String(error)}`;
  }
}

async function endOf(body: Readable, signal: AbortSignal): Promise<string> {
  const end = new LogEnd(END_BYTES);
  const keep = async (chunks: AsyncIterable<Buffer>): Promise<void> => {
    for await (const chunk of chunks) end.keep(chunk);
  };
  await pipeline(body, createGunzip(), keep, { signal });
  return end.text();
}
