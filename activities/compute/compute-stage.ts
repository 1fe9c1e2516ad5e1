import { rm } from 'node:fs/promises';
import { bucketExpression } from '../../pipelines/bucket-sql';
import { columnsOf } from '../../pipelines/duckdb-sql';
import { AlmanacError } from '../../pipelines/failures';
import { describeText, schemaFault, selectText, type DescribedColumn } from '../../pipelines/output-sql';
import type { StageOutput } from '../../pipelines/types';
import type { StageBody, StageContext } from '../stage';
import type { LocalFiles } from '../storage/object-store';
import { bucketsOfPasses, passViews, type Buckets } from './compute-inputs';
import {
  commitVersion,
  computing,
  filesOf,
  renderedText,
  rowsIn,
  stageOutput,
  timed,
  type Computation,
  type RenderedText,
} from './computation';
import type { EngineSession, StatementLabel } from './engine';
import { VersionWriter } from './version-writer';
import type { WrittenVersion } from './written-version';

const STAGED = 'almanac.staged';

type Computed = Computation & RenderedText;

/** Computes on DuckDB whatever the stage declares; see {@link createComputeStage}. */
export const computeStage: StageBody = computing(computeOnDuckDb);

/** Runs one SQL text over pinned versions and commits its rows as one version. */
export async function computeOnDuckDb(context: StageContext, computation: Computation): Promise<StageOutput> {
  const { inputs } = computation;
  const rendered = await renderedText(context, computation, 'duckdb');
  await using local = await context.store.localFiles(filesOf(inputs), context.signal);
  const scratch = await context.store.scratch();
  try {
    const { written, usage } = await context.engine.session(context.limits, context.signal, async (session) => {
      context.computing(session.child);
      return { written: await compute(context, { ...computation, ...rendered }, session, local, scratch), usage: await session.usage() };
    });
    await context.point('computed');
    const manifest = await commitVersion(context, computation, 'duckdb', written);
    return { ...stageOutput(inputs, manifest), cpuSeconds: usage.cpuSeconds, peakMemoryBytes: usage.peakMemoryBytes };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Computes and writes all passes into `scratch`. */
async function compute(
  context: StageContext,
  computation: Computed,
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

async function checkSchema(session: EngineSession, { text, textName, dataset, output }: Computed): Promise<void> {
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

function misplaced({ textName, output, dataset }: Computed, rows: number): AlmanacError {
  return new AlmanacError(
    'compute.bucket',
    `${textName} returned rows of ${dataset} whose ${output.buckets?.by} belongs to another bucket than it read (${rows} found).`,
    {
      next: `Return ${output.buckets?.by} as it was read, or declare the stage without \`each: 'bucket'\`.`,
      details: { dataset, text: textName, rows },
    },
  );
}
