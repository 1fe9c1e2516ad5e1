import { randomUUID } from 'node:crypto';
import { copyFile, mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Engine, EngineSession, SessionLimits } from '../activities/compute/engine';
import { packageRoot } from '../lib/package-root';
import { quoteText } from '../pipelines/quote-sql';
import { renderSql } from '../pipelines/sql-text';
import { isOurs, placeReference, placeSource, readIfThere } from './demo-places';

/** The dates of the data, both included; every one of them gets a landing folder, days without sales an empty one. */
export const DEMO_FIRST_DAY = '2010-12-01';
export const DEMO_LAST_DAY = '2011-12-09';

const LIMITS: SessionLimits = { memoryBytes: 1e9, threads: 2 };
/** Lies in a landing folder that the demo wrote, and says whose data it is. */
const ATTRIBUTION = 'ATTRIBUTION.md';

/** A source's folder, the columns of its rows and how its day files are packed: both kinds are read alike. */
const SOURCES = [
  { source: 'pixel-fires', table: 'pixel_fires', id: 'pixel_id', file: 'part.csv', compression: 'none' },
  { source: 'segment-adds', table: 'segment_adds', id: 'segment_id', file: 'part.csv.gz', compression: 'gzip' },
] as const;

const REFERENCES = [
  { file: 'segments.csv', rows: 'select segment_id, segment_name, segment_group from segments order by segment_id' },
  { file: 'pixels.csv', rows: 'select pixel_id, pixel_name, advertiser from pixels order by pixel_id' },
] as const;

export interface DemoLandingInput {
  /** Absolute root of the object store. */
  readonly root: string;
  readonly engine: Engine;
  readonly signal: AbortSignal;
}

export interface DemoLanding {
  /** False when everything lay there already and nothing was computed. */
  readonly written: boolean;
  readonly days: number;
}

/**
 * Writes the Online Retail invoices as landing data of `audience-index`, the same bytes on every machine: each folder and
 * reference is made in scratch and moved into place whole, so it may be killed and called again. Nothing is overwritten:
 * throws `demo.data-taken` when other data lie in its places.
 */
export async function writeDemoLanding({ root, engine, signal }: DemoLandingInput): Promise<DemoLanding> {
  const days = daysBetween(DEMO_FIRST_DAY, DEMO_LAST_DAY);
  const attribution = await readFile(demoFile(ATTRIBUTION));
  const present = await Promise.all(SOURCES.map(({ source }) => isOurs(root, source, { file: ATTRIBUTION, content: attribution })));
  const references = await Promise.all(REFERENCES.map(({ file }) => readIfThere(path.join(root, 'reference', file))));
  if (present.every(Boolean) && references.every((content) => content !== undefined)) return { written: false, days: days.length };

  const scratch = path.join(root, 'scratch', `demo-${randomUUID()}`);
  try {
    await mkdir(path.join(scratch, 'reference'), { recursive: true });
    await engine.session(LIMITS, signal, async (session) => {
      await convert(session);
      for (const { file, rows } of REFERENCES) {
        const made = path.join(scratch, 'reference', file);
        await copyRows(session, rows, made, 'none');
        await placeReference(root, made, file);
      }
      for (const [n, { source, table, id, file, compression }] of SOURCES.entries()) {
        if (present[n]) continue;
        for (const day of days) {
          const folder = path.join(scratch, source, `dt=${day}`);
          await mkdir(folder, { recursive: true });
          const rows = `select user_id, ${id}, strftime(ts, '%Y-%m-%dT%H:%M:%SZ') as ts from ${table} where ts >= timestamp '${day}' and ts < timestamp '${day}' + interval 1 day order by ts, user_id, ${id}`;
          await copyRows(session, rows, path.join(folder, file), compression);
        }
      }
    });
    for (const [n, { source }] of SOURCES.entries()) {
      if (present[n]) continue;
      await copyFile(demoFile(ATTRIBUTION), path.join(scratch, source, ATTRIBUTION));
      await placeSource(root, path.join(scratch, source), source, { file: ATTRIBUTION, content: attribution });
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return { written: true, days: days.length };
}

/** Every date from `first` to `last`, both included, as `YYYY-MM-DD`. */
export function daysBetween(first: string, last: string): string[] {
  const days: string[] = [];
  for (let at = Date.parse(`${first}T00:00:00Z`); at <= Date.parse(`${last}T00:00:00Z`); at += 86_400_000) {
    days.push(new Date(at).toISOString().slice(0, 10));
  }
  return days;
}

function demoFile(name: string): string {
  return path.join(packageRoot(), 'demo', 'online-retail', name);
}

async function convert(session: EngineSession): Promise<void> {
  const text = await readFile(demoFile('landing.sql'), 'utf8');
  const values = { archive: demoFile('online_retail.csv.gz'), families: demoFile('families.csv') };
  await session.exec(renderSql(text, values, 'demo/online-retail/landing.sql'));
}

async function copyRows(session: EngineSession, rows: string, file: string, compression: 'none' | 'gzip'): Promise<void> {
  await session.exec(`copy (${rows}) to ${quoteText(file)} (format csv, header true, compression ${quoteText(compression)})`);
}
