import { datasetsOf } from './graph';
import { readDataset } from './reads';
import type { Plan, PlanStage } from './types';

/** Whether a dataset the stage reads or writes declares `pii`: then what DuckDB says of values must not be shown. */
export function touchesPii({ datasets, sensed = {} }: Pick<Plan, 'datasets' | 'sensed'>, stage: Pick<PlanStage, 'spec'>): boolean {
  return touched(stage.spec).some((name) => ((datasets[name] ?? sensed[name])?.pii ?? []).length > 0);
}

function touched(spec: PlanStage['spec']): string[] {
  switch (spec.kind) {
    case 'ingest':
      return [spec.writes];
    case 'sense':
      return [];
    case 'compute':
      return [...Object.values(spec.reads ?? {}).map(readDataset), ...(spec.writes === undefined ? [] : [spec.writes])];
    case 'check':
    case 'publish':
      return datasetsOf(spec);
  }
}
