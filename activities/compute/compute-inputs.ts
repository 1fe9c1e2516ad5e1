import { bucketExpression } from '../../pipelines/bucket-sql';
import { columnsOf, versionSelect, type Column } from '../../pipelines/duckdb-sql';
import { AlmanacError } from '../../pipelines/failures';
import { quoteName } from '../../pipelines/quote-sql';
import type { ComputeSpec, DatasetSpec, VersionRef } from '../../pipelines/types';
import type { StageContext } from '../stage';
import type { DatasetStore } from '../storage/dataset-store';
import type { Manifest } from '../storage/manifest';

export type Buckets = NonNullable<DatasetSpec['buckets']>;

/** One alias of the text with the version it stands for; no manifest means an empty predecessor. */
export interface Input {
  readonly alias: string;
  readonly spec: DatasetSpec;
  readonly ref?: VersionRef;
  readonly manifest?: Manifest;
}

/** Rows of one pass of the text: how many there are to read, and the view of each alias over them. */
export interface PassViews {
  readonly rows: number;
  readonly sql: string;
}

/** What resolving needs of a stage's context; a reproduction has no more. */
type InputContext = Pick<StageContext, 'plan' | 'stage' | 'inputs'> & { readonly datasets: Pick<DatasetStore, 'manifest'> };

/** Resolves what the stage reads to pinned versions. `withoutPrevious`: the text computes from landing data alone. */
export async function resolveInputs(context: InputContext, spec: ComputeSpec, withoutPrevious: boolean): Promise<Input[]> {
  return Promise.all(
    Object.entries(spec.reads ?? {}).map(async ([alias, read]) => {
      const dataset = typeof read === 'string' ? read : read.previous;
      const declared = context.plan.datasets[dataset];
      if (declared === undefined) throw broken(context, `reads the dataset ${dataset}, which its plan does not declare`);
      if (typeof read !== 'string' && read.since !== undefined) {
        const ref = await carriedVersion(context, read.previous, read.since);
        return ref === undefined
          ? { alias, spec: declared }
          : { alias, spec: declared, ref, manifest: await context.datasets.manifest(ref) };
      }
      if (typeof read !== 'string' && withoutPrevious) return { alias, spec: declared };
      const ref = context.inputs[typeof read === 'string' ? dataset : `previous:${dataset}`];
      // The first window of a chain has no predecessor; any other run pinned one when it was claimed.
      if (ref === undefined && typeof read !== 'string') return { alias, spec: declared };
      if (ref === undefined) throw broken(context, `reads ${dataset}, of which this run has no version`);
      return { alias, spec: declared, ref, manifest: await context.datasets.manifest(ref) };
    }),
  );
}

/** The version that was accepted with what the ingest of `since` goes on from; undefined when it read everything. */
async function carriedVersion(context: InputContext, dataset: string, since: string): Promise<VersionRef | undefined> {
  const read = context.inputs[since];
  if (read === undefined) throw broken(context, `reads what ${since} goes on from, and this run has no version of ${since}`);
  return (await context.datasets.manifest(read)).provenance.since?.find((version) => version.dataset === dataset);
}

function broken(context: InputContext, what: string): AlmanacError {
  return new AlmanacError('internal', `The stage ${context.stage.id} ${what}.`, {
    next: '`almanac show RUN` names the stages that are not done; retry the one that writes it.',
  });
}

/** How the passes of a stage are cut: as its output is, else as the first bucketed input is; undefined for one pass over everything. */
export function bucketsOfPasses(spec: ComputeSpec, output: DatasetSpec, inputs: readonly Input[]): Buckets | undefined {
  if (spec.each !== 'bucket') return undefined;
  return output.buckets ?? inputs.map((input) => input.spec.buckets).find((buckets) => buckets !== undefined);
}

/** The views of one pass: bucketed inputs restricted to the bucket, others whole. */
export function passViews(
  inputs: readonly Input[],
  pass: { buckets: Buckets; bucket: number } | undefined,
  readable: (path: string) => string,
): PassViews {
  let rows = 0;
  const views = inputs.map((input) => {
    const cut = pass && input.spec.buckets?.by === pass.buckets.by ? pass : undefined;
    const select = inputSelect(input, cut, readable);
    rows += select.rows;
    return `create or replace view ${quoteName(input.alias)} as ${select.sql}`;
  });
  return { rows, sql: views.join(';\n') };
}

function inputSelect(
  { spec, manifest }: Input,
  cut: { buckets: Buckets; bucket: number } | undefined,
  readable: (path: string) => string,
): PassViews {
  const columns: readonly Column[] = manifest?.columns ?? columnsOf(spec);
  const all = manifest?.files ?? [];
  const written = manifest?.buckets;
  const byFile = cut !== undefined && written?.by === cut.buckets.by && written.count === cut.buckets.count;
  const files = byFile ? all.filter((file) => file.bucket === cut.bucket) : all;
  // A version written before the number of buckets changed is cut row by row, once, by the first run that carries it on.
  const where = cut === undefined || byFile ? undefined : `${bucketExpression(cut.buckets.by, cut.buckets.count)} = ${cut.bucket}`;
  return {
    rows: files.reduce((sum, file) => sum + file.rows, 0),
    sql: versionSelect(
      columns,
      files.map((file) => readable(file.path)),
      where,
    ),
  };
}
