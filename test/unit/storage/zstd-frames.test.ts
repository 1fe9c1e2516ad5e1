import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { ZstdFrames } from '../../../activities/storage/zstd-frames';

const zstd = (body: Buffer, ...options: string[]): Buffer => execFileSync('zstd', ['-q', '-c', ...options], { input: body, maxBuffer: 2 ** 26 });
const BODY = Buffer.from(Array.from({ length: 30_000 }, (_, n) => `${(n * 7919) % 10_007}\n`).join(''));
const SKIPPABLE = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9]);
const WHOLE: Record<string, Buffer> = {
  'with checksum': zstd(BODY),
  'without checksum': zstd(BODY, '--no-check'),
  'hardly compressed': zstd(BODY, '-1'),
  'of zeros': zstd(Buffer.alloc(500_000)),
  'of nothing': zstd(Buffer.alloc(0)),
  'of two frames and a skippable one': Buffer.concat([zstd(BODY), SKIPPABLE, zstd(Buffer.from('end'))]),
};

function fault(body: Buffer, chunk: number): string | undefined {
  const frames = new ZstdFrames();
  for (let from = 0; from < body.length; from += chunk) frames.add(body.subarray(from, from + chunk));
  return frames.fault();
}

test.each(Object.entries(WHOLE))('a file %s is whole, in chunks of any size', (_what, body) => {
  for (const chunk of [1, 7, 4096, body.length || 1]) expect(fault(body, chunk)).toBeUndefined();
});

test('cut anywhere but between frames it is not', () => {
  fc.assert(
    fc.property(fc.constantFrom('with checksum', 'without checksum', 'of zeros'), fc.nat(), fc.integer({ min: 1, max: 5000 }), (name, at, chunk) => {
      const body = WHOLE[name] ?? Buffer.alloc(0);
      expect(fault(body.subarray(0, at % body.length), chunk)).toBeDefined();
    }),
  );
});

test('what is no frame is named so', () => {
  expect(fault(Buffer.from('plain text'), 3)).toMatch(/not a frame/);
  expect(fault(Buffer.concat([zstd(BODY), Buffer.from('trailing')]), 100)).toMatch(/not a frame/);
  expect(fault(SKIPPABLE, 4)).toMatch(/no frame/);
});
