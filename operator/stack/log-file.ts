import { mkdirSync, openSync, renameSync, statSync } from 'node:fs';
import path from 'node:path';

const ROTATE_BYTES = 20e6;

function logDirectory(home: string): string {
  return path.join(home, 'logs');
}

export function logFile(home: string, name: string): string {
  return path.join(logDirectory(home), `${name}.log`);
}

/** A descriptor to append to; one older log is kept beside, so a process that is restarted for weeks does not fill the disk. */
export function openLog(file: string): number {
  mkdirSync(path.dirname(file), { recursive: true });
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > ROTATE_BYTES) renameSync(file, `${file}.1`);
  return openSync(file, 'a');
}
