import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { createDuckDbEngine } from '../../../activities/compute/duckdb-engine';
import type { Engine } from '../../../activities/compute/engine';
import { DEMO_FIRST_DAY, DEMO_LAST_DAY, daysBetween, writeDemoLanding, type DemoLanding } from '../../../operator/demo-landing';
import { testDuckDb } from '../../support/duckdb';

const ARCHIVE = path.join(__dirname, '../../../demo/online-retail/online_retail.csv.gz');

describe('the landing data of the demo', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'almanac-demo-'));
  const root = path.join(directory, 'data');
  let engine: Engine;

  const write = (into = root): Promise<DemoLanding> => writeDemoLanding({ root: into, engine, signal: new AbortController().signal });

  beforeAll(async () => {
    engine = createDuckDbEngine({ scratch: path.join(directory, 'spill'), maxChildren: 1 });
    expect(await write()).toEqual({ written: true, days: 374 });
  }, 120_000);

  afterAll(async () => {
    await engine.close();
    rmSync(directory, { recursive: true });
  });

  it('has a file for every day, with a header alone when nothing was sold', () => {
    for (const source of ['segment-adds', 'pixel-fires']) {
      const folders = readdirSync(path.join(root, 'landing', source)).filter((name) => name.startsWith('dt='));
      expect(folders.sort()).toEqual(daysBetween(DEMO_FIRST_DAY, DEMO_LAST_DAY).map((day) => `dt=${day}`));
    }
    const idle = daysBetween(DEMO_FIRST_DAY, DEMO_LAST_DAY).filter((day) => lines(root, 'segment-adds', day).length === 0);
    // Saturdays, Christmas to the 4th of January, and the other bank holidays of that year.
    expect(idle).toContain('2011-11-05');
    expect(idle).toHaveLength(374 - 305);
  });

  it('holds four adds for each purchase line and a fire for each line of the 300 products, duplicates and all', async () => {
    using duckdb = await testDuckDb();
    await duckdb.connection.run(`create table line as select * from read_csv('${ARCHIVE}', header = true, all_varchar = true)
      where "CustomerID" <> '' and "Quantity"::int > 0 and "InvoiceNo" not like 'C%'`);
    const [counted] = await duckdb.rows(`with top as (
        select "StockCode" from line where "StockCode" similar to '\\d{5}.*' group by 1 order by count(distinct "CustomerID") desc, 1 limit 300)
      select count(*)::int as lines, count(*) filter ("StockCode" in (from top))::int as fires, count(distinct "CustomerID")::int as users from line`);
    const days = daysBetween(DEMO_FIRST_DAY, DEMO_LAST_DAY);
    const adds = days.flatMap((day) => lines(root, 'segment-adds', day));
    const fires = days.flatMap((day) => lines(root, 'pixel-fires', day));
    expect({ lines: adds.length / 4, fires: fires.length, users: new Set(adds.map((line) => line.split(',')[0])).size }).toEqual(counted);
  });

  it('adds a customer to country, family, time of day and basket of each line, at the instant of the purchase', () => {
    const names = new Map(reference(root, 'segments.csv').map(([id = '', name = '', group = '']) => [id, `${group}: ${name}`]));
    // Invoice 536370 of a French customer: 20 lines for 855.86 at 08:45.
    const adds = lines(root, 'segment-adds', '2010-12-01').filter((line) => line.startsWith('12583,'));
    expect(adds).toHaveLength(4 * 20);
    expect(new Set(adds.map((line) => line.split(',')[2]))).toEqual(new Set(['2010-12-01T08:45:00Z']));
    const segments = new Set(adds.map((line) => names.get(line.split(',')[1] ?? '')));
    expect(segments).toContain('country: France');
    expect(segments).toContain('time of day: morning (5 to 12)');
    expect(segments).toContain('basket size: from 500');
    expect(segments).toContain('product family: clock');
  });

  it('knows products by their most frequent description and family; postage is none', () => {
    const pixels = reference(root, 'pixels.csv');
    expect(pixels).toHaveLength(300);
    expect(pixels[0]).toEqual(['1001', 'REGENCY CAKESTAND 3 TIER', 'cake stand']);
    expect(pixels.map(([, name]) => name)).not.toContain('POSTAGE');
    expect(pixels.map(([, , family]) => family)).not.toContain('other');
  });

  it('is not written twice', async () => {
    const before = digest(root);
    expect(await write()).toEqual({ written: false, days: 374 });
    expect(digest(root)).toBe(before);
  });

  it('is made whole after a kill half way, with the same bytes', async () => {
    const half = path.join(directory, 'half');
    cpSync(root, half, { recursive: true });
    rmSync(path.join(half, 'landing/segment-adds'), { recursive: true });
    rmSync(path.join(half, 'reference/pixels.csv'));
    mkdirSync(path.join(half, 'scratch/demo-of-a-killed-one'), { recursive: true });
    expect(await write(half)).toEqual({ written: true, days: 374 });
    expect(digest(half)).toBe(digest(root));
  }, 120_000);

  it('overwrites nothing that is not its own', async () => {
    const other = path.join(directory, 'other');
    mkdirSync(path.join(other, 'landing/pixel-fires/dt=2026-01-01'), { recursive: true });
    writeFileSync(path.join(other, 'landing/pixel-fires/dt=2026-01-01/part.csv'), 'mine');
    await expect(write(other)).rejects.toMatchObject({
      code: 'demo.data-taken',
      message: expect.stringContaining('landing/pixel-fires') as string,
    });
    renameSync(path.join(other, 'landing'), path.join(other, 'away'));
    mkdirSync(path.join(other, 'reference'));
    writeFileSync(path.join(other, 'reference/pixels.csv'), 'mine');
    await expect(write(other)).rejects.toMatchObject({
      code: 'demo.data-taken',
      message: expect.stringContaining('reference/pixels.csv') as string,
    });
    expect(readFileSync(path.join(other, 'reference/pixels.csv'), 'utf8')).toBe('mine');
    expect(existsSync(path.join(other, 'landing/pixel-fires'))).toBe(false);
    expect(readdirSync(path.join(other, 'scratch'))).toEqual([]);
  }, 120_000);
});

/** The rows of a day's file, without the header. */
function lines(root: string, source: string, day: string): string[] {
  const folder = path.join(root, 'landing', source, `dt=${day}`);
  const [name = ''] = readdirSync(folder);
  const bytes = readFileSync(path.join(folder, name));
  return (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString().split('\n').slice(1, -1);
}

/** The rows of a reference, without the header; none of them quotes a comma. */
function reference(root: string, file: string): string[][] {
  return readFileSync(path.join(root, 'reference', file), 'utf8')
    .split('\n')
    .slice(1, -1)
    .map((line) => line.split(','));
}

/** One hash over names and bytes of all landing files and references. */
function digest(root: string): string {
  const hash = createHash('sha256');
  for (const top of ['landing', 'reference']) {
    for (const name of (readdirSync(path.join(root, top), { recursive: true }) as string[]).sort()) {
      const file = path.join(root, top, name);
      if (statSync(file).isFile()) hash.update(`${top}/${name}\n`).update(readFileSync(file));
    }
  }
  return hash.digest('hex');
}
