import { sha256 } from '../../lib/sha256';
import { canonicalJson } from '../../pipelines/canonical';
import type { LandingFile, RunRef, VersionRef } from '../../pipelines/types';

const KEY_LENGTH = 20;

export interface CandidateIdentity {
  readonly run: RunRef;
  readonly stage: string;
  readonly stageHash: string;
  readonly inputs: readonly VersionRef[];
  readonly bootstrap: boolean;
  readonly landing?: readonly LandingFile[];
}

/**
 * The name of what a stage of a run makes of these inputs: every attempt of the stage arrives at the same one, another
 * generation, plan or landing file at another. The order of inputs does not matter.
 */
export function candidateKey(identity: CandidateIdentity): string {
  const { run, stage, stageHash, bootstrap } = identity;
  const inputs = identity.inputs.map(({ dataset, window, version, digest }) => ({ dataset, window, version, digest }));
  const landing = (identity.landing ?? []).map(({ path, bytes, sha256 }) => ({ path, bytes, sha256 }));
  const text = canonicalJson({
    run: { pipeline: run.pipeline, window: run.window, branch: run.branch, generation: run.generation },
    stage,
    stageHash,
    bootstrap,
    inputs: sorted(inputs),
    landing: sorted(landing),
  });
  return sha256(text).slice(0, KEY_LENGTH);
}

function sorted<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, text: canonicalJson(item) }))
    .sort((a, b) => (a.text < b.text ? -1 : 1))
    .map(({ item }) => item);
}
