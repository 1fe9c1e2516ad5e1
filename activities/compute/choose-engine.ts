import { chosenEngine, ENGINE_TITLES, engineReason } from '../../pipelines/engine-choice';
import { AlmanacError } from '../../pipelines/failures';
import { formatRun } from '../../pipelines/run-id';
import type { StageBody, StageContext } from '../stage';
import { bytesIn, computing } from './computation';
import { computeOnDuckDb } from './compute-stage';
import type { SparkRunner } from './spark-runner';
import { computeOnSpark } from './spark-stage';

/**
 * The body of compute stages: what the plan forces, the stage declares or its rule finds by the bytes of its inputs decides which engine
 * computes; `engine: 'none'` is a join point that does nothing. Without a `runner` a stage that is to run on Spark fails as
 * `engine.unconfigured`; a version that an earlier attempt finished is adopted, whichever engine made it.
 */
export function createComputeStage(runner: SparkRunner | undefined): StageBody {
  return computing(async (context, computation) => {
    const { plan, chose, log } = context;
    const question = { declared: computation.spec.engine, forced: plan.engine, bytesIn: bytesIn(computation.inputs) };
    const engine = chosenEngine(question);
    const onSpark = engine === 'spark';
    chose(onSpark ? 'spark' : 'duckdb');
    const reason = engineReason(question);
    if (reason !== undefined) log(`computes on ${ENGINE_TITLES[onSpark ? 'spark' : 'duckdb']}: ${reason}`);
    if (!onSpark) return computeOnDuckDb(context, computation);
    if (runner === undefined) throw unconfigured(context, reason);
    return computeOnSpark(runner, context, computation);
  });
}

function unconfigured({ run, stage }: StageContext, reason: string | undefined): AlmanacError {
  const why = reason === undefined ? '' : ` (${reason})`;
  return new AlmanacError('engine.unconfigured', `Stage ${stage.id} is to be computed on Spark${why}, and this worker knows no EMR.`, {
    next: `Set ALMANAC_EMR_SETTINGS for the compute workers and retry the stage; or let DuckDB compute it: almanac retry ${formatRun(run)} --stage ${stage.id} --engine duckdb --reason …`,
    details: { stage: stage.id },
  });
}
