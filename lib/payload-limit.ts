/**
 * The payload converter of clients, workers and the workflow sandbox alike; so it imports nothing but the SDK. It refuses what
 * is too large where it is made: a throw in a codec, after the workflow has run, would fail the workflow task for ever.
 */
import { ApplicationFailure, DefaultPayloadConverter, type Payload } from '@temporalio/common';

/** Payloads hold ids, counts, hashes and URIs; 64 KiB of them is a mistake in what travels. */
export const PAYLOAD_LIMIT_BYTES = 64 * 1024;

class LimitedPayloadConverter extends DefaultPayloadConverter {
  /** Throws a non-retryable failure of type `payload.too-large` that names the field. */
  override toPayload<T>(value: T): Payload {
    const payload = super.toPayload(value);
    const size = payload.data?.length ?? 0;
    if (size <= PAYLOAD_LIMIT_BYTES) return payload;
    const field = largestField(value);
    const message = `a payload of ${size} bytes exceeds ${PAYLOAD_LIMIT_BYTES}; most of it is ${field}`;
    const next = `shorten ${field}, or store it and pass its hash`;
    throw ApplicationFailure.create({
      type: 'payload.too-large',
      message,
      nonRetryable: true,
      details: [{ code: 'payload.too-large', class: 'user', message, next, details: { field, bytes: size } }],
    });
  }
}

/** The path to the smallest part that still holds most of the value, like `plan.stages[3].spec.sql`; `the value itself` when no part does. */
export function largestField(value: unknown): string {
  let path = '';
  let current = value;
  for (;;) {
    if (typeof current !== 'object' || current === null) break;
    const entries = Object.entries(current).map(([key, part]) => ({ key, part: part as unknown, size: jsonSize(part) }));
    const total = entries.reduce((sum, entry) => sum + entry.size, 0);
    const largest = entries.reduce((best, entry) => (entry.size > best.size ? entry : best), {
      key: '',
      part: undefined as unknown,
      size: 0,
    });
    if (largest.size * 2 <= total) break;
    path += Array.isArray(current) ? `[${largest.key}]` : `${path === '' ? '' : '.'}${largest.key}`;
    current = largest.part;
  }
  return path === '' ? 'the value itself' : path;
}

function jsonSize(value: unknown): number {
  return (JSON.stringify(value) as string | undefined)?.length ?? 0;
}

export const payloadConverter = new LimitedPayloadConverter();
