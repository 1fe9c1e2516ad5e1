import { rm } from 'node:fs/promises';
import { bucketExpression } from '../../pipelines/bucket-sql';
import { columnsOf } from '../../pipelines/duckdb-sql';
import { AlmanacError } from '../../pipelines/failures';
import { describeText, schemaFault, selectText, type DescribedColumn } from '../../pipelines/output-sql';
import { renderSql, windowValues } from '../../pipelines/sql-text';
import type { ComputeSpec, DatasetSpec, StageOutput, VersionRef } from '../../pipelines/types';
import type { StageBody, StageContext } from '../stage';
import { candidateKey } from '../storage/candidate-key';
import type { DataFile, Manifest } from '../storage/manifest';
import type { LocalFiles } from '../storage/object-store';
import { bucketsOfPasses, passViews, resolveInputs, type Buckets, type Input } from './compute-inputs';
import type { EngineSession, StatementLabel } from './engine';
import { exportVersion } from './export-version';
import { VersionWriter, type WrittenVersion } from './version-writer';

const STAGED = 'almanac.staged';

/** Everything of a computation that does not depend on the session. */
interface Computation {
  readonly spec: ComputeSpec;
  readonly dataset: string;
  readonly output: DatasetSpec;
  readonly inputs: readonly Input[];
  /** Rendered text and the file it came from. */
  readonly text: string;
  readonly textName: string;
}

