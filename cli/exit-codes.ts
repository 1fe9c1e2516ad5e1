import { AlmanacError, FAILURE_CLASSES } from '../pipelines/failures';

/** A wrong command line: unknown verb, missing argument. */
export const USAGE_EXIT_CODE = 2;

/** What the process ends with after `error`; classes other than usage come from the failure table. */
export function exitCodeOf(error: unknown): number {
  return error instanceof AlmanacError ? error.exitCode : FAILURE_CLASSES.platform.exitCode;
}
