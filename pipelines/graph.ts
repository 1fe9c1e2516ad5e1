/** The graph of a pipeline's stages: what each needs, in which layers they run, what lies below one. */
import { otherDatasets } from './quality/other-datasets';
import { isPrevious, isSensed } from './reads';
import type { StageSpec } from './types';

export type Stages = Readonly<Record<string, StageSpec>>;

/** A stage with everything it needs, explicit and implied, sorted; {@link StageOutline} is one. */
export interface GraphNode {
  readonly id: string;
  readonly needs: readonly string[];
}

/** Dataset → the stage that writes it; the first one, where a declaration names several. */
export function writersOf(stages: Stages): ReadonlyMap<string, string> {
  const writers = new Map<string, string>();
  for (const [id, stage] of Object.entries(stages)) {
    const dataset = writtenBy(stage);
    if (dataset !== undefined && !writers.has(dataset)) writers.set(dataset, id);
  }
  return writers;
}

export function writtenBy(stage: StageSpec): string | undefined {
  return stage.kind === 'ingest' || stage.kind === 'compute' ? stage.writes : undefined;
}

/** Dataset → the check stage that puts rows of it aside; the first one, where a declaration names several. */
export function cleanersOf(stages: Stages): ReadonlyMap<string, string> {
  const cleaners = new Map<string, string>();
  for (const [id, stage] of Object.entries(stages))
    for (const dataset of cleanedBy(stage)) if (!cleaners.has(dataset)) cleaners.set(dataset, id);
  return cleaners;
}

/** Datasets a stage puts rows of aside, sorted. */
export function cleanedBy(stage: StageSpec): string[] {
  if (stage.kind !== 'check') return [];
  return sorted(stage.suite.checks.flatMap(({ dataset, onFail }) => (onFail === 'quarantine' ? [dataset] : [])));
}

/** Datasets of this run a stage looks at; versions of the previous window are pinned before the run and imply nothing. */
export function datasetsOf(stage: StageSpec): string[] {
  switch (stage.kind) {
    case 'ingest':
    case 'sense':
      return [];
    case 'compute':
      return Object.values(stage.reads ?? {}).flatMap((read) =>
        typeof read === 'string' ? [read] : isPrevious(read) ? (read.since ?? []) : [],
      );
    case 'check':
      return stage.suite.checks.flatMap(({ dataset, measure }) => [dataset, ...otherDatasets(measure)]);
    case 'publish':
      return Object.values(stage.tables).map((table) => table.from);
  }
}

/** Datasets of other pipelines a stage reads, as a sense stage found them. */
export function sensedReads(stage: StageSpec): string[] {
  if (stage.kind !== 'compute') return [];
  return [...new Set(Object.values(stage.reads ?? {}).flatMap((read) => (isSensed(read) ? [read.sensed] : [])))];
}

/** Sense stages that wait for a dataset of another pipeline by its name, once for each condition that does. */
export function sensersOf(stages: Stages, dataset: string): string[] {
  return Object.entries(stages).flatMap(([id, stage]) =>
    stage.kind !== 'sense'
      ? []
      : stage.conditions.flatMap((condition) =>
          'accepted' in condition && 'dataset' in condition.accepted && condition.accepted.dataset === dataset ? [id] : [],
        ),
  );
}

/** Datasets that a sense stage found and other stages read. */
export function readOfSensed(stages: Stages, senser: string): string[] {
  const read = Object.values(stages).flatMap(sensedReads);
  return sorted(read.filter((dataset) => sensersOf(stages, dataset).includes(senser)));
}

/**
 * Stages a stage waits for because of what it looks at: writers of its datasets, gates that put rows of them aside, sense stages, ingests whose
 * quarantine it judges. Sorted.
 */
export function impliedNeeds(stages: Stages, id: string): string[] {
  return implied(stages, writersOf(stages), cleanersOf(stages), id);
}

/** Every stage with explicit and implied needs, in the order of declaration. Names that do not exist are left out. */
export function graphOf(stages: Stages): GraphNode[] {
  const [writers, cleaners] = [writersOf(stages), cleanersOf(stages)];
  return Object.entries(stages).map(([id, stage]) => {
    const explicit = (stage.needs ?? []).filter((need) => Object.hasOwn(stages, need));
    return { id, needs: sorted([...explicit, ...implied(stages, writers, cleaners, id)]) };
  });
}

