import { outputsOf, standingOutputs } from '../../activities/accept-window';
import { bucketsOfPasses, passViews, resolveInputs } from '../../activities/compute/compute-inputs';
import type { Engine } from '../../activities/compute/engine';
import type { DataFile } from '../../activities/storage/manifest';
import { listAttempts } from '../../activities/ledger/attempts';
import { planReader, textReader } from '../../activities/ledger/plans';
import { combineDigests, digestSql, type DigestPart } from '../../pipelines/digest-sql';
import { columnsOf } from '../../pipelines/duckdb-sql';
import { engineText, type EngineText } from '../../pipelines/engine-texts';
import { AlmanacError } from '../../pipelines/failures';
import { selectText } from '../../pipelines/output-sql';
import { quoteName } from '../../pipelines/quote-sql';
import { RESULT, reproduceScript } from '../../pipelines/reproduce-sql';
import { formatRun, type RunAddress } from '../../pipelines/run-id';
import { renderSql, windowValues } from '../../pipelines/sql-text';
import { versionsFor } from '../../pipelines/standing-versions';
import type { EngineName, Plan, PlanStage, VersionRef } from '../../pipelines/types';
import { parseWindow } from '../../pipelines/window';
import type { OperatorSession } from '../session';
import { findRun } from './inspect';

export interface Reproduction {
  /** `PIPELINE/WINDOW#GENERATION`. */
  readonly run: string;
  readonly stage: string;
  readonly dataset: string;
  /** SQL that reads the pinned versions. */
  readonly script: string;
  /** What computed it in the run; the script is for DuckDB, whose rows are the same. Null when the stage has no output that stands. */
  readonly engine: EngineName | null;
  /** Digest of what the run wrote; null when the stage has no output that stands. */
  readonly digest: string | null;
}

/** A stage whose script is still to be told where its files lie. */
export interface ReproducedStage {
  readonly files: readonly DataFile[];
  over(pathOf: (objectPath: string) => string): Reproduction;
}

export interface ReproducedRows {
  readonly rows: number;
  readonly digest: string;
  readonly sample: readonly Record<string, unknown>[];
}

const SAMPLED = 20;

/** The SQL of a compute stage as its run rendered it, over the versions its run pinned. Throws `run.unknown`, `run.usage`, `dataset.version-missing`. */
export async function reproduceStage(
  session: OperatorSession,
  address: RunAddress & { readonly generation?: number },
  stageId: string,
): Promise<ReproducedStage> {
  const { database, datasets } = session;
  const row = await findRun(session, address);
  const name = `${formatRun(row.run)}#${row.run.generation}`;
  const plan = await planReader(database)(row.planHash);
  const stage = computeStageOf(plan, name, stageId);
  const usesBootstrap = row.bootstrap && stage.bootstrapHash !== undefined;
  const standing = standingOutputs(await listAttempts(database, row.run));
  const outputs = outputsOf(standing);
  const inputs: Record<string, VersionRef> = Object.fromEntries(versionsFor(plan.stages, stageId, outputs));
  for (const [dataset, version] of Object.entries(row.pins)) inputs[`previous:${dataset}`] = version;
  const resolved = await resolveInputs({ plan, stage, inputs, outputs, datasets }, stage.spec, usesBootstrap);
  const { hash, file } = textFor(stage, 'duckdb', usesBootstrap, name);
  const values = { ...windowValues(parseWindow(plan.window, row.run.window)), ...plan.params };
  const text = renderSql(await textReader(database)(hash), values, `pipelines/${plan.pipeline}/sql/${file}`);
  const buckets = bucketsOfPasses(stage.spec, stage.output, resolved);
  const passes = buckets === undefined ? [undefined] : Array.from({ length: buckets.count }, (_, bucket) => ({ buckets, bucket }));
  const written = outputs[stageId]?.versions[0];
  const engine = written === undefined ? null : (outputs[stageId]?.engine ?? 'duckdb');
  const facts = [
    `${name} stage ${stageId}, pipelines/${plan.pipeline}/sql/${file}, plan ${plan.hash.slice(0, 12)}`,
    ...resolved.flatMap(({ alias, refs }) =>
      refs.length === 0 ? [`${alias}: no rows`] : refs.map((ref) => `${alias}: ${ref.dataset}@${ref.window}#${ref.version} ${ref.digest}`),
    ),
    written === undefined ? 'no output of it stands' : `wrote ${written.dataset}@${written.window}#${written.version} ${written.digest}`,
    ...(engine === 'spark' ? [`computed on Spark by ${textFor(stage, engine, usesBootstrap, name).file}; here DuckDB runs ${file}`] : []),
  ];
  return {
    files: resolved.flatMap(({ manifests }) => manifests.flatMap(({ files }) => files)),
    over(pathOf) {
      const views = passes.map((pass) => passViews(resolved, pass, pathOf).sql);
      const select = selectText(text, columnsOf(stage.output)).sql;
      const script = reproduceScript(
        facts,
        views.map((sql) => ({ views: sql, select })),
      );
      return { run: name, stage: stageId, dataset: stage.dataset, script, engine, digest: written?.digest ?? null };
    },
  };
}

/** Runs a reproduction in a child of our own. */
export async function runReproduction(
  session: OperatorSession,
  engine: Engine,
  { dataset, script }: Reproduction,
  plan: Pick<Plan, 'datasets'>,
): Promise<ReproducedRows> {
  const spec = plan.datasets[dataset];
  const columns = spec === undefined ? [] : columnsOf(spec);
  const { memoryBytes, threads } = session.config.worker;
  return engine.session({ memoryBytes, threads }, new AbortController().signal, async (child) => {
    await child.exec(script);
    const [part] = await child.rows<DigestPart & Record<string, unknown>>(digestSql(quoteName(RESULT), columns));
    const sample = await child.rows(`from ${quoteName(RESULT)} order by all limit ${SAMPLED}`);
    return { rows: Number(part?.rows ?? 0), digest: combineDigests(columns, part === undefined ? [] : [part]), sample };
  });
}

/** The plan of the run a reproduction is of. */
export async function planOfRun(session: OperatorSession, address: RunAddress & { readonly generation?: number }): Promise<Plan> {
  return planReader(session.database)((await findRun(session, address)).planHash);
}

function textFor(stage: PlanStage, engine: EngineName, bootstrap: boolean, run: string): EngineText {
  const text = engineText(stage, engine, bootstrap);
  if (text !== undefined) return text;
  throw new AlmanacError('internal', `the plan of ${run} lacks the SQL text of stage ${stage.id}`, { next: 'almanac validate' });
}

function computeStageOf(plan: Plan, name: string, id: string) {
  const stage = plan.stages.find((candidate) => candidate.id === id);
  const computes = plan.stages.flatMap(({ id: one, spec }) => (spec.kind === 'compute' && spec.writes !== undefined ? [one] : []));
  const dataset = stage?.spec.kind === 'compute' ? stage.spec.writes : undefined;
  const output = dataset === undefined ? undefined : plan.datasets[dataset];
  if (stage?.spec.kind === 'compute' && dataset !== undefined && output !== undefined) {
    return { ...stage, spec: stage.spec, dataset, output };
  }
  throw new AlmanacError('run.usage', `${name} has no stage ${id} that computes with SQL`, {
    next: `use one of: ${computes.join(', ') || 'none'}`,
  });
}