/** Runs one SQL text over pinned versions and commits its rows as one version; `engine: 'none'` is a join point that does nothing. */
export const computeStage: StageBody = async (context) => {
  const spec = computeSpec(context);
  if (spec.engine === 'none' || spec.writes === undefined) return { versions: [], rowsIn: 0, rowsOut: 0, bytesIn: 0, bytesOut: 0 };
  const usesBootstrap = context.bootstrap && context.stage.bootstrapHash !== undefined;
  const inputs = await resolveInputs(context, spec, usesBootstrap);
  const refs = inputs.flatMap((input) => input.refs);
  const key = candidateKey({
    run: context.run,
    stage: context.stage.id,
    stageHash: context.stage.hash,
    inputs: refs,
    bootstrap: context.bootstrap,
  });
  const earlier = await context.datasets.find(spec.writes, context.window.key, key);
  if (earlier) {
    context.log(`an earlier attempt finished ${earlier.dataset} version ${earlier.version}: ${earlier.rows} rows adopted`);
    await exportVersion(context, earlier);
    return { ...stageOutput(inputs, earlier), adopted: true };
  }
  const computation = await prepare(context, spec, spec.writes, inputs, usesBootstrap);
  await using local = await context.store.localFiles(filesOf(inputs), context.signal);
  const scratch = await context.store.scratch();
  try {
    const { written, usage } = await context.engine.session(context.limits, context.signal, async (session) => {
      context.computing(session.child);
      return { written: await compute(context, computation, session, local, scratch), usage: await session.usage() };
    });
    await context.point('computed');
    const manifest = await timed(context, `committed ${spec.writes}`, () =>
      context.datasets.commit({
        ...written,
        dataset: computation.dataset,
        window: context.window.key,
        key,
        rowsIn: rowsIn(inputs),
        provenance: {
          run: context.run,
          stage: context.stage.id,
          attempt: context.attempt,
          stageHash: context.stage.hash,
          inputs: refs,
          ...(context.bootstrap && { bootstrap: true as const }),
        },
      }),
    );
    await context.point('committed');
    await exportVersion(context, manifest);
    return { ...stageOutput(inputs, manifest), cpuSeconds: usage.cpuSeconds, peakMemoryBytes: usage.peakMemoryBytes };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
};

function computeSpec({ stage }: StageContext): ComputeSpec {
  if (stage.spec.kind !== 'compute') throw new TypeError(`${stage.id} is a ${stage.spec.kind} stage, not compute`);
  return stage.spec;
}

async function prepare(
  context: StageContext,
  spec: ComputeSpec,
  dataset: string,
  inputs: readonly Input[],
  usesBootstrap: boolean,
): Promise<Computation> {
  const { plan, stage, window } = context;
  const output = plan.datasets[dataset];
  const hash = usesBootstrap ? stage.bootstrapHash : stage.sqlHash;
  if (output === undefined || hash === undefined) {
    throw new AlmanacError('internal', `The plan of stage ${stage.id} lacks ${output ? 'its SQL text' : `the dataset ${dataset}`}.`, {
      next: '`almanac validate`, then start the run anew with `--again`.',
    });
  }
  const textName = `pipelines/${plan.pipeline}/sql/${(usesBootstrap ? spec.bootstrap : spec.sql) ?? hash}`;
  const text = renderSql(await context.text(hash), { ...windowValues(window), ...plan.params }, textName);
  return { spec, dataset, output, inputs, text, textName };
}

/** Computes and writes all passes into `scratch`. */
async function compute(
  context: StageContext,
  computation: Computation,
  session: EngineSession,
  local: LocalFiles,
  scratch: string,
): Promise<WrittenVersion> {
  const { output, inputs, text, textName, dataset } = computation;
  const writer = new VersionWriter(session, output, scratch);
  const buckets = bucketsOfPasses(computation.spec, output, inputs);
  const passes = buckets ? Array.from({ length: buckets.count }, (_, bucket) => ({ buckets, bucket })) : [undefined];
  const viewsOf = (pass: (typeof passes)[number]): ReturnType<typeof passViews> => passViews(inputs, pass, (path) => local.path(path));
  // Texts see what they declare to read: a file beside it would be in no version, no hash and no lineage.
  const files = filesOf(inputs).map((file) => local.path(file.path));
  await session.confine({ files, folders: [scratch] });
  await session.exec(viewsOf(passes[0]).sql || 'select 1', { name: `the inputs of ${context.stage.id}` });
  await checkSchema(session, computation);

  // Rows go straight to their file unless what is cut is not what is written.
  const staged = (buckets !== undefined) !== (output.buckets !== undefined);
  await timed(
    context,
    `computed ${dataset} in ${passes.length === 1 ? 'one pass' : `${passes.length} buckets`} from ${rowsIn(inputs)} rows`,
    async () => {
      for (const [index, pass] of passes.entries()) {
        const views = viewsOf(pass);
        if (index > 0) await session.exec(views.sql);
        const label = (linesBefore: number): StatementLabel => ({ name: textName, linesBefore });
        if (staged) {
          const before = index === 0 ? `create schema if not exists almanac; create table ${STAGED} as ` : `insert into ${STAGED} `;
          const { sql, linesBefore } = selectText(text, writer.columns, before);
          await session.exec(sql, label(linesBefore));
        } else {
          const { sql, linesBefore } = selectText(text, writer.columns);
          await writer.write(sql, { ...(pass && { bucket: pass.bucket, expectedRows: views.rows }), label: label(linesBefore) });
        }
        await context.point(`pass-${index}`);
      }
      if (staged) await writeStaged(writer, output.buckets);
    },
  );
  return timed(context, `measured ${dataset}`, async () => {
    const { measured, ...written } = await writer.finish();
    if (measured.misplaced > 0) throw misplaced(computation, measured.misplaced);
    const duplicates = written.profile?.duplicateKeys ?? 0;
    if (duplicates > 0) context.log(`${dataset} has ${duplicates} rows whose key another row has`);
    return written;
  });
}

async function checkSchema(session: EngineSession, { text, textName, dataset, output }: Computation): Promise<void> {
  const { sql, linesBefore } = describeText(text);
  const returned = await session.rows<DescribedColumn & Record<string, unknown>>(sql, undefined, { name: textName, linesBefore });
  const fault = schemaFault(textName, dataset, columnsOf(output), returned);
  if (fault === undefined) return;
  throw new AlmanacError('compute.schema', fault, {
    next: `Correct the select list of ${textName}, or the columns of ${dataset} in its pipeline, then retry the stage.`,
    details: { dataset, text: textName, returned: returned.map((column) => ({ name: column.column_name, type: column.column_type })) },
  });
}

/** The rows of all passes as one file, or those of the one pass cut into buckets. */
async function writeStaged(writer: VersionWriter, buckets: Buckets | undefined): Promise<void> {
  if (!buckets) return writer.write(`from ${STAGED}`);
  for (let bucket = 0; bucket < buckets.count; bucket++) {
    await writer.write(`from ${STAGED} where ${bucketExpression(buckets.by, buckets.count)} = ${bucket}`, { bucket });
  }
}

function misplaced({ textName, output, dataset }: Computation, rows: number): AlmanacError {
  return new AlmanacError(
    'compute.bucket',
    `${textName} returned rows of ${dataset} whose ${output.buckets?.by} belongs to another bucket than it read (${rows} found).`,
    {
      next: `Return ${output.buckets?.by} as it was read, or declare the stage without \`each: 'bucket'\`.`,
      details: { dataset, text: textName, rows },
    },
  );
}

function stageOutput(inputs: readonly Input[], manifest: Manifest): StageOutput {
  const { dataset, window, version, digest } = manifest;
  const ref: VersionRef = { dataset, window, version, digest };
  const bytesIn = read(inputs, 'bytes');
  return { versions: [ref], rowsIn: rowsIn(inputs), rowsOut: manifest.rows, bytesIn, bytesOut: manifest.bytes };
}

function filesOf(inputs: readonly Input[]): DataFile[] {
  return inputs.flatMap(({ manifests }) => manifests.flatMap(({ files }) => files));
}

function rowsIn(inputs: readonly Input[]): number {
  return read(inputs, 'rows');
}

function read(inputs: readonly Input[], what: 'rows' | 'bytes'): number {
  return inputs.flatMap(({ manifests }) => manifests).reduce((sum, manifest) => sum + manifest[what], 0);
}

async function timed<T>(context: StageContext, what: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await work();
  context.log(`${what}: ${((performance.now() - started) / 1000).toFixed(3)} s`);
  return result;
}
