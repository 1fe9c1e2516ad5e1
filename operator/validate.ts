import { createScratchEngine } from './scratch-engine';
import type { Engine } from '../activities/compute/engine';
import { mayUseSpark } from '../pipelines/engine-choice';
import { isSparkVariant, textsOfStage, variedText } from '../pipelines/engine-texts';
import { AlmanacError, failureInfo, type FailureInfo } from '../pipelines/failures';
import { suiteMetrics, suiteQueries, versionView } from '../pipelines/suite-sql';
import { columnsOf } from '../pipelines/duckdb-sql';
import type { Plan, PlanStage, Window } from '../pipelines/types';
import { windowOf } from '../pipelines/window';
import { loadProject, type ProjectPipeline } from './project';
import { checkText, createSources, stageText, type StageText } from './stage-sql';

export interface PipelineValidation {
  readonly pipeline: string;
  readonly stages: number;
  /** Set when there is a plan. */
  readonly planHash?: string;
  readonly problems: readonly FailureInfo[];
  /** What runs, yet is probably not meant: texts no stage uses, stages for Spark where no EMR is known. */
  readonly warnings: readonly string[];
}

export interface ProjectValidation {
  readonly directory: string;
  readonly pipelines: readonly PipelineValidation[];
}

export interface ValidationOptions {
  /** Whether the environment names EMR, so that a stage may run on Spark. Default: nothing is said of it. */
  readonly emr?: boolean;
}

const LIMITS = { memoryBytes: 500e6, threads: 1 };

/**
 * Checks all declarations of a project: graph and names when it is loaded, texts and placeholders by planning, and every
 * text and predicate by binding it in DuckDB over empty datasets; of texts for Spark alone, placeholders. Throws what {@link loadProject} throws; what is wrong
 * with single pipelines is in the answer.
 */
export async function validateProject(directory: string, now: Date, { emr = true }: ValidationOptions = {}): Promise<ProjectValidation> {
  const project = await loadProject(directory);
  await using scratch = createScratchEngine();
  const pipelines: PipelineValidation[] = [];
  for (const pipeline of project.pipelines.values()) pipelines.push(await validatePipeline(pipeline, scratch.engine, now, emr));
  return { directory: project.directory, pipelines };
}

async function validatePipeline(pipeline: ProjectPipeline, engine: Engine, now: Date, emr: boolean): Promise<PipelineValidation> {
  const { spec } = pipeline;
  const problems: FailureInfo[] = [];
  const plan = await collect(problems, () => pipeline.plan());
  const stages = Object.keys(spec.stages).length;
  if (plan === undefined) return { pipeline: spec.id, stages, problems, warnings: [] };
  const window = windowOf(spec.window, now);
  for (const stage of plan.stages) {
    for (const bootstrap of [false, true]) {
      const text = stageText(pipeline, plan, stage, bootstrap);
      if (text !== undefined) await collect(problems, () => bindText(engine, text, window), text.name);
    }
    await collect(problems, () => bindSuite(engine, plan, stage), `the checks of stage ${stage.id}`);
  }
  const warnings = [...unusedTexts(pipeline, plan), ...(emr ? [] : stagesForSpark(plan))];
  return { pipeline: spec.id, stages, planHash: plan.hash, problems, warnings };
}

function unusedTexts({ spec, textNames }: ProjectPipeline, { stages }: Plan): string[] {
  const used = new Set(stages.flatMap(textsOfStage).map(({ hash }) => hash));
  return [...textNames]
    .filter(([hash]) => !used.has(hash))
    .map(([, name]) => {
      const unused = `no stage uses pipelines/${spec.id}/sql/${name}`;
      return isSparkVariant(name) ? `${unused}: it is for Spark in the place of ${variedText(name)}, which no stage names` : unused;
    });
}

function stagesForSpark({ stages }: Plan): string[] {
  const onSpark = stages.filter(({ spec }) => spec.kind === 'compute' && mayUseSpark(spec.engine, undefined)).map(({ id }) => id);
  if (onSpark.length === 0) return [];
  return [`ALMANAC_EMR_SETTINGS is not set here, and without it workers cannot compute on Spark, as ${onSpark.join(', ')} may`];
}

/** What a declaration causes is collected, so that one problem does not hide the next; anything else is thrown. */
async function collect<T>(problems: FailureInfo[], check: () => T | Promise<T>, what = 'the declaration'): Promise<T | undefined> {
  try {
    return await check();
  } catch (error) {
    if (!(error instanceof AlmanacError) || error.class !== 'user') throw error;
    // The engine speaks to the operator of a run; here nothing has run yet.
    const next = error.code === 'engine.sql' ? { next: `Correct ${what}, then run \`almanac validate\` again.` } : {};
    problems.push({ ...failureInfo(error), ...next });
    return undefined;
  }
}

async function bindText(engine: Engine, text: StageText, window: Window): Promise<void> {
  await engine.session(LIMITS, new AbortController().signal, async (session) => {
    await session.confine({ files: [], folders: [] });
    await createSources(session, text);
    await checkText(session, text, window);
  });
}

/** Measures a suite over datasets without rows: what does not parse or bind fails here, not at night. */
async function bindSuite(engine: Engine, plan: Plan, stage: PlanStage): Promise<void> {
  const { spec } = stage;
  if (spec.kind !== 'check') return;
  const queries = suiteQueries(suiteMetrics(spec.suite, plan.datasets), { datasets: plan.datasets, salt: 'validate' });
  await engine.session(LIMITS, new AbortController().signal, async (session) => {
    await session.confine({ files: [], folders: [] });
    for (const [name, dataset] of Object.entries(plan.datasets)) await session.exec(versionView(name, columnsOf(dataset), []));
    for (const query of queries) await session.rows(query.sql, undefined, { name: `the checks of ${query.dataset} in stage ${stage.id}` });
  });
}
