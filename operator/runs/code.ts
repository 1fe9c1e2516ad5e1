/** The code, params and engine of a re-run: the run's own plan, what the project declares today, or either with others of those. */
import { textReader } from '../../activities/ledger/plans';
import type { Queryable } from '../../lib/postgres';
import { sha256 } from '../../lib/sha256';
import { canonicalJson } from '../../pipelines/canonical';
import { textsOfStage } from '../../pipelines/engine-texts';
import { buildPlan, withEngine } from '../../pipelines/plan';
import type { EngineName, ParamValue, Plan } from '../../pipelines/types';
import type { ProjectPipeline } from '../project';

export type Params = Readonly<Record<string, ParamValue>>;

/** What a re-run takes from the run before and what it takes anew. */
export interface Matrix {
  readonly code: 'same' | 'latest';
  readonly inputs: 'pinned' | 'latest';
  readonly params: 'same' | 'new';
  /** The params themselves. */
  readonly values: Params;
  /** What computes every stage; absent where each stage chooses. */
  readonly engine?: EngineName;
}

/** What a re-run is asked to have otherwise; without an engine it keeps the run's. */
export interface Wanted {
  readonly params: Params;
  readonly engine: EngineName | undefined;
}

/**
 * The run's own plan, with another engine when one is given, and with other params when some are: rebuilt from the declaration and texts it
 * froze. Throws `param.invalid`.
 */
export async function sameCode(database: Queryable, frozen: Plan, { params, engine }: Wanted): Promise<Plan> {
  const plan = Object.keys(params).length === 0 ? frozen : await rebuilt(database, frozen, params);
  return withEngine(plan, engine ?? frozen.engine, sha256);
}

async function rebuilt(database: Queryable, frozen: Plan, params: Params): Promise<Plan> {
  const text = textReader(database);
  const texts = new Map<string, string>();
  for (const { file, hash } of frozen.stages.flatMap(textsOfStage)) texts.set(file, await text(hash));
  const { pipeline, chain, window, datasets, stages, sensed } = frozen;
  const declared = {
    id: pipeline,
    owner: '',
    chain,
    window,
    datasets,
    params: frozen.params,
    stages: Object.fromEntries(stages.map(({ id, spec }) => [id, spec])),
    ...(sensed === undefined ? {} : { sensed }),
  };
  return buildPlan(declared, texts, params, sha256);
}

/** What the project declares today, with the params and engine of the run as far as they still exist, and those given. Throws `param.invalid`. */
export function latestCode(project: ProjectPipeline, frozen: Plan, { params, engine }: Wanted): Plan {
  const declared = project.spec.params ?? {};
  const kept = Object.fromEntries(Object.entries(frozen.params).filter(([name]) => Object.hasOwn(declared, name)));
  return project.plan({ ...kept, ...params }, engine ?? frozen.engine);
}

/** What was decided, as it is shown before and stored after. */
export function matrixOf(frozen: Plan, plan: Plan, code: Matrix['code'], inputs: Matrix['inputs']): Matrix {
  const params = canonicalJson(plan.params) === canonicalJson(frozen.params) ? 'same' : 'new';
  return { code, inputs, params, values: plan.params, ...(plan.engine === undefined ? {} : { engine: plan.engine }) };
}
