/**
 * What an author of pipelines imports: `definePipeline`, the constructors of its stages, `defineProject`. Declarations
 * are plain literals; names of siblings are checked by the compiler, everything else when the module is loaded.
 */
import * as checks from './quality/constraints';
import { cronProblem } from './cron-times';
import { AlmanacError } from './failures';
import { hookProblems, type Hooks } from './notify';
import { poolProblems, type Pools } from './pool-rules';
import type { Problem } from './rules';
import { problemsOf } from './rules';
import { projectSenseProblems, resolveSenses } from './sense-rules';
import type {
  CheckSpec,
  ComputeSpec,
  DatasetSpec,
  IngestSpec,
  LiveTableSpec,
  PipelineSpec,
  PublishSpec,
  Read,
  ScheduleSpec,
  SenseCondition,
  SenseSpec,
  StageSpec,
  SuiteSpec,
  WindowSpec,
} from './types';

export { AlmanacError } from './failures';
export { command, webhook } from './notify';
// The rules of gates as functions, for who looks closer at a version or a series by hand.
export { absoluteChanges, differences, outsideRange, ratios, relativeChanges } from './quality/change';
export type { ChangeBounds, SearchInterval } from './quality/change';
export { chiSquareDistance, maximumDistance } from './quality/distances';
export { isRowLevel, rowLevelSql } from './quality/row-level';
export type { RowLevelMetric, RowLevelRequest } from './quality/row-level';
export type { CommandSpec, HookSpec, Hooks, NoticeKind, NoticeMessage, WebhookSpec } from './notify';
export type {
  Band,
  CheckDeclaration,
  CheckSpec,
  ColumnType,
  ComputeSpec,
  DatasetSpec,
  EngineName,
  IngestSpec,
  LiveTableSpec,
  Metric,
  ParamValue,
  PipelineSpec,
  PreviousRead,
  PublishSpec,
  Read,
  ScheduleSpec,
  SenseCondition,
  SensedRead,
  SensedWindows,
  SenseSpec,
  StageSpec,
  SuiteSpec,
  Window,
  WindowSpec,
} from './types';

/** Daily windows from one local midnight to the next. `timezone` is an IANA name; default UTC. */
export function daily(options: { readonly timezone?: string } = {}): WindowSpec {
  return { every: 'day', timezone: options.timezone ?? 'UTC' };
}

/** Weekly windows, the ISO weeks: from one local Monday to the next. `timezone` is an IANA name; default UTC. */
export function weekly(options: { readonly timezone?: string } = {}): WindowSpec {
  return { every: 'week', timezone: options.timezone ?? 'UTC' };
}

/** Windows of so many minutes, a divisor of 1,440, counted from midnight UTC. */
export function everyMinutes(minutes: number): WindowSpec {
  return { every: 'minutes', minutes };
}

/** The version of a dataset that the previous window of an ordered chain accepted. */
export function previous<const D extends string>(dataset: D): { readonly previous: D } {
  return { previous: dataset };
}

/**
 * The version of a dataset that was accepted with what the ingest of `since` goes on from: it holds what was read before, `since` what is
 * new. No rows where everything is read anew, so the text must make the same of all at once as of one after the other.
 */
export function carried<const D extends string, const S extends string>(dataset: D, since: S): { readonly previous: D; readonly since: S } {
  return { previous: dataset, since };
}

/** The versions of another pipeline's dataset that a sense stage found accepted, those of all its windows together. */
export function sensed<const D extends string>(dataset: D): { readonly sensed: D } {
  return { sensed: dataset };
}

/** Reads the window's landing files, or a reference file, into a version of `writes`. */
export function ingest<const N extends string = never, const W extends string = string>(
  spec: Omit<IngestSpec, 'kind' | 'needs' | 'writes'> & { readonly needs?: readonly N[]; readonly writes: W },
): IngestSpec & { readonly needs?: readonly N[]; readonly writes: W } {
  return { ...spec, kind: 'ingest' };
}

/** Waits until all its conditions hold: windows of other pipelines accepted or published, a marker there, a landing folder quiet. */
export function sense<const N extends string = never, const C extends readonly SenseCondition[] = readonly SenseCondition[]>(
  spec: Omit<SenseSpec, 'kind' | 'needs' | 'resolved' | 'conditions'> & { readonly needs?: readonly N[]; readonly conditions: C },
): SenseSpec & { readonly needs?: readonly N[]; readonly conditions: C } {
  return { ...spec, kind: 'sense' };
}

