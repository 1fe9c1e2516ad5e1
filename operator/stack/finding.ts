import { AlmanacError } from '../../pipelines/failures';

/** What `doctor` says of one thing. */
export interface Finding {
  readonly check: string;
  /** `fail`: something will not work; `warn`: it works, but not as it should. */
  readonly state: 'ok' | 'warn' | 'fail';
  readonly message: string;
  /** The command or edit that mends it; null when there is nothing to mend. */
  readonly next: string | null;
}

export function ok(check: string, message: string): Finding {
  return { check, state: 'ok', message, next: null };
}

export function failed(check: string, error: unknown, next: string): Finding {
  const message = error instanceof Error ? error.message : String(error);
  return { check, state: 'fail', message, next: error instanceof AlmanacError ? error.next : next };
}

/** Of an external service: what mends it is in the environment, whatever the error advises those who talk to an embedded one. */
export function unreachable(check: string, error: unknown, next: string): Finding {
  return { check, state: 'fail', message: error instanceof Error ? error.message : String(error), next };
}
