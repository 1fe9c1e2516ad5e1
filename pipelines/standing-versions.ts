/** Which versions count of what the stages of a run left: a gate that put rows aside stands before the stage it judged. */
import type { StageOutput, StageOutline, VersionRef } from './types';

type Outline = Pick<StageOutline, 'id' | 'kind' | 'needs'>;
type Outputs = Readonly<Record<string, StageOutput>>;

/** One version a dataset, in the order of the stages. */
export function versionsOf(stages: readonly Outline[], outputs: Outputs): VersionRef[] {
  return [...byDataset(stages, outputs).values()];
}

/** What one stage sees of them, by dataset: gates count that it waited for, and nothing it left itself. */
export function versionsFor(stages: readonly Outline[], id: string, outputs: Outputs): Map<string, VersionRef> {
  const needs = new Map(stages.map((stage) => [stage.id, stage.needs]));
  const before = new Set<string>();
  const waiting = [...(needs.get(id) ?? [])];
  for (let need = waiting.pop(); need !== undefined; need = waiting.pop()) {
    if (before.has(need)) continue;
    before.add(need);
    waiting.push(...(needs.get(need) ?? []));
  }
  return byDataset(
    stages.filter((stage) => stage.id !== id && (stage.kind !== 'check' || before.has(stage.id))),
    outputs,
  );
}

function byDataset(stages: readonly Outline[], outputs: Outputs): Map<string, VersionRef> {
  const versions = new Map<string, VersionRef>();
  const written = (gates: boolean): void => {
    for (const { id, kind } of stages) {
      if ((kind === 'check') !== gates) continue;
      for (const version of outputs[id]?.versions ?? []) versions.set(version.dataset, version);
    }
  };
  written(false);
  written(true);
  return versions;
}
