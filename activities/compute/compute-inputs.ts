import { bucketExpression } from '../../pipelines/bucket-sql';
import { canonicalJson } from '../../pipelines/canonical';
import { columnsOf, versionSelect } from '../../pipelines/duckdb-sql';
import { AlmanacError } from '../../pipelines/failures';
import { sensersOf } from '../../pipelines/graph';
import { quoteName } from '../../pipelines/quote-sql';
import { isSensed, readDataset } from '../../pipelines/reads';
import type { ComputeSpec, DatasetSpec, PreviousRead, VersionRef } from '../../pipelines/types';
import type { StageContext } from '../stage';
import type { DatasetStore } from '../storage/dataset-store';
import type { Manifest } from '../storage/manifest';

export type Buckets = NonNullable<DatasetSpec['buckets']>;

/** One alias of the text with what it stands for: one version, those of all sensed windows, or none, which means an empty predecessor. */
export interface Input {
  readonly alias: string;
  readonly spec: DatasetSpec;
  readonly refs: readonly VersionRef[];
  readonly manifests: readonly Manifest[];
}

/** Versions of the same columns and buckets. */
export type Layout = Pick<Manifest, 'columns' | 'buckets' | 'files'>;

/** Rows of one pass of the text: how many there are to read, and the view of each alias over them. */
export interface PassViews {
  readonly rows: number;
  readonly sql: string;
}

/** What resolving needs of a stage's context; a reproduction has no more. */
type InputContext = Pick<StageContext, 'plan' | 'stage' | 'inputs' | 'outputs'> & { readonly datasets: Pick<DatasetStore, 'manifest'> };

/** Resolves what the stage reads to pinned versions. `withoutPrevious`: the text computes from landing data alone. */
export async function resolveInputs(context: InputContext, spec: ComputeSpec, withoutPrevious: boolean): Promise<Input[]> {
  return Promise.all(
    Object.entries(spec.reads ?? {}).map(async ([alias, read]) => {
      const dataset = readDataset(read);
      const declared = isSensed(read) ? context.plan.sensed?.[dataset] : context.plan.datasets[dataset];
      if (declared === undefined) throw broken(context, `reads the dataset ${dataset}, which its plan does not declare`);
      const refs = isSensed(read) ? sensedVersions(context, dataset) : await versionRead(context, read, withoutPrevious);
      return { alias, spec: declared, refs, manifests: await manifestsOf(context, refs) };
    }),
  );
}

async function versionRead(context: InputContext, read: string | PreviousRead, withoutPrevious: boolean): Promise<VersionRef[]> {
  if (typeof read === 'string') {
    const ref = context.inputs[read];
    if (ref === undefined) throw broken(context, `reads ${read}, of which this run has no version`);
    return [ref];
  }
  if (read.since !== undefined) return given(await carriedVersion(context, read.previous, read.since));
  // The first window of a chain has no predecessor; any other run pinned one when it was claimed.
  return withoutPrevious ? [] : given(context.inputs[`previous:${read.previous}`]);
}

function given(ref: VersionRef | undefined): VersionRef[] {
  return ref === undefined ? [] : [ref];
}

/** What the sense stage pinned, whatever its pipeline accepts by now. */
function sensedVersions(context: InputContext, dataset: string): VersionRef[] {
  const stages = Object.fromEntries(context.plan.stages.map(({ id, spec }) => [id, spec]));
  const refs = sensersOf(stages, dataset).flatMap((senser) =>
    (context.outputs[senser]?.sensed ?? []).flatMap((found) =>
      found.kind === 'accepted' ? found.versions.filter((version) => version.dataset === dataset) : [],
    ),
  );
  if (refs.length === 0) throw broken(context, `reads ${dataset}, of which no sense stage found a version`);
  return refs;
}

/** Manifests asked for at once: a day of single minutes has 1,440. */
const MANIFESTS_AT_ONCE = 16;

async function manifestsOf({ datasets }: InputContext, refs: readonly VersionRef[]): Promise<Manifest[]> {
  const manifests: Manifest[] = [];
  for (let at = 0; at < refs.length; at += MANIFESTS_AT_ONCE)
    manifests.push(...(await Promise.all(refs.slice(at, at + MANIFESTS_AT_ONCE).map((ref) => datasets.manifest(ref)))));
  return manifests;
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
  { spec, manifests }: Input,
  cut: { buckets: Buckets; bucket: number } | undefined,
  readable: (path: string) => string,
): PassViews {
  if (manifests.length === 0) return { rows: 0, sql: versionSelect(columnsOf(spec), []) };
  const selects = layoutsOf(manifests).map((manifest) => manifestSelect(manifest, cut, readable));
  return {
    rows: selects.reduce((sum, { rows }) => sum + rows, 0),
    // Windows of another pipeline may have been built under different declarations.
    sql: selects.map(({ sql }) => sql).join(' union all by name '),
  };
}

/** Versions that lie alike are read as one: a view of a thousand parts would be slow to plan. */
export function layoutsOf(manifests: readonly Manifest[]): Layout[] {
  const layouts = new Map<string, Layout>();
  for (const { columns, buckets, files } of manifests) {
    const name = canonicalJson([columns.map((column) => [column.name, column.type]), buckets ?? null]);
    const known = layouts.get(name);
    layouts.set(name, { columns, ...(buckets === undefined ? {} : { buckets }), files: [...(known?.files ?? []), ...files] });
  }
  return [...layouts.values()];
}

function manifestSelect(
  { columns, files: all, buckets: written }: Layout,
  cut: { buckets: Buckets; bucket: number } | undefined,
  readable: (path: string) => string,
): PassViews {
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
