import { mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { databaseFailure } from '../lib/database-failure';
import { unwritableFailure } from '../lib/file-failure';
import { AlmanacError, failureInfo } from '../pipelines/failures';
import { printable } from './render';

/** What a failed command tells: on stderr for people, on stdout with `--json`. */
export interface ErrorReport {
  /** A code of the failure table, or `usage`. */
  readonly code: string;
  readonly class: string;
  readonly message: string;
  readonly next: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** Codes of Node, pg and gRPC for a server that is not there or went away while we talked to it. */
const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  '57P01',
  '57P02',
  '57P03',
]);
const GRPC_UNAVAILABLE = 14;

/** Every error as one with a code. An unexpected one goes to a log file, stack and all, and becomes `internal`. */
export function toAlmanacError(error: unknown, logDirectory: string): AlmanacError {
  if (error instanceof AlmanacError) return error;
  const reason = unreachableReason(error);
  if (reason !== undefined) {
    return new AlmanacError('stack.unreachable', `a service does not answer: ${reason}`, { next: 'almanac status', cause: error });
  }
  const known = databaseFailure(error) ?? unwritableFailure(error, 'repeat the command');
  if (known !== undefined) return known;
  const file = writeErrorLog(error, logDirectory);
  const message = error instanceof Error ? error.message : String(error);
  return new AlmanacError('internal', `unexpected: ${message}`, { next: `report it with ${file}`, details: { log: file }, cause: error });
}

export function reportOf(error: AlmanacError): ErrorReport {
  return failureInfo(error);
}

/** Two lines: what is wrong, what to do. */
export function renderError(report: ErrorReport): string {
  return `error ${report.code}: ${report.message.split('\n').map(printable).join('\n  ')}\nnext: ${report.next}\n`;
}

function unreachableReason(error: unknown): string | undefined {
  for (let current = error, depth = 0; current instanceof Error && depth < 5; current = current.cause, depth += 1) {
    const { code } = current as Error & { code?: unknown };
    if (code === GRPC_UNAVAILABLE || (typeof code === 'string' && UNREACHABLE.has(code))) return current.message || String(code);
    // Node reports a name with several addresses as one error of several.
    if (current instanceof AggregateError) {
      const inner = current.errors.map(unreachableReason).find((found) => found !== undefined);
      if (inner !== undefined) return inner;
    }
  }
  return undefined;
}

/** A home that cannot be written to must not hide the error itself. */
function writeErrorLog(error: unknown, logDirectory: string): string {
  const text = `${new Date().toISOString()} node ${process.version}\n${error instanceof Error ? describe(error) : String(error)}\n`;
  for (const directory of [logDirectory, os.tmpdir()]) {
    const file = path.join(directory, `error-${process.pid}-${Date.now()}.log`);
    try {
      mkdirSync(directory, { recursive: true });
      writeFileSync(file, text, { mode: 0o600 });
      return file;
    } catch {
      continue;
    }
  }
  return 'this output';
}

function describe(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${describe(error.cause)}` : '';
  return `${error.stack ?? String(error)}${cause}`;
}
