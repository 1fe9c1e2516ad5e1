/** What a compute stage may read: versions of its own run, of an earlier window, of another pipeline. */
import type { PreviousRead, Read, SensedRead } from './types';

export function isPrevious(read: Read): read is PreviousRead {
  return typeof read !== 'string' && 'previous' in read;
}

export function isSensed(read: Read): read is SensedRead {
  return typeof read !== 'string' && 'sensed' in read;
}

/** The dataset whose rows are read. */
export function readDataset(read: Read): string {
  return typeof read === 'string' ? read : isPrevious(read) ? read.previous : read.sensed;
}
