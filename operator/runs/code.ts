/** The code and params of a re-run: the run's own plan, what the project declares today, or either with other params. */
import { textReader } from '../../activities/ledger/plans';
import type { Queryable } from '../../lib/postgres';
import { sha256 } from '../../lib/sha256';
import { canonicalJson } from '../../pipelines/canonical';
import { buildPlan } from '../../pipelines/plan';
import type { ParamValue, Plan } from '../../pipelines/types';
import type { ProjectPipeline } from '../project';

export type Params = Readonly<Record<string, ParamValue>>;

/** What a re-run takes from the run before and what it takes anew. */
export interface Matrix {
  readonly code: 'same' | 'latest';
  readonly inputs: 'pinned' | 'latest';
  readonly params: 'same' | 'new';
  /** The params themselves. */
  readonly values: Params;
}

/** The run's own plan, with other params when some are given: rebuilt from the declaration and texts it froze. Throws `param.invalid`. */
export async function sameCode(database: Queryable, frozen: Plan, params: Params): Promise<Plan> {
  if (Object.keys(params).length === 0) return frozen;
  const text = textReader(database);
  const texts = new Map<string, string>();
  for (const { spec, sqlHash, bootstrapHash } of frozen.stages) {
    if (spec.kind !== 'compute') continue;
    if (spec.sql !== undefined && sqlHash !== undefined) texts.set(spec.sql, await text(sqlHash));
    if (spec.bootstrap !== undefined && bootstrapHash !== undefined) texts.set(spec.bootstrap, await text(bootstrapHash));
  }
  const { pipeline, chain, window, datasets, stages } = frozen;
  const declared = {
    id: pipeline,
    owner: '',
    chain,
    window,
    datasets,
    params: frozen.params,
    stages: Object.fromEntries(stages.map(({ id, spec }) => [id, spec])),
  };
  return buildPlan(declared, texts, params, sha256);
}

/** What the project declares today, with the params of the run as far as they still exist, and those given. Throws `param.invalid`. */
export function latestCode(project: ProjectPipeline, frozen: Plan, params: Params): Plan {
  const declared = project.spec.params ?? {};
  const kept = Object.fromEntries(Object.entries(frozen.params).filter(([name]) => Object.hasOwn(declared, name)));
  return project.plan({ ...kept, ...params });
}

/** What was decided, as it is shown before and stored after. */
export function matrixOf(frozen: Plan, plan: Plan, code: Matrix['code'], inputs: Matrix['inputs']): Matrix {
  const params = canonicalJson(plan.params) === canonicalJson(frozen.params) ? 'same' : 'new';
  return { code, inputs, params, values: plan.params };
}