/** Runs one SQL text over what it `reads` and writes one version of `writes`. */
export function compute<
  const N extends string = never,
  const R extends Readonly<Record<string, Read>> = Record<never, never>,
  const W extends string = never,
>(
  spec: Omit<ComputeSpec, 'kind' | 'needs' | 'reads' | 'writes'> & {
    readonly needs?: readonly N[];
    readonly reads?: R;
    readonly writes?: W;
  },
): ComputeSpec & { readonly needs?: readonly N[]; readonly reads?: R; readonly writes?: W } {
  return { ...spec, kind: 'compute' };
}

/** Judges what the run wrote; nothing is accepted while a `fail` band is breached. */
export function check<const N extends string = never, const D extends string = string, const S extends string = never>(
  spec: Omit<CheckSpec, 'kind' | 'needs' | 'suite'> & { readonly needs?: readonly N[]; readonly suite: SuiteSpec<D, S> },
): CheckSpec & { readonly needs?: readonly N[]; readonly suite: SuiteSpec<D, S> } {
  return { ...spec, kind: 'check' };
}

/** Puts accepted versions live in Postgres: all its tables in one flip. */
export function publish<const N extends string = never, const F extends string = string>(
  spec: Omit<PublishSpec, 'kind' | 'needs' | 'tables'> & {
    readonly needs?: readonly N[];
    readonly tables: Readonly<Record<string, LiveTableOf<F>>>;
  },
): PublishSpec & { readonly needs?: readonly N[]; readonly tables: Readonly<Record<string, LiveTableOf<F>>> } {
  return { ...spec, kind: 'publish' };
}

type LiveTableOf<F extends string> = Omit<LiveTableSpec, 'from'> & { readonly from: F };

/** Checks declared apart from their stage, with the names they use kept for the compiler. */
export function suite<const D extends string, const S extends string = never>(spec: SuiteSpec<D, S>): SuiteSpec<D, S> {
  return spec;
}

/** A name is held to `Known` where the compiler knows the literal; names computed as plain strings are left to run time. */
type Named<T, Known> = T extends string ? (string extends T ? T : Known) : T;

/** What a stage must be assignable to, given the ids of its siblings, the names of the datasets and of those sensed. */
type StageAmong<T, Id, D, X> = (T extends { readonly needs?: readonly (infer N)[] }
  ? { readonly needs?: readonly Named<N, Id>[] }
  : unknown) &
  (T extends { readonly writes?: infer W } ? { readonly writes?: Named<W, D> } : unknown) &
  (T extends { readonly kind: 'compute'; readonly reads?: infer R } ? { readonly reads?: ReadsAmong<R, D, X> } : unknown) &
  (T extends { readonly suite: SuiteSpec<infer C, infer S> }
    ? { readonly suite: SuiteSpec<Extract<Named<C, D>, string>, Extract<Named<S, Id>, string>> }
    : unknown) &
  (T extends { readonly tables: Readonly<Record<string, LiveTableOf<infer F>>> }
    ? { readonly tables: Readonly<Record<string, { readonly from: Named<F, D> }>> }
    : unknown);

type ReadsAmong<R, D, X> = {
  readonly [A in keyof R]: R[A] extends { readonly previous: infer P }
    ? { readonly previous: Named<P, D> }
    : R[A] extends { readonly sensed: infer P }
      ? { readonly sensed: Named<P, X> }
      : Named<R[A], D>;
};

/** Datasets that some sense stage waits for by name. */
type SensedIn<S> = {
  [K in keyof S]: S[K] extends { readonly kind: 'sense'; readonly conditions: readonly (infer C)[] } ? AcceptedDataset<C> : never;
}[keyof S];
type AcceptedDataset<C> = C extends { readonly accepted: { readonly dataset: infer D } } ? D : never;

/** An ordered chain has no holes: every slot runs, none is skipped, none overtakes. */
type ChainPolicy =
  | {
      readonly chain: 'ordered';
      readonly schedule?: ScheduleSpec & { readonly catchUp: 'all'; readonly overlap: 'queue'; readonly gap: 'shift' };
    }
  | { readonly chain: 'independent'; readonly schedule?: ScheduleSpec };