function implied(stages: Stages, writers: ReadonlyMap<string, string>, cleaners: ReadonlyMap<string, string>, id: string): string[] {
  const stage = stages[id];
  if (stage === undefined) return [];
  const read = datasetsOf(stage);
  const needs = read.flatMap((dataset) => writers.get(dataset) ?? []);
  needs.push(...read.flatMap((dataset) => cleaners.get(dataset) ?? []).filter((cleaner) => cleaner !== id));
  for (const dataset of sensedReads(stage)) needs.push(...sensersOf(stages, dataset));
  if (stage.kind === 'check') {
    for (const { measure } of stage.suite.checks) {
      if (measure.metric === 'quarantine-ratio' && Object.hasOwn(stages, measure.stage)) needs.push(measure.stage);
    }
  }
  return sorted(needs);
}

/**
 * Stages that make what is carried on since an ingest of `dataset`: the writers of what is read so and everything they need, sorted, without
 * the ingest itself. None when nothing is carried since it.
 */
export function carriersOf(stages: Stages, dataset: string): string[] {
  const writers = writersOf(stages);
  const carried = Object.values(stages).flatMap((stage) =>
    stage.kind !== 'compute'
      ? []
      : Object.values(stage.reads ?? {}).flatMap((read) => (isPrevious(read) && read.since === dataset ? [read.previous] : [])),
  );
  const needs = new Map(graphOf(stages).map((node) => [node.id, node.needs]));
  const found = new Set<string>();
  const waiting = carried.flatMap((name) => writers.get(name) ?? []);
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    if (found.has(id)) continue;
    found.add(id);
    waiting.push(...(needs.get(id) ?? []));
  }
  found.delete(writers.get(dataset) ?? '');
  return sorted([...found]);
}

/** A cycle as the path that closes it, `['a', 'b', 'a']`: a needs b, b needs a. */
export function cyclePath(nodes: readonly GraphNode[]): string[] | undefined {
  const needs = new Map(nodes.map((node) => [node.id, node.needs]));
  const finished = new Set<string>();
  for (const { id } of nodes) {
    const path = walk(id, [], needs, finished);
    if (path !== undefined) return path;
  }
  return undefined;
}

function walk(
  id: string,
  trail: readonly string[],
  needs: ReadonlyMap<string, readonly string[]>,
  finished: Set<string>,
): string[] | undefined {
  const at = trail.indexOf(id);
  if (at >= 0) return [...trail.slice(at), id];
  if (finished.has(id)) return undefined;
  for (const need of needs.get(id) ?? []) {
    const path = walk(need, [...trail, id], needs, finished);
    if (path !== undefined) return path;
  }
  finished.add(id);
  return undefined;
}

/** Stages in the order they can run: each layer needs only earlier ones; sorted within a layer. The graph has no cycle. */
export function layers(nodes: readonly GraphNode[]): string[][] {
  const result: string[][] = [];
  const done = new Set<string>();
  let waiting = [...nodes];
  while (waiting.length > 0) {
    const layer = waiting.filter((node) => node.needs.every((need) => done.has(need)));
    if (layer.length === 0) throw new RangeError(`the stages ${waiting.map((node) => node.id).join(', ')} need each other`);
    for (const node of layer) done.add(node.id);
    result.push(sorted(layer.map((node) => node.id)));
    waiting = waiting.filter((node) => !done.has(node.id));
  }
  return result;
}

/** Every stage that needs `id`, directly or through others, in the order of `nodes`; not `id` itself. */
export function downstream(nodes: readonly GraphNode[], id: string): string[] {
  const below = new Set([id]);
  let grew = true;
  while (grew) {
    const size = below.size;
    for (const node of nodes) if (node.needs.some((need) => below.has(need))) below.add(node.id);
    grew = below.size > size;
  }
  return nodes.map((node) => node.id).filter((other) => other !== id && below.has(other));
}

function sorted(ids: readonly string[]): string[] {
  return [...new Set(ids)].sort();
}
