import { rm } from 'node:fs/promises';
import type { Engine, SessionLimits } from '../activities/compute/engine';
import { VersionWriter } from '../activities/compute/version-writer';
import type { DatasetStore } from '../activities/storage/dataset-store';
import type { ObjectStore } from '../activities/storage/object-store';
import { audienceIndex } from '../pipelines/audience-index/pipeline';
import { bucketExpression } from '../pipelines/bucket-sql';
import type { DatasetSpec, RunRef, VersionRef } from '../pipelines/types';

export const BENCH_WINDOW = { key: '2026-11-20', start: '2026-11-20T00:00:00Z', end: '2026-11-21T00:00:00Z' };
/** Another one when the generated rows change, so that a cached set of them is not taken for these. */
const GENERATOR = 'g1';
const DAY_BEFORE = '2026-11-19';
const SEGMENTS = 500;
const GROUPS = 20;
const PIXELS = 200;
const SEGMENTS_OF_USER = 5;
const VISITS_OF_USER = 3;

/** Rows of each input by dataset, as SQL; the same rows every time. One user in five has visits, three each. */
function selects(rows: number): Record<string, { sql: string; window: string }> {
  const users = Math.max(1, Math.floor(rows / SEGMENTS_OF_USER));
  const user = (n: string): string => `printf('%016x', hash(${n}))`;
  const segment = (n: string, seed: number): string => `(hash(${n}, ${seed}) % ${SEGMENTS})::BIGINT`;
  const second = (n: string, seed: number, span: number): string => `to_seconds((hash(${n}, ${seed}) % ${span})::BIGINT)`;
  const days = (count: number): number => count * 86_400;
  return {
    udb: {
      window: DAY_BEFORE,
      // Five different segments of a user lie 100 apart, so keys are unique.
      sql: `select ${user(`range // ${SEGMENTS_OF_USER}`)} as user_id, (hash(range // ${SEGMENTS_OF_USER}, 1) % 100 + range % ${SEGMENTS_OF_USER} * 100)::BIGINT as segment_id,
        timestamp '2026-10-21' + ${second('range', 2, days(15))} as first_added_at, timestamp '2026-11-05' + ${second('range', 3, days(15))} as last_added_at from range(${users * SEGMENTS_OF_USER})`,
    },
    segment_adds: {
      window: BENCH_WINDOW.key,
      sql: `select ${user(`hash(range, 4) % ${Math.ceil(users * 1.05)}`)} as user_id, ${segment('range', 5)} as segment_id,
        timestamp '2026-11-20' + ${second('range', 6, days(1))} as ts from range(${Math.floor(rows / 5)})`,
    },
    site: {
      window: BENCH_WINDOW.key,
      sql: `select ${user(`range // ${VISITS_OF_USER} * 5`)} as user_id, (range % ${VISITS_OF_USER} * 60 + hash(range, 7) % 60)::BIGINT as pixel_id,
        timestamp '2026-10-25' + ${second('range', 8, days(12))} as first_fired_at, timestamp '2026-11-06' + ${second('range', 9, days(14))} as last_fired_at from range(${Math.floor(users / 5) * VISITS_OF_USER})`,
    },
    segments: {
      window: BENCH_WINDOW.key,
      sql: `select range::BIGINT as segment_id, 'segment ' || range as segment_name, 'group ' || range % ${GROUPS} as segment_group from range(${SEGMENTS})`,
    },
    pixels: {
      window: BENCH_WINDOW.key,
      sql: `select range::BIGINT as pixel_id, 'pixel ' || range as pixel_name, 'advertiser ' || range % 10 as advertiser from range(${PIXELS})`,
    },
  };
}

/** The input versions of the benchmark, generated into the store once. */
export async function benchInputs(
  services: { store: ObjectStore; datasets: DatasetStore; engine: Engine },
  limits: SessionLimits,
  rows: number,
): Promise<Record<string, VersionRef>> {
  const versions: Record<string, VersionRef> = {};
  for (const [dataset, { sql, window }] of Object.entries(selects(rows))) {
    const spec = (audienceIndex.datasets as Readonly<Record<string, DatasetSpec>>)[dataset];
    if (spec === undefined) throw new Error(`audience-index has no dataset ${dataset}`);
    const key = `${GENERATOR}-${rows}`;
    const known = await services.datasets.find(dataset, window, key);
    const manifest = known ?? (await generate(services, limits, { dataset, spec, window, key, sql }));
    versions[dataset === 'udb' ? 'previous:udb' : dataset] = { dataset, window, version: manifest.version, digest: manifest.digest };
  }
  return versions;
}

async function generate(
  { store, datasets, engine }: { store: ObjectStore; datasets: DatasetStore; engine: Engine },
  limits: SessionLimits,
  { dataset, spec, window, key, sql }: { dataset: string; spec: DatasetSpec; window: string; key: string; sql: string },
): Promise<{ version: string; digest: string }> {
  const scratch = await store.scratch();
  try {
    const written = await engine.session(limits, new AbortController().signal, async (session) => {
      await session.exec(`create table generated as ${sql}`);
      const writer = new VersionWriter(session, spec, scratch);
      if (spec.buckets === undefined) await writer.write('from generated');
      for (let bucket = 0; bucket < (spec.buckets?.count ?? 0); bucket++) {
        await writer.write(`from generated where ${bucketExpression(spec.buckets?.by ?? '', spec.buckets?.count ?? 1)} = ${bucket}`, {
          bucket,
        });
      }
      const { measured, ...version } = await writer.finish();
      if (!measured.keysUnique) throw new Error(`the generated rows of ${dataset} repeat a key`);
      return version;
    });
    const run: RunRef = { pipeline: audienceIndex.id, window, branch: 'main', generation: 1 };
    return await datasets.commit({
      ...written,
      dataset,
      window,
      key,
      rowsIn: 0,
      provenance: { run, stage: 'generated', attempt: 1, stageHash: key, inputs: [] },
    });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
