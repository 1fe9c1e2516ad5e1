import '../../support/one-realm';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { computeStage } from '../../../activities/compute/compute-stage';
import { createDuckDbEngine } from '../../../activities/compute/duckdb-engine';
import { createSparkStage } from '../../../activities/compute/spark-stage';
import type { SparkRunner } from '../../../activities/compute/spark-runner';
import type { StageBody } from '../../../activities/stage';
import { createLocalStore } from '../../../activities/storage/local-store';
import type { ObjectStore } from '../../../activities/storage/object-store';
import { createS3Store } from '../../../activities/storage/s3-store';
import { s3Client } from '../../../lib/aws';
import { readConfig } from '../../../lib/config';
import { daysBetween, writeDemoLanding } from '../../../operator/demo-landing';
import { audienceIndex } from '../../../pipelines/audience-index/pipeline';
import { listenerProfiles } from '../../../pipelines/listener-profiles/pipeline';
import { organicShare } from '../../../pipelines/organic-share/pipeline';
import { s3aSettings } from '../../../pipelines/spark-settings';
import type { PipelineSpec } from '../../../pipelines/types';
import { writeLanding } from '../../support/landing-files';
import { LocalSpark, WarmSpark } from '../../support/local-spark';
import { PipelineBench, type BenchRun } from '../../support/pipeline-bench';
import { randomAcquisitions } from '../../support/random-acquisitions';
import { randomLanding } from '../../support/random-landing';
import { CUSTOMERS, randomPlays } from '../../support/random-plays';
import { describeOn, sharedData } from '../../support/shared-data';
import { SparkSession } from '../../support/spark';
import { testBucket, type TestBucket } from '../../support/versitygw';

const SEED = Number(process.env.ALMANAC_TEST_SEED ?? '20261122');
/** More than thirty, so that memberships lapse. */
const DAYS = 33;

let bucket: TestBucket;
let spark: SparkSession;
/** Settings of whatever runs jobs over the bucket. */
let settings: Record<string, string>;
beforeAll(async () => {
  bucket = await testBucket();
  Object.assign(process.env, bucket.environment);
  settings = s3aSettings({ endpoint: bucket.endpoint, region: bucket.region, pathStyle: true });
  spark = new SparkSession({ settings });
});
afterAll(async () => {
  await spark[Symbol.asyncDispose]();
  await bucket[Symbol.asyncDispose]();
});

/** A store of its own below the bucket. */
function objects(name: string): (folder: string) => ObjectStore {
  const { s3 } = readConfig({ ...bucket.settings, ALMANAC_DATA: `s3://${bucket.bucket}/${name}` }, path.sep);
  if (s3 === undefined) throw new Error('the settings name no bucket');
  return (folder) => createS3Store(s3Client(s3), s3, folder);
}

/** What a run told of each stage, whoever computed it. */
function told({ outputs }: BenchRun): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(outputs).map(([id, { versions, rowsIn, rowsOut, quarantined, gate }]) => [
      id,
      { rowsIn, rowsOut, quarantined, gate, digests: versions.map(({ dataset, window, digest }) => `${dataset}@${window} ${digest}`) },
    ]),
  );
}

interface Step {
  readonly window: string;
  /** Of the state, from all that landed. */
  readonly bootstrap?: boolean;
  /** Lands what is there by then. */
  readonly land: (bench: PipelineBench) => Promise<void> | void;
}

/** Runs windows on DuckDB over files, on DuckDB over S3 and on Spark over S3, and holds each to the first. */
async function sameEverywhere(
  spec: PipelineSpec,
  name: string,
  steps: readonly Step[],
  runner = (_: ObjectStore): SparkRunner => new WarmSpark(spark),
) {
  const benches: PipelineBench[] = [];
  try {
    const store = objects(`${name}-spark`);
    let onSpark: StageBody | undefined;
    const arms: [(folder: string) => ObjectStore, StageBody][] = [
      [createLocalStore, computeStage],
      [objects(`${name}-duckdb`), computeStage],
      [store, (context) => (onSpark ??= createSparkStage(runner(context.store)))(context)],
    ];
    for (const [open, compute] of arms) benches.push(await PipelineBench.open(spec, {}, open, compute));
    for (const { window, bootstrap, land } of steps) {
      const runs: { bench: PipelineBench; run: BenchRun }[] = [];
      for (const [at, bench] of benches.entries()) {
        await land(bench);
        if (at > 0) await bench.land();
        runs.push({ bench, run: await bench.run(window, bootstrap) });
      }
      const [first, ...others] = runs;
      for (const { bench, run } of others) {
        expect(told(run)).toEqual(told(first?.run ?? run));
        for (const dataset of Object.keys(run.versions))
          expect(await bench.rows(run.versions[dataset])).toEqual(await first?.bench.rows(first.run.versions[dataset]));
      }
      const engines = runs.map(({ run }) => new Set(Object.values(run.outputs).map(({ engine }) => engine)));
      expect(engines.map((found) => found.has('spark'))).toEqual([false, false, true]);
    }
  } finally {
    for (const bench of benches) await bench[Symbol.asyncDispose]();
  }
}

