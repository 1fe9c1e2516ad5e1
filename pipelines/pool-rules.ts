/** The rules of pools: what a project declares, and what stages ask for. */
import type { Problem } from './rules';
import type { PipelineSpec, StageSpec } from './types';

/** Permits by pool. */
export type Pools = Readonly<Record<string, number>>;

/** Of one pool. */
export const MAX_PERMITS = 10_000;

const NAME = /^[a-z][a-z0-9_-]{0,47}$/;

/** What is wrong with a stage's `pool` whatever the project has. */
export function poolUseProblems(place: string, { name, permits = 1 }: NonNullable<StageSpec['pool']>): Problem[] {
  const problems: Problem[] = [];
  if (!NAME.test(name)) problems.push({ place: `${place}.name`, message: `"${name}" does not match ${NAME.source}` });
  if (!isCount(permits)) problems.push({ place: `${place}.permits`, message: `${permits} is not a whole number from 1 to ${MAX_PERMITS}` });
  return problems;
}

/** A stage with what it asks of a pool. */
export interface PoolUser {
  /** `PIPELINE.STAGE`. */
  readonly stage: string;
  readonly permits: number;
}

/** The stages that ask for more permits of a pool than `size`, in the order they are declared. */
export function usersAbove(pool: string, size: number, pipelines: readonly PipelineSpec[]): PoolUser[] {
  return pipelines.flatMap(({ id, stages }) =>
    Object.entries(stages).flatMap(([stage, { pool: use }]) => {
      const permits = use?.permits ?? 1;
      return use?.name === pool && permits > size ? [{ stage: `${id}.${stage}`, permits }] : [];
    }),
  );
}

/** A stage that asks for a pool that is not there, or for more than it has, would wait for good. */
export function poolProblems(pools: Pools, pipelines: readonly PipelineSpec[]): Problem[] {
  const problems: Problem[] = [];
  for (const [name, permits] of Object.entries(pools)) {
    if (!NAME.test(name)) problems.push({ place: `pools.${name}`, message: `the name does not match ${NAME.source}` });
    if (!isCount(permits)) problems.push({ place: `pools.${name}`, message: `${permits} is not a whole number from 1 to ${MAX_PERMITS}` });
  }
  for (const { id, stages } of pipelines) {
    for (const [stage, { pool }] of Object.entries(stages)) {
      if (pool !== undefined) problems.push(...useProblems(pools, `${id}.stages.${stage}.pool`, pool));
    }
  }
  return problems;
}

function useProblems(pools: Pools, place: string, { name, permits = 1 }: NonNullable<StageSpec['pool']>): Problem[] {
  const size = Object.hasOwn(pools, name) ? pools[name] : undefined;
  if (size === undefined) {
    const known = Object.keys(pools);
    return [{ place, message: `the project declares no pool "${name}"${known.length === 0 ? '' : `; its pools are ${known.join(', ')}`}` }];
  }
  return permits > size ? [{ place, message: `${permits} permits are more than the ${size} of pool "${name}"` }] : [];
}

function isCount(permits: number): boolean {
  return Number.isInteger(permits) && permits > 0 && permits <= MAX_PERMITS;
}
