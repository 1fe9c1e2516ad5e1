import { readdirSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { createComputeStage } from '../../../activities/compute/choose-engine';
import { packageRoot } from '../../../lib/package-root';
import { audienceIndex } from '../../../pipelines/audience-index/pipeline';
import { listenerProfiles } from '../../../pipelines/listener-profiles/pipeline';
import { organicShare } from '../../../pipelines/organic-share/pipeline';
import { readDataset } from '../../../pipelines/reads';
import { renderSql, type SqlValue } from '../../../pipelines/sql-text';
import type { EngineName, PipelineSpec, StageOutput, VersionRef } from '../../../pipelines/types';
import { parseWindow } from '../../../pipelines/window';
import { WarmSpark } from '../../support/local-spark';
import { IDS, nastyRows, orNull, someOf, TEXTS, type Value } from '../../support/nasty-rows';
import { textOf } from '../../support/pipeline-bench';
import { Random } from '../../support/random';
import { SparkSession } from '../../support/spark';
import { StageHarness, type StageRequest } from '../../support/stage-harness';

const SEED = Number(process.env.ALMANAC_TEST_SEED ?? '20261122');
const ROWS = 400;
const DAY = parseWindow({ every: 'day', timezone: 'UTC' }, '2026-11-20');

const amounts = someOf(['0', '1', '2', '7', '1000000', '123456789']);
/** Ids that were counted lie in even hundreds, new ones in odd ones, or at the end of all. */
const events: Value = (random) => (random.chance(0.05) ? '9223372036854775807' : String(random.below(2000)));
const news: Value = (random) => (random.chance(0.05) ? '9223372036854775807' : String(200 * random.below(10) + 100 + random.below(100)));
const COUNTS = Object.fromEntries(
  ['users', 'plays', 'unique_tracks', 'night', 'morning', 'afternoon', 'evening', 'mobile', 'organic', 'other'].map((name) => [
    name,
    amounts,
  ]),
);

const MEASURES = ['segment_pixel', 'segment', 'group_pixel', 'group', 'pixel'];

/** What the columns of a dataset hold, where anything of their type would not do. */
const VALUES: Readonly<Record<string, Readonly<Record<string, Value>>>> = {
  segments: { segment_name: orNull(someOf(TEXTS)), segment_group: orNull(someOf(TEXTS)) },
  pixels: { pixel_name: orNull(someOf(TEXTS)), advertiser: orNull(someOf(TEXTS)) },
  overlap_counts: {
    ...COUNTS,
    measure: someOf(MEASURES),
    segment_group: someOf(TEXTS.slice(0, 4)),
    // A segment's users are among those of its group.
    users: (random, { measure = '' }) => String((1 + random.below(9)) * 1000 ** MEASURES.indexOf(measure)),
  },
  tracks: { event: events },
  new_plays: { event: news },
  counted_events: {
    first_event: (random) => String(200 * random.below(10) + random.below(50)),
    last_event: (random, { first_event = '0' }) => String(200 * Math.floor(Number(first_event) / 200) + 50 + random.below(50)),
  },
  waiting_plays: { event: events },
  listens: COUNTS,
  customer_plays: COUNTS,
  listener_profiles: COUNTS,
  // Few keys, so that many rows are inserted at once.
  acquisitions: {
    name: someOf(['Organic', ...TEXTS.slice(5, 9)]),
    value: someOf(['0', '-0.0', '0.1', '1e-7', '1e7', '1e16', '1e300', '12.5', '3', 'nan', 'inf']),
    start_date: someOf(['2026-11-16', '2026-11-20', '2026-11-21']),
    dataplatform_inserted_at: someOf(['2026-11-20 00:00:00', '2026-11-20 00:00:00.000001']),
    country: someOf(['FR', 'ALL', '']),
    os_name: someOf(['all', 'ios']),
  },
  staged_acquisitions: {
    name: someOf(['Organic', ...TEXTS]),
    os_name: someOf(['all', 'all', 'ios', '']),
    country: someOf(['FR', 'ALL', 'de', '']),
  },
  organic_share: {
    year: someOf(['2025', '2026', '2027']),
    week: (random) => String(1 + random.below(53)),
    country: someOf(['FR', 'ALL', 'de', '']),
    share_organic_p4w: orNull((random) => String(random.below(17) / 16)),
  },
};

const PIPELINES = [audienceIndex, listenerProfiles, organicShare];
const cases = PIPELINES.flatMap((spec) =>
  Object.entries(spec.stages).flatMap(([stage, compute]) =>
    compute.kind === 'compute'
      ? [compute.sql, compute.bootstrap].flatMap((sql) => (sql === undefined ? [] : [{ id: spec.id, sql, spec, stage, compute }]))
      : [],
  ),
);

let spark: SparkSession;
const harnesses = new Map<string, StageHarness>();
beforeAll(() => {
  spark = new SparkSession();
  for (const { id, datasets } of PIPELINES) harnesses.set(id, new StageHarness(datasets));
});
afterAll(async () => {
  for (const harness of harnesses.values()) await harness[Symbol.asyncDispose]();
  await spark[Symbol.asyncDispose]();
});

let generation = 0;

test.each(cases)('$id/sql/$sql comes to the same rows on either engine', async ({ id, sql, spec, compute }) => {
  const harness = harnesses.get(id);
  if (harness === undefined) throw new Error(`no harness of ${id}`);
  const random = new Random(SEED ^ sql.length);
  for (const rows of [ROWS, 0]) {
    const inputs: Record<string, VersionRef> = {};
    for (const read of Object.values(compute.reads ?? {})) {
      const dataset = readDataset(read);
      const { [dataset]: declared } = spec.datasets;
      if (declared === undefined) throw new Error(`${id} has no dataset ${dataset}`);
      inputs[dataset] = await harness.version(dataset, nastyRows(random, declared, DAY, rows, VALUES[dataset]));
    }
    const reads = Object.fromEntries(Object.entries(compute.reads ?? {}).map(([alias, read]) => [alias, readDataset(read)]));
    const request = (engine: EngineName): StageRequest => ({
      ...{ spec: { ...compute, reads, sql }, texts: textsOf(spec), inputs, engine, generation: (generation += 1) },
    });
    const compared = createComputeStage(new WarmSpark(spark));
    const duckdb = await compared(harness.context(request('duckdb')));
    const onSpark = await compared(harness.context(request('spark')));
    expect(await harness.rows(onSpark.versions[0])).toEqual(await harness.rows(duckdb.versions[0]));
    expect(await told(harness, onSpark)).toEqual(await told(harness, duckdb));
  }
});

test('a value of a placeholder is the same value on either engine', async () => {
  const numbers = fc.sample(fc.double({ noNaN: true, noDefaultInfinity: true }), 100).filter((number) => !Object.is(number, -0));
  const texts = fc.sample(
    fc.string({ unit: fc.constantFrom("'", '\\', '"', '`', '$', '{', '}', '\n', '\r', '\t', '%', 'u0041', '--', '/*', '😀', 'x') }),
    100,
  );
  const given: SqlValue[] = [
    ...TEXTS,
    ...texts,
    ...numbers,
    0.05,
    1e21,
    5e-324,
    -7,
    2 ** 53 - 1,
    ...IDS.map(BigInt),
    true,
    null,
    { date: '2024-02-29' },
  ];
  for (const instant of ['2026-11-20T23:59:59.999999Z', '1969-12-31T23:59:59Z', '1582-10-04T00:00:00Z']) given.push({ timestamp: instant });
  const select = (engine: EngineName): string =>
    renderSql(
      given.map((_, n) => `$v${n} as v${n}`).join(', '),
      Object.fromEntries(given.map((value, n) => [`v${n}`, value])),
      'values',
      engine,
    );
  const [harness] = harnesses.values();
  const duckdb = await harness?.engine.session({ memoryBytes: 1e9, threads: 1 }, new AbortController().signal, (session) =>
    session.rows(`select ${select('duckdb')}`),
  );
  const onSpark = await spark.rows(`select ${select('spark')}`);
  expect(onSpark).toEqual(duckdb);
  expect(Object.values(onSpark[0] ?? {}).slice(0, TEXTS.length + texts.length + numbers.length)).toEqual([...TEXTS, ...texts, ...numbers]);
});

/** The texts of a pipeline by their names. */
function textsOf(spec: PipelineSpec): Record<string, string> {
  const names = readdirSync(path.join(packageRoot(), 'pipelines', spec.id, 'sql'));
  return Object.fromEntries(names.map((name) => [name, textOf(spec, name)]));
}

/** What a manifest says of the rows, whoever wrote them. */
async function told(harness: StageHarness, { versions: [ref] }: StageOutput): Promise<Record<string, unknown>> {
  if (ref === undefined) throw new Error('the stage wrote no version');
  const { digest, columns, rows, minKey, maxKey, profile } = await harness.datasets.manifest(ref);
  return { digest, columns, rows, profile, ...(minKey && { minKey, maxKey }) };
}
