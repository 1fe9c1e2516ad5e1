import fc from 'fast-check';
import { ZstdFrames } from '../../../activities/storage/zstd-frames';
import { storedZstd, zstd } from '../../support/zstd';

const BODY = Array.from({ length: 30_000 }, (_, n) => `${(n * 7919) % 10_007}\n`).join('');
const SKIPPABLE = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9]);
/** A window descriptor, a content size of 8 bytes, a dictionary id of 2, one block that repeats a byte 1000 times. */
const REPEATED = Buffer.from([
  0x28,
  0xb5,
  0x2f,
  0xfd,
  0xc2,
  0x58,
  1,
  2,
  0xe8,
  3,
  0,
  0,
  0,
  0,
  0,
  0,
  ((1000 << 3) & 0xff) | 3,
  (1000 << 3) >> 8,
  0,
  0x41,
]);
const CHECKSUM = Buffer.from([1, 2, 3, 4]);

const whole: Record<string, Buffer> = {
  'of raw blocks': storedZstd(Buffer.from(BODY)),
  'with a checksum': storedZstd(Buffer.from(BODY), { checksum: CHECKSUM }),
  'of a repeated byte': REPEATED,
  'of nothing': storedZstd(Buffer.alloc(0)),
  'of several frames and a skippable one': Buffer.concat([REPEATED, SKIPPABLE, storedZstd(Buffer.from('end')), SKIPPABLE]),
};

function fault(body: Buffer, chunk: number): string | undefined {
  const frames = new ZstdFrames();
  for (let from = 0; from < body.length; from += chunk) frames.add(body.subarray(from, from + chunk));
  return frames.fault();
}

beforeAll(async () => {
  whole['as zstd compresses'] = await zstd(BODY);
});

test.each([...Object.keys(whole), 'as zstd compresses'])('a file %s is whole, in chunks of any size', (name) => {
  const body = whole[name] ?? Buffer.alloc(0);
  for (const chunk of [1, 7, 4096, body.length]) expect(fault(body, chunk)).toBeUndefined();
});

test('cut anywhere but between frames it is not', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('as zstd compresses', 'of raw blocks', 'with a checksum', 'of a repeated byte'),
      fc.nat(),
      fc.integer({ min: 1, max: 5000 }),
      (name, at, chunk) => {
        const body = whole[name] ?? Buffer.alloc(0);
        expect(fault(body.subarray(0, at % body.length), chunk)).toBeDefined();
      },
    ),
  );
});

test('what is no frame is named so', () => {
  expect(fault(Buffer.from('plain text'), 3)).toMatch(/not a frame/);
  expect(fault(Buffer.concat([REPEATED, Buffer.from('trailing')]), 100)).toMatch(/not a frame/);
  expect(fault(SKIPPABLE, 4)).toMatch(/no frame/);
});
