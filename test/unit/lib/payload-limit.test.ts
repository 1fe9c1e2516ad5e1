import { ApplicationFailure } from '@temporalio/common';
import fc from 'fast-check';
import { largestField, PAYLOAD_LIMIT_BYTES, payloadConverter } from '../../../lib/payload-limit';

const TEXT = 'x'.repeat(PAYLOAD_LIMIT_BYTES);

test('what fits goes through unchanged', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      // JSON knows no negative zero.
      expect(payloadConverter.fromPayload(payloadConverter.toPayload(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

test('what does not fit is refused for good, naming the field', () => {
  const convert = (): unknown => payloadConverter.toPayload({ run: { id: 'a' }, plan: { stages: [{ sql: 'short' }, { sql: TEXT }] } });
  expect(convert).toThrow(ApplicationFailure);
  expect(convert).toThrow(/plan\.stages\[1\]\.sql/);
  expect(convert).toThrow(expect.objectContaining({ type: 'payload.too-large', nonRetryable: true }));
});

test('the limit is exact', () => {
  const ofBytes = (bytes: number): string => 'x'.repeat(bytes - 2);
  expect(() => payloadConverter.toPayload(ofBytes(PAYLOAD_LIMIT_BYTES))).not.toThrow();
  expect(() => payloadConverter.toPayload(ofBytes(PAYLOAD_LIMIT_BYTES + 1))).toThrow(/the value itself/);
});

test('when no part is to blame the whole is named', () => {
  expect(largestField({ list: Array.from({ length: 100 }, () => 'y'.repeat(1000)) })).toBe('list');
  expect(largestField(['a', 'b'])).toBe('the value itself');
});
