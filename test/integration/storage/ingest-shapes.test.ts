import type { DatasetSpec } from '../../../pipelines/types';
import { IngestBench, type IngestOptions } from '../../support/ingest';

const PLAYS: DatasetSpec = { columns: { event: 'bigint', ts: 'timestamp', zip: 'text', landed_on: 'date' }, optional: ['zip'] };
const HEADLESS: IngestOptions = { dataset: PLAYS, spec: { landing: 'events', header: false, folderDate: 'landed_on' } };

let bench: IngestBench;
beforeAll(() => {
  bench = new IngestBench();
});
beforeEach(() => bench.clear());
afterAll(() => bench.close());

test('the first line of a file without header is a record, and every bad one goes to quarantine with its number', async () => {
  bench.land('a.csv', '1,2026-03-01 08:00:00,"7,2"\n2,2026-03-09 09:00:00\nx,2026-03-01 08:00:00,1\n3,2026-03-31 10:00:00,\n');
  const { accepted, quarantined, output } = await bench.ingest(HEADLESS);
  expect(accepted.map(({ event, zip, landed_on }) => [event, zip, String(landed_on).slice(0, 10)])).toEqual([
    ['1', '7,2', '2026-03-10'],
    ['3', null, '2026-03-10'],
  ]);
  expect(quarantined.map(({ line, column_name }) => [Number(line), column_name])).toEqual([
    [2, null],
    [3, 'event'],
  ]);
  expect(output).toMatchObject({ rowsIn: 4, rowsOut: 2, quarantined: { malformed: 2 } });
});

test('files of no lines hold no records, and one whose first line is no text spoils only that', async () => {
  bench.land('empty.csv', '');
  bench.land('junk.csv', Buffer.concat([Buffer.from([0xff, 0xfe, 0x0a]), Buffer.from('1,2026-03-01 08:00:00,1\n')]));
  expect((await bench.ingest(HEADLESS)).output).toMatchObject({ rowsIn: 2, rowsOut: 1, quarantined: { malformed: 1 } });
});

const RENAMED: DatasetSpec = { columns: { event: 'bigint', zip: 'text' } };
const renamed: IngestOptions = { dataset: RENAMED, spec: { landing: 'events', names: { event: 'EventID' } } };

test.each([
  ['CSV', 'a.csv', 'zip,EventID\n10115,7\n,8\n'],
  ['JSON lines', 'a.jsonl', '{"zip":"10115","EventID":7}\n{"zip":null,"EventID":8}\n'],
])('columns of %s are found by what the files call them, and known by what the dataset does', async (_kind, name, body) => {
  bench.land(name, body);
  const { accepted, quarantined } = await bench.ingest(renamed);
  expect(accepted).toEqual([{ event: '7', zip: '10115' }]);
  expect(quarantined).toMatchObject([{ column_name: 'zip', detail: 'is empty' }]);
});

test('a column that is missing is named as the files should call it', async () => {
  bench.land('a.csv', 'zip,event\n1,2\n');
  expect(await bench.failure(renamed)).toMatchObject({
    code: 'landing.columns',
    message: expect.stringContaining('it has no column EventID'),
  });
});

test('of folders the newest before the end that holds data is read', async () => {
  const newest: IngestOptions = { dataset: RENAMED, spec: { landing: 'events', folders: 'newest', header: false } };
  await expect(bench.failure(newest)).resolves.toMatchObject({ code: 'landing.missing', message: expect.stringContaining('2026-03-11') });
  bench.land('a.csv', '1,a\n', '2026-03-01');
  bench.land('a.csv', '2,b\n', '2026-03-08');
  bench.land('_SUCCESS', '', '2026-03-09');
  bench.land('a.csv', '3,c\n', '2026-03-11');
  const { accepted, manifest } = await bench.ingest(newest);
  expect(accepted).toEqual([{ event: '2', zip: 'b' }]);
  expect(manifest.provenance.landing?.map(({ path }) => path)).toEqual(['landing/events/dt=2026-03-08/a.csv']);
  expect((await bench.ingest({ ...newest, window: '2026-03-11', generation: 2 })).accepted).toEqual([{ event: '3', zip: 'c' }]);
});
