import { columnsOf } from '../../pipelines/duckdb-sql';
import { engineText, isSparkVariant, sparkVariant } from '../../pipelines/engine-texts';
import { AlmanacError } from '../../pipelines/failures';
import { schemaFault } from '../../pipelines/output-sql';
import {
  hadoopUri,
  SPARK_ACCEPTED,
  sparkOrder,
  type SparkFault,
  type SparkResult,
  type SparkView,
  type SparkWritten,
} from '../../pipelines/spark-order';
import type { StageOutput } from '../../pipelines/types';
import type { StageBody, StageContext } from '../stage';
import type { DataFile } from '../storage/manifest';
import { dataFolder, jobPath } from '../storage/store-paths';
import { layoutsOf, type Input } from './compute-inputs';
import { commitVersion, computing, renderedText, stageOutput, timed, type Computation, type RenderedText } from './computation';
import type { PlacedOrder, SparkRunner } from './spark-runner';
import { writtenVersion, type WrittenVersion } from './written-version';

/** Lines of the job's statement before the text's first. */
const LINES_BEFORE = 1;

type Computed = Computation & RenderedText;

/** Computes on Spark whatever the stage declares; see {@link createComputeStage}. */
export function createSparkStage(runner: SparkRunner): StageBody {
  return computing((context, computation) => computeOnSpark(runner, context, computation));
}

/**
 * Computes a stage by one Spark job over pinned versions and commits what it wrote as one version, with the digest that DuckDB would have
 * come to. A text of `each: 'bucket'` is run once over all buckets: what it says of a row may depend on rows of its bucket only, and a
 * variant for Spark has to tell buckets apart where the output does not. Throws `compute.bucket` where there is none.
 */
export async function computeOnSpark(runner: SparkRunner, context: StageContext, computation: Computation): Promise<StageOutput> {
  const { inputs, dataset, key } = computation;
  refuseMergedBuckets(context, computation);
  const computed = { ...computation, ...(await renderedText(context, computation, 'spark')) };
  const end = await timed(context, `computed ${dataset} on Spark`, () =>
    runner.run(
      {
        run: context.run,
        stage: context.stage.id,
        attempt: context.attempt,
        candidate: key,
        maskValues: context.limits.maskValues,
        place: (round) => placeOrder(context, computed, round),
        log: (line) => context.log(line),
        point: (name) => context.point(name),
      },
      context.signal,
    ),
  );
  const written = await resultOf(context, computed, end.order);
  const version = await versionOf(context, computation, written);
  await context.point('computed');
  const manifest = await commitVersion(context, computation, 'spark', version);
  return { ...stageOutput(inputs, manifest), cpuSeconds: written.cpuSeconds, peakMemoryBytes: written.peakMemoryBytes };
}

/** Counts of two buckets would become one row where DuckDB writes two. */
function refuseMergedBuckets({ stage }: StageContext, { spec, output, dataset, usesBootstrap }: Computation): void {
  const text = engineText(stage, 'spark', usesBootstrap);
  if (spec.each !== 'bucket' || output.buckets !== undefined || text === undefined || isSparkVariant(text.file)) return;
  const variant = sparkVariant(text.file);
  throw new AlmanacError(
    'compute.bucket',
    `${text.file} is run bucket by bucket and ${dataset} has no buckets: Spark, which runs it over all at once, would merge their rows.`,
    {
      next: `Write ${variant} beside ${text.file}, which returns the rows of each bucket apart; or compute stage ${stage.id} with \`--engine duckdb\`.`,
      details: { dataset, text: text.file, variant },
    },
  );
}

