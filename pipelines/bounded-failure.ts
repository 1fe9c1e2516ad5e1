/**
 * Failures travel in workflow histories and rows, and quote what went wrong: a header of thousands of columns, a value of megabytes.
 * Here they are cut to a size that always fits. Sizes are UTF-8 bytes of JSON, which is what is sent and stored.
 */
import type { FailureInfo } from './failures';

/** What is kept of a failure's parts, in bytes. */
export interface FailureBounds {
  readonly message: number;
  readonly next: number;
  readonly details: number;
}

const WHOLE: FailureBounds = { message: 4 * 1024, next: 4 * 1024, details: 16 * 1024 };
/** A hold tells of all its failures at once; together they stay below the 64 KiB of a payload. */
const ALL_FAILURES_BYTES = 48 * 1024;
/** Tried one after the other until the details fit: bytes kept of each text in them. */
const TEXT_STEPS = [4096, 1024, 256, 64] as const;
const DEEPEST = 6;

/** The failure with everything too long cut, saying how much is missing; one that fits is returned as it is. */
export function boundedFailure(info: FailureInfo, bounds: FailureBounds = WHOLE): FailureInfo {
  return {
    ...info,
    message: boundedText(info.message, bounds.message),
    next: boundedText(info.next, bounds.next),
    details: boundedDetails(info.details, bounds.details),
  };
}

/** Failures by stage, cut alike so that all of them fit one payload. */
export function boundedFailures(failures: Readonly<Record<string, FailureInfo>>): Record<string, FailureInfo> {
  const entries = Object.entries(failures);
  const share = Math.floor(ALL_FAILURES_BYTES / Math.max(1, entries.length));
  const size = jsonBytes(failures) ?? Infinity;
  if (size <= ALL_FAILURES_BYTES) return { ...failures };
  const bounds = { message: Math.min(WHOLE.message, share >> 1), next: Math.min(WHOLE.next, share >> 2), details: share >> 3 };
  return Object.fromEntries(entries.map(([stage, info]) => [stage, boundedFailure(info, bounds)]));
}

/** The beginning of a text that as JSON takes at most `bytes`, and how many characters were left out. */
export function boundedText(text: string, bytes: number): string {
  // No character takes less than a byte, so what is beyond need not be measured.
  if (text.length <= bytes && textBytes(text) <= bytes) return text;
  let [fits, toolong] = [0, Math.min(text.length, bytes) + 1];
  while (toolong - fits > 1) {
    const middle = (fits + toolong) >> 1;
    if (textBytes(cut(text, middle)) <= bytes) fits = middle;
    else toolong = middle;
  }
  return cut(text, fits);
}

function cut(text: string, length: number): string {
  // Half of a surrogate pair is no text.
  const end = /[\uD800-\uDBFF]/.test(text.charAt(length - 1)) ? length - 1 : length;
  return `${text.slice(0, end)}… (${text.length - end} more characters)`;
}

function boundedDetails(details: Readonly<Record<string, unknown>>, bytes: number): Readonly<Record<string, unknown>> {
  const size = jsonBytes(details);
  if (size !== undefined && size <= bytes) return details;
  for (const kept of TEXT_STEPS) {
    const shorter = shortened(details, kept, 0) as Record<string, unknown>;
    if ((jsonBytes(shorter) ?? Infinity) <= bytes) return shorter;
  }
  return {};
}

/** A copy that JSON can say: texts of `kept` bytes, lists and records of a sixteenth as many entries, not deeper than a few levels. */
function shortened(value: unknown, kept: number, depth: number): unknown {
  if (typeof value === 'string') return boundedText(value, kept);
  if (typeof value === 'bigint') return boundedText(String(value), kept);
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Error) return boundedText(value.message, kept);
  if (value instanceof Date) return String(value);
  if (depth >= DEEPEST) return '…';
  const most = Math.max(1, kept >> 4);
  if (Array.isArray(value)) {
    const first = value.slice(0, most).map((part) => shortened(part, kept, depth + 1));
    return value.length > most ? [...first, `… (${value.length - most} more)`] : first;
  }
  const entries = Object.entries(value);
  const first = entries.slice(0, most).map(([key, part]) => [boundedText(key, kept), shortened(part, kept, depth + 1)]);
  return Object.fromEntries(entries.length > most ? [...first, ['…', `${entries.length - most} more`]] : first);
}

/** Bytes of a value as JSON; undefined when JSON cannot say it. */
function jsonBytes(value: unknown): number | undefined {
  try {
    return utf8Bytes(JSON.stringify(value));
  } catch {
    return undefined;
  }
}

function textBytes(text: string): number {
  return utf8Bytes(JSON.stringify(text)) - 2;
}

/** Counted by hand: neither Buffer nor TextEncoder is sure to be where this runs. */
function utf8Bytes(text: string): number {
  let bytes = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    // Each half of a pair counts two of its four.
    bytes += code < 0x80 ? 1 : code < 0x800 || (code >= 0xd800 && code <= 0xdfff) ? 2 : 3;
  }
  return bytes;
}
