/** A compute stage's SQL outside a run, over tables instead of versions: what validation and pipeline tests share. */
import type { EngineSession } from '../activities/compute/engine';
import { bucketExpression } from '../pipelines/bucket-sql';
import { columnsOf, DUCKDB_TYPES } from '../pipelines/duckdb-sql';
import { AlmanacError } from '../pipelines/failures';
import { describeText, schemaFault, selectText, type DescribedColumn } from '../pipelines/output-sql';
import { quoteName } from '../pipelines/quote-sql';
import { isPrevious, readDataset } from '../pipelines/reads';
import { renderSql, windowValues } from '../pipelines/sql-text';
import type { ComputeSpec, DatasetSpec, Plan, PlanStage, Read, Window } from '../pipelines/types';
import type { ProjectPipeline } from './project';

/** A compute stage that writes, with one of its texts. */
export interface StageText {
  readonly plan: Plan;
  readonly stage: string;
  readonly spec: ComputeSpec;
  readonly dataset: string;
  readonly output: DatasetSpec;
  /** `pipelines/ID/sql/FILE`. */
  readonly name: string;
  readonly text: string;
  /** A bootstrap text sees no rows of a previous window. */
  readonly bootstrap: boolean;
}

/** Tables beside the sources, named as no dataset can be. */
export const COMPUTED = 'rows:computed';
export const EXPECTED = 'rows:expected';

/** The texts of a stage: its SQL, or with `bootstrap` the one of bootstrap runs. Undefined when it has none. */
export function stageText(pipeline: ProjectPipeline, plan: Plan, stage: PlanStage, bootstrap: boolean): StageText | undefined {
  const { spec } = stage;
  if (spec.kind !== 'compute' || spec.writes === undefined) return undefined;
  const file = bootstrap ? spec.bootstrap : spec.sql;
  const text = pipeline.texts.get((bootstrap ? stage.bootstrapHash : stage.sqlHash) ?? '');
  const output = plan.datasets[spec.writes];
  if (file === undefined || text === undefined || output === undefined) return undefined;
  return { plan, stage: stage.id, spec, dataset: spec.writes, output, name: `pipelines/${plan.pipeline}/sql/${file}`, text, bootstrap };
}

export const PREVIOUS = 'previous:';

/** How a test and a run's pins name what is read: `DATASET`, or `previous:DATASET`. */
function sourceName(read: Read): string {
  return isPrevious(read) ? `${PREVIOUS}${read.previous}` : readDataset(read);
}

function declared({ datasets, sensed = {} }: Plan, read: Read): DatasetSpec | undefined {
  return datasets[readDataset(read)] ?? sensed[readDataset(read)];
}

/** Table of a source, typed as its dataset declares. */
export function createSource(source: string, dataset: DatasetSpec): string {
  const columns = columnsOf(dataset).map(({ name, type }) => `${quoteName(name)} ${DUCKDB_TYPES[type]}`);
  return `create table ${sourceTable(source)} (${columns.join(', ')})`;
}

/** Sources live in a schema of their own, where no alias of a text reaches them by chance. */
export function sourceTable(source: string): string {
  return `given.${quoteName(source)}`;
}

/** Makes the tables of all a stage reads, empty; returns each source with its dataset. */
export async function createSources(session: EngineSession, { spec, plan }: StageText): Promise<ReadonlyMap<string, DatasetSpec>> {
  const sources = new Map<string, DatasetSpec>();
  for (const read of Object.values(spec.reads ?? {})) {
    const dataset = declared(plan, read);
    if (dataset !== undefined) sources.set(sourceName(read), dataset);
  }
  await session.exec('create schema given');
  for (const [source, dataset] of sources) await session.exec(createSource(source, dataset));
  return sources;
}

/** Holds the text to the columns its dataset declares. Throws `sql.placeholder`, `engine.sql`, `compute.schema`. */
export async function checkText(session: EngineSession, stage: StageText, window: Window): Promise<string> {
  const text = renderSql(stage.text, { ...windowValues(window), ...stage.plan.params }, stage.name);
  await createViews(session, stage, undefined);
  const { sql, linesBefore } = describeText(text);
  const returned = await session.rows<DescribedColumn & Record<string, unknown>>(sql, undefined, { name: stage.name, linesBefore });
  const fault = schemaFault(stage.name, stage.dataset, columnsOf(stage.output), returned);
  if (fault !== undefined) {
    throw new AlmanacError('compute.schema', fault, {
      next: `Correct the select list of ${stage.name}, or the columns of ${stage.dataset} in its pipeline.`,
      details: { stage: stage.stage, dataset: stage.dataset, text: stage.name },
    });
  }
  return text;
}

/** Runs the text as a run would, bucket by bucket where the stage says so, into the table {@link COMPUTED}. */
export async function computeResult(session: EngineSession, stage: StageText, window: Window): Promise<void> {
  const text = await checkText(session, stage, window);
  await session.exec(createSource(COMPUTED, stage.output));
  const buckets = bucketsOf(stage);
  const passes = buckets === undefined ? [undefined] : Array.from({ length: buckets.count }, (_, bucket) => bucket);
  for (const bucket of passes) {
    if (bucket !== undefined) await createViews(session, stage, bucket);
    const { sql, linesBefore } = selectText(text, columnsOf(stage.output), `insert into ${sourceTable(COMPUTED)} `);
    await session.exec(sql, { name: stage.name, linesBefore });
  }
}

function bucketsOf({ spec, plan, output }: StageText): DatasetSpec['buckets'] {
  if (spec.each !== 'bucket') return undefined;
  const reads = Object.values(spec.reads ?? {}).map((read) => declared(plan, read));
  return output.buckets ?? reads.find((dataset) => dataset?.buckets !== undefined)?.buckets;
}

/** One view an alias: whole, or a bucket of what is bucketed. */
async function createViews(session: EngineSession, stage: StageText, bucket: number | undefined): Promise<void> {
  const buckets = bucketsOf(stage);
  for (const [alias, read] of Object.entries(stage.spec.reads ?? {})) {
    const dataset = declared(stage.plan, read);
    const cut = bucket !== undefined && buckets !== undefined && dataset?.buckets?.by === buckets.by;
    const where = cut ? ` where ${bucketExpression(buckets.by, buckets.count)} = ${bucket}` : '';
    await session.exec(`create or replace view ${quoteName(alias)} as select * from ${sourceTable(sourceName(read))}${where}`);
  }
}