type Declaration<D, S> = Omit<PipelineSpec, 'chain' | 'schedule' | 'datasets' | 'stages' | 'sensed'> &
  ChainPolicy & {
    readonly datasets: D & Readonly<Record<string, DatasetSpec>>;
    readonly stages: S &
      Readonly<Record<string, StageSpec>> & { readonly [K in keyof S]: StageAmong<S[K], keyof S & string, keyof D & string, SensedIn<S>> };
  };

/**
 * Declares a pipeline. Throws `pipeline.invalid` listing every place that is wrong: a cycle (with its path), a dataset
 * nobody writes or two write, an unknown name, a policy that would leave a hole in an ordered chain.
 */
export function definePipeline<D extends Readonly<Record<string, DatasetSpec>>, S extends Readonly<Record<string, StageSpec>>>(
  spec: Declaration<D, S>,
): PipelineSpec {
  const declared: PipelineSpec = spec;
  const problems = [...problemsOf(declared), ...cronProblems(declared)];
  if (problems.length > 0) throw invalid(`The pipeline "${declared.id}"`, problems);
  return declared;
}

/** The pipelines of one project, as its almanac.config.ts exports them. */
export interface ProjectSpec {
  readonly pipelines: readonly PipelineSpec[];
  /** Who is told of holds, failures and deadlines: hooks by name (docs/operating.md). */
  readonly notify?: Hooks;
  /** Pools by name, with the permits each has unless an operator sets others (`almanac pool set`). */
  readonly pools?: Pools;
}

/**
 * Lists the pipelines of a project and its hooks. Throws `pipeline.invalid` when two pipelines share an id, a dataset or a live table,
 * for what a sense stage waits for that no pipeline has, for pipelines that wait for each other, for a pool that is not declared or too
 * small for a stage, and for a hook that cannot work or holds a secret.
 */
export function defineProject(spec: ProjectSpec): ProjectSpec {
  const owners = new Map<string, string>();
  const problems: Problem[] = [];
  const claim = (what: string, pipeline: string): void => {
    const owner = owners.get(what);
    if (owner !== undefined) {
      problems.push({
        place: pipeline,
        message: owner === pipeline ? `the ${what} is declared twice` : `the ${what} belongs to "${owner}" already`,
      });
    }
    owners.set(what, pipeline);
  };
  for (const pipeline of spec.pipelines) {
    claim(`pipeline id "${pipeline.id}"`, pipeline.id);
    for (const dataset of Object.keys(pipeline.datasets)) claim(`dataset "${dataset}"`, pipeline.id);
    for (const stage of Object.values(pipeline.stages)) {
      if (stage.kind === 'publish') for (const table of Object.keys(stage.tables)) claim(`live table "${table}"`, pipeline.id);
    }
  }
  problems.push(
    ...hookProblems(
      spec.notify ?? {},
      spec.pipelines.map(({ id }) => id),
    ),
  );
  problems.push(...poolProblems(spec.pools ?? {}, spec.pipelines));
  if (problems.length === 0) problems.push(...projectSenseProblems(spec.pipelines));
  if (problems.length > 0) throw invalid('The project', problems);
  return { ...spec, pipelines: resolveSenses(spec.pipelines) };
}

function cronProblems({ schedule }: PipelineSpec): Problem[] {
  const problem = schedule === undefined ? undefined : cronProblem(schedule.cron);
  if (schedule === undefined || problem === undefined) return [];
  return [{ place: 'schedule.cron', message: `"${schedule.cron}" is no cron text of five fields: ${problem}` }];
}

function invalid(what: string, problems: readonly Problem[]): AlmanacError {
  const [first] = problems;
  const list = problems.map(({ place, message }) => `${place}: ${message}`);
  const message =
    list.length === 1 ? `${what} is invalid at ${list.join('')}.` : `${what} is invalid:\n${list.map((line) => `  ${line}`).join('\n')}`;
  return new AlmanacError('pipeline.invalid', message, {
    next: `Correct ${first?.place ?? 'it'} in the declaration, then run \`almanac validate\`.`,
    details: { problems: list },
  });
}

/** Checks by the names deequ gives them, to be spread into a declaration. */
export { checks };
