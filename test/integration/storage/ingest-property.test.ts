import fc from 'fast-check';
import { gzipSync } from 'node:zlib';
import { IngestBench } from '../../support/ingest';

let bench: IngestBench;
beforeAll(() => {
  bench = new IngestBench();
});
afterEach(() => bench.clear());
afterAll(() => bench.close());

/** A row as it is meant: accepted with these values, or put aside for this reason. `lines` is how the file spells it. */
interface Row {
  readonly csv: Buffer;
  readonly json: Buffer;
  readonly outcome: 'accepted' | 'malformed' | 'early' | 'late';
  readonly user?: string;
}

const DAY = Date.parse('2026-03-10T00:00:00Z');
const quoted = (text: string): string => (/["\n\r,]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

function row(user: string, segment: string, ts: string, outcome: Row['outcome']): Row {
  const csv = Buffer.from(`${quoted(user)},${quoted(segment)},${quoted(ts)}`);
  const json = Buffer.from(JSON.stringify({ user_id: user, segment_id: segment, ts }));
  return { csv, json, outcome, ...(outcome === 'accepted' ? { user } : {}) };
}

const user = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter((text) => !/[\0\r\n\p{Surrogate}]/u.test(text));
const instant = fc.integer({ min: 0, max: 86_399_999 }).chain((at) => {
  const iso = new Date(DAY + at).toISOString();
  return fc.constantFrom(
    iso,
    iso.slice(0, -1),
    String((DAY + at) / 1000),
    new Date(DAY + at + 19_800_000).toISOString().replace('Z', '+05:30'),
  );
});
const segment = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String);
const good = fc.tuple(user, segment, instant).map(([u, s, t]) => row(u, s, t, 'accepted'));
const outside = fc
  .tuple(user, segment, fc.integer({ min: 0, max: 40 * 86_400_000 }), fc.boolean())
  .map(([u, s, away, late]) => row(u, s, new Date(late ? DAY - 1 - away : DAY + 86_400_000 + away).toISOString(), late ? 'late' : 'early'));
const bad = fc.oneof(
  fc.tuple(user, fc.constantFrom('x', '1.5', '', '9223372036854775808'), instant).map(([u, s, t]) => row(u, s, t, 'malformed')),
  fc.tuple(user, segment, fc.constantFrom('soon', '', '2026-13-01', '1e99')).map(([u, s, t]) => row(u, s, t, 'malformed')),
  fc.tuple(user, user, segment, instant).map(([a, b, s, t]) => row(`${a}\0${b}`, s, t, 'malformed')),
  fc.constantFrom<Row>(
    { csv: Buffer.from('just one field'), json: Buffer.from('{"user_id":'), outcome: 'malformed' },
    { csv: Buffer.from('a,1,2026-03-10,b'), json: Buffer.from('[]'), outcome: 'malformed' },
    { csv: Buffer.from('stray " quote,1,2026-03-10'), json: Buffer.from('null'), outcome: 'malformed' },
    { csv: Buffer.from([0x61, 0xff, 0x2c, 0x31, 0x2c, 0x32]), json: Buffer.from([0x7b, 0xc3, 0x28, 0x7d]), outcome: 'malformed' },
    {
      csv: Buffer.from(`${'x'.repeat(2 ** 20 + 1)},1,2026-03-10`),
      json: Buffer.from(JSON.stringify({ user_id: 'x'.repeat(2 ** 20) })),
      outcome: 'malformed',
    },
  ),
);
const anyRow = fc.oneof({ weight: 20, arbitrary: good }, { weight: 3, arbitrary: outside }, { weight: 3, arbitrary: bad });
const file = fc.record({
  rows: fc.array(anyRow, { maxLength: 40 }),
  format: fc.constantFrom<'csv' | 'json'>('csv', 'json'),
  lineEnd: fc.constantFrom('\n', '\r\n'),
  gzip: fc.boolean(),
  lastLineEnds: fc.boolean(),
  blankLines: fc.boolean(),
});

test('every row of any files is accepted or quarantined, for its own reason, with its own line', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(file, { minLength: 1, maxLength: 4 }), async (files) => {
      bench.clear();
      const all: Row[] = [];
      const aside: { file: string; line: number; reason: string }[] = [];
      for (const [n, { rows, format, lineEnd, gzip, lastLineEnds, blankLines }] of files.entries()) {
        // A JSON file of nothing but junk is refused as a whole; that has a test of its own.
        const kept = format === 'json' && rows.every(({ outcome }) => outcome === 'malformed') ? [] : rows;
        const lines: Buffer[] = format === 'csv' ? [Buffer.from('user_id,segment_id,ts')] : [];
        const name = `part-${n}.${format}${gzip ? '.gz' : ''}`;
        for (const one of kept) {
          if (blankLines && lines.length % 5 === 3) lines.push(Buffer.alloc(0));
          lines.push(one[format]);
          all.push(one);
          if (one.outcome !== 'accepted')
            aside.push({ file: `landing/events/dt=2026-03-10/${name}`, line: lines.length, reason: one.outcome });
        }
        const body = Buffer.concat(
          lines.flatMap((line, index) => (index < lines.length - 1 || lastLineEnds ? [line, Buffer.from(lineEnd)] : [line])),
        );
        bench.land(name, gzip ? gzipSync(body) : body);
      }
      const { output, accepted, quarantined } = await bench.ingest();
      const expected = all.filter(({ outcome }) => outcome === 'accepted').map(({ user: id }) => id);
      expect(accepted.map((found) => found['user_id']).sort()).toEqual(expected.sort());
      const put = Object.values(output.quarantined ?? {}).reduce((sum, rows) => sum + rows, 0);
      expect([output.rowsIn, output.rowsOut + put]).toEqual([all.length, all.length]);
      const key = (one: { file: string; line: number; reason: string }): string => `${one.file}:${one.line} ${one.reason}`;
      expect(
        quarantined
          .map((found) => key({ file: String(found['file']), line: Number(found['line']), reason: String(found['reason']) }))
          .sort(),
      ).toEqual(aside.map(key).sort());
    }),
    { numRuns: 40 },
  );
}, 120_000);