test('days of the audience index, from a bootstrap on, have the same rows and digests everywhere', async () => {
  const landing = randomLanding(SEED, DAYS);
  const landed = new Set<PipelineBench>();
  const land = async (bench: PipelineBench): Promise<void> => {
    if (!landed.has(bench)) await writeLanding(landing, path.join(bench.root, 'data'));
    landed.add(bench);
  };
  const days = landing.days.slice(-2).map(({ date }, n) => ({ window: date, bootstrap: n === 0, land }));
  // One job begins as every job does where nobody keeps a session.
  const runner = (store: ObjectStore): SparkRunner => {
    const [submitted, warm] = [new LocalSpark(store, undefined, settings), new WarmSpark(spark)];
    return {
      run: (work, signal) =>
        work.stage === 'countOverlaps' && work.run.window === days[1]?.window ? submitted.run(work, signal) : warm.run(work),
    };
  };
  await sameEverywhere(audienceIndex, 'audience', days, runner);
});

test('days of the audience index on real purchases have the same rows and digests everywhere', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'almanac-purchases-'));
  const engine = createDuckDbEngine({ scratch: path.join(directory, 'spill'), maxChildren: 1 });
  try {
    await writeDemoLanding({ root: directory, engine, signal: new AbortController().signal });
    const put = (dates: readonly string[]) => (bench: PipelineBench) => {
      const folders = dates.flatMap((date) => ['pixel-fires', 'segment-adds'].map((source) => `landing/${source}/dt=${date}`));
      for (const folder of ['reference', ...folders])
        for (const file of readdirSync(path.join(directory, folder)))
          bench.put(`${folder}/${file}`, readFileSync(path.join(directory, folder, file)));
    };
    await sameEverywhere(audienceIndex, 'purchases', [
      { window: '2011-11-30', bootstrap: true, land: put(daysBetween('2011-11-10', '2011-11-30')) },
      { window: '2011-12-01', land: put(['2011-12-01']) },
    ]);
  } finally {
    await engine.close();
    rmSync(directory, { recursive: true });
  }
});

test('days of listeners, with late files and early events, have the same rows and digests everywhere', async () => {
  const put = (dates: readonly string[]) => (bench: PipelineBench) => {
    bench.put('reference/cust.csv', CUSTOMERS);
    for (const date of dates) for (const { path: file, body } of randomPlays(SEED, date, Number(date.slice(-2)))) bench.put(file, body);
  };
  await sameEverywhere(listenerProfiles, 'listeners', [
    { window: '2014-10-01', land: put(['2014-10-01']) },
    { window: '2014-10-03', land: put(['2014-10-02', '2014-10-03']) },
  ]);
});

test('weeks of shares, over a new year, have the same rows and digests everywhere', async () => {
  const put = (date: string) => (bench: PipelineBench) =>
    bench.put(`landing/acquisitions/dt=${date}/extract.csv`, randomAcquisitions(SEED, date));
  await sameEverywhere(organicShare, 'shares', [
    { window: '2021-W01', land: put('2021-01-10') },
    { window: '2021-W03', land: put('2021-01-24') },
  ]);
});

describeOn(sharedData('organic-share'), 'on the real sample of acquisitions', (sample) => {
  test('a week of shares has the same rows and digests everywhere', async () => {
    const extract = readFileSync(path.join(sample, 'sample.parquet'));
    const land = (bench: PipelineBench): void => bench.put('landing/acquisitions/dt=2021-12-13/sample.parquet', extract);
    await sameEverywhere(organicShare, 'real-shares', [{ window: '2021-W50', land }]);
  });
});

describeOn(sharedData('listeners'), 'on the real events of listeners', (sample) => {
  test('a day has the same rows and digests everywhere', async () => {
    const land = (bench: PipelineBench): void => {
      bench.put('landing/tracks/dt=2014-12-30/tracks.csv', readFileSync(path.join(sample, 'tracks_head_22941.csv')));
      bench.put('reference/cust.csv', readFileSync(path.join(sample, 'cust.csv')));
    };
    await sameEverywhere(listenerProfiles, 'real-listeners', [{ window: '2014-12-30', land }]);
  });
});