/** Every attempt of the candidate writes the same order, so the first one's may stay. */
async function placeOrder({ store, window, limits }: StageContext, computation: Computed, round: number): Promise<PlacedOrder> {
  const { dataset, key, output, text, inputs } = computation;
  const path = (name: 'order' | 'token' | 'result'): string => jobPath(dataset, window.key, key, round, name);
  const place = (objectPath: string): string => store.place(objectPath);
  const order = sparkOrder({
    dataset: output,
    text,
    views: inputs.map((input) => viewOf(input, place)),
    places: { token: place(path('token')), result: place(path('result')), folder: place(dataFolder(dataset, window.key).slice(0, -1)) },
    prefix: `${key}-`,
    maskValues: limits.maskValues,
  });
  await store.putIfAbsent(path('order'), `${JSON.stringify(order, undefined, 2)}\n`);
  return { uri: hadoopUri(place(path('order'))), token: path('token'), result: path('result') };
}

function viewOf({ alias, spec, manifests }: Input, place: (objectPath: string) => string): SparkView {
  if (manifests.length === 0) return { alias, layouts: [{ columns: columnsOf(spec), files: [] }] };
  return {
    alias,
    layouts: layoutsOf(manifests).map(({ columns, files }) => ({ columns, files: files.map((file) => hadoopUri(place(file.path))) })),
  };
}

async function resultOf(context: StageContext, computation: Computed, order: PlacedOrder): Promise<SparkWritten> {
  const body = await context.store.get(order.result);
  if (body === undefined) throw lost(computation, `${context.store.place(order.result)} is not there`);
  const { written, fault } = JSON.parse(body.toString('utf8')) as SparkResult;
  if (fault) throw faultOf(context, computation, fault);
  if (written === undefined) throw lost(computation, `${context.store.place(order.result)} tells of no rows`);
  return written;
}

async function versionOf(context: StageContext, computation: Computation, written: SparkWritten): Promise<WrittenVersion> {
  const { output, dataset } = computation;
  const folder = dataFolder(dataset, context.window.key);
  const files: DataFile[] = written.files.map(({ name, ...file }) => ({ path: `${folder}${name}`, ...file }));
  const stored = new Map((await context.store.list(folder)).map(({ path, bytes }) => [path, bytes]));
  const missing = files.find(({ path, bytes }) => stored.get(path) !== bytes);
  if (missing) throw lost(computation, `${missing.path} is not there with its ${missing.bytes} bytes`);
  const { digest, profiles, duplicateKeys = 0 } = written;
  const columns = Object.fromEntries(columnsOf(output).map(({ name }, at) => [name, profiles[at] ?? { nulls: 0, min: null, max: null }]));
  if (duplicateKeys > 0) context.log(`${dataset} has ${duplicateKeys} rows whose key another row has`);
  return writtenVersion(output, { digest, rows: Number(digest.rows), columns }, files, output.key && duplicateKeys);
}

function faultOf({ limits }: StageContext, { textName, dataset, output }: Computed, fault: SparkFault): AlmanacError {
  if (fault.kind === 'schema') {
    const returned = fault.returned.map(({ name, type }) => ({ column_name: name, column_type: type }));
    const sentence = schemaFault(textName, dataset, columnsOf(output), returned, SPARK_ACCEPTED);
    return new AlmanacError('compute.schema', sentence ?? `${textName} does not return the columns of ${dataset}.`, {
      next: `Correct the select list of ${textName}, or the columns of ${dataset} in its pipeline, then retry the stage.`,
      details: { dataset, text: textName, returned: fault.returned },
    });
  }
  const message = fault.message.replace(/\bline (\d+)\b/, (_, line: string) => `line ${Math.max(1, Number(line) - LINES_BEFORE)}`).trim();
  // What Spark says of a value quotes it; the class in front does not.
  const shown = fault.kind === 'value' && limits.maskValues === true ? (/^\[[A-Z_.]+\]/.exec(message)?.[0] ?? 'a value failed') : message;
  return new AlmanacError('engine.sql', `${textName}: ${shown}`, {
    next: `Correct ${textName}, then retry the stage.`,
    details: { statement: textName, spark: shown },
  });
}

function lost({ dataset }: Computation, what: string): AlmanacError {
  return new AlmanacError('engine.lost', `The Spark job that computed ${dataset} is done, but ${what}.`, {
    next: 'Start the run anew with `--again`: its stages are computed from their inputs.',
    details: { dataset },
  });
}
