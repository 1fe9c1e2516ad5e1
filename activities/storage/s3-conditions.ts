/** Whether a service honours the conditions of requests: without that, of two writers both would win. */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { AlmanacError } from '../../pipelines/failures';
import { statusOf } from './s3-failures';
import { headOf } from './s3-head';
import { addressed, asked, encrypted, type S3Place } from './s3-place';
import { putIfAbsent } from './s3-put';
import { CONDITIONS_PROBE } from './store-paths';

const BODY = Buffer.from('Almanac tries here whether writes of objects that exist are refused. It may be deleted at any time.\n');
/** What no object has. */
const STRANGE_TAG = '"almanac"';
/** Parts whose checksum is not the one that their upload names are refused. */
const CHECKED = { ChecksumAlgorithm: 'CRC32' } as const;

/**
 * Throws `store.unconditional` when the service writes over an object that a request says must not be there, or gives one that a request
 * says must be another. What it tries this on is one object, which it makes the first time and nobody needs. `whole`: also of uploads in
 * parts, which it else tries only when it made that object.
 */
export async function requireConditions(place: S3Place, whole = false): Promise<void> {
  const key = `${place.prefix}${CONDITIONS_PROBE}`;
  const made = await putIfAbsent(place, key, BODY);
  if (made && (await putIfAbsent(place, key, BODY))) throw unconditional(place, 'If-None-Match of PutObject');
  if (await givesAnother(place, key)) throw unconditional(place, 'If-Match of GetObject');
  if ((made || whole) && (await completesOver(place, key))) throw unconditional(place, 'If-None-Match of CompleteMultipartUpload');
}

async function givesAnother(place: S3Place, key: string): Promise<boolean> {
  return !(await asked(place, { key, action: 's3:GetObject' }, refused(headOf(place, key, { ifMatch: STRANGE_TAG }))));
}

async function completesOver(place: S3Place, key: string): Promise<boolean> {
  const { client } = place;
  const object = { ...addressed(place), Key: key };
  const question = { key, action: 's3:PutObject' };
  const creation = new CreateMultipartUploadCommand({ ...object, ...encrypted(place), ...CHECKED });
  const { UploadId } = await asked(place, question, client.send(creation));
  const upload = { ...object, UploadId };
  try {
    const part = new UploadPartCommand({ ...upload, PartNumber: 1, Body: BODY, ...CHECKED });
    const { ETag, ChecksumCRC32 } = await asked(place, question, client.send(part));
    const command = new CompleteMultipartUploadCommand({
      ...upload,
      MultipartUpload: { Parts: [{ PartNumber: 1, ETag, ChecksumCRC32 }] },
      IfNoneMatch: '*',
    });
    return !(await asked(place, question, refused(client.send(command))));
  } finally {
    // It is over, or the bucket's lifecycle removes it.
    await client.send(new AbortMultipartUploadCommand(upload)).catch(() => undefined);
  }
}

/** Whether the condition of a request was honoured. */
async function refused(answer: Promise<unknown>): Promise<boolean> {
  try {
    await answer;
    return false;
  } catch (error) {
    // 409: another is at it just now. 404: that one took it away, or somebody deleted what is tried on.
    if ([404, 409, 412].includes(statusOf(error) ?? 0)) return true;
    throw error;
  }
}

function unconditional({ bucket, prefix }: S3Place, condition: string): AlmanacError {
  return new AlmanacError('store.unconditional', `The service of s3://${bucket}/${prefix} does not honour ${condition}.`, {
    next: 'Use AWS S3, or name another service in ALMANAC_S3_ENDPOINT; `almanac doctor` tries it.',
    details: { bucket, condition },
  });
}
