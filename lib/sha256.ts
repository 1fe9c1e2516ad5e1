import { createHash } from 'node:crypto';

/** SHA-256 of a text, in hex: the hash of plans, stages, SQL texts, candidates and metrics. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
