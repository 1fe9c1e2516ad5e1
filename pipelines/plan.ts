/**
 * Frozen plans. A stage's hash covers what decides its rows: texts, the params they use, engine settings, output
 * schema, what it reads, and the hashes of its needs. Owner, schedule, timeouts, pools and waiting are left out, so that
 * changing them makes nothing stale. So is which engine computes, declared, ruled or forced: both come to the same rows, and
 * either adopts the other's candidate; the texts of all engines are in the hash, whichever runs.
 */
import { canonicalJson } from './canonical';
import { durationMs } from './duration';
import { isSparkVariant, sparkVariant } from './engine-texts';
import { AlmanacError } from './failures';
import { carriersOf, graphOf, layers, writtenBy } from './graph';
import { overriddenParams } from './param-values';
import { textsOf } from './quality/metric-texts';
import { BUILT_IN_PLACEHOLDERS, placeholdersOf, unknownPlaceholder } from './sql-text';
import type { DatasetSpec, EngineName, ParamValue, PipelineSpec, Plan, PlanStage, StageOutline, StageSpec } from './types';

const DEFAULT_TIMEOUT_SECONDS = 3600;

/** Hash of a text; the same function everywhere, since stored plans are compared with new ones. */
export type Hash = (text: string) => string;

type Params = Readonly<Record<string, ParamValue>>;

/**
 * The plan of a pipeline. `texts` holds the files of `pipelines/ID/sql` by name. Throws `pipeline.invalid` for a text
 * that is not there, `sql.placeholder` for a placeholder nobody fills, `param.invalid` for an override that does not fit.
 */
export function buildPlan(spec: PipelineSpec, texts: ReadonlyMap<string, string>, overrides: Params, hash: Hash): Plan {
  const params = overriddenParams(spec, overrides);
  const nodes = new Map(graphOf(spec.stages).map((node) => [node.id, node.needs]));
  const planned = new Map<string, PlanStage>();
  for (const id of layers(graphOf(spec.stages)).flat()) {
    const stage = spec.stages[id];
    if (stage === undefined) continue;
    const needs = nodes.get(id) ?? [];
    const upstream = needs.map((need) => planned.get(need)?.hash ?? '');
    planned.set(id, planStage(spec, id, stage, { needs, upstream, params, texts, hash }));
  }
  const stages = Object.keys(spec.stages).flatMap((id) => planned.get(id) ?? []);
  const foreign = spec.sensed === undefined ? {} : { sensed: spec.sensed };
  const body = { pipeline: spec.id, chain: spec.chain, window: spec.window, params, datasets: spec.datasets, stages, ...foreign };
  return { hash: hash(canonicalJson(body)), ...body };
}

/** The plan with every stage that computes on `engine`; the hashes of its stages stay as they are. */
export function withEngine(plan: Plan, engine: EngineName | undefined, hash: Hash): Plan {
  if (engine === undefined || engine === plan.engine) return plan;
  const { hash: _hash, ...rest } = plan;
  const body = { ...rest, engine };
  return { hash: hash(canonicalJson(body)), ...body };
}

interface StageContext {
  readonly needs: readonly string[];
  readonly upstream: readonly string[];
  readonly params: Params;
  readonly texts: ReadonlyMap<string, string>;
  readonly hash: Hash;
}

function planStage(spec: PipelineSpec, id: string, stage: StageSpec, context: StageContext): PlanStage {
  const files = filesOf(stage, context.texts);
  const hashes = {
    sqlHash: hashOf(spec, id, files.sql, context),
    bootstrapHash: hashOf(spec, id, files.bootstrap, context),
    sparkHash: hashOf(spec, id, files.spark, context),
    sparkBootstrapHash: hashOf(spec, id, files.sparkBootstrap, context),
  };
  const used = new Set<string>();
  for (const file of Object.values(files)) {
    if (file !== undefined)
      collectParams(spec, placeholdersIn(context.texts.get(file) ?? '', `pipelines/${spec.id}/sql/${file}`), context.params, used);
  }
  if (stage.kind === 'check') {
    for (const { id: check, measure } of stage.suite.checks) {
      for (const text of textsOf(measure)) collectParams(spec, placeholdersIn(text, `the SQL of check ${check}`), context.params, used);
    }
  }
  const names = [...used].sort();
  const body = {
    kind: stage.kind,
    ...hashes,
    params: Object.fromEntries(names.map((name) => [name, context.params[name]])),
    settings: settingsOf(stage),
    schema: schemaOf(spec.datasets, stage),
    carried: carriedBy(spec, stage, context),
    upstream: Object.fromEntries(context.needs.map((need, at) => [need, context.upstream[at]])),
  };
  return {
    id,
    kind: stage.kind,
    needs: context.needs,
    timeoutSeconds: stage.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS,
    ...(stage.pool === undefined ? {} : { pool: { name: stage.pool.name, permits: stage.pool.permits ?? 1 } }),
    hash: context.hash(canonicalJson(body)),
    spec: stage,
    ...given(hashes),
    ...(names.length === 0 ? {} : { params: names }),
  };
}

/**
 * What an ingest goes on from was made by these stages: changed, they have to make it of everything again. Their hashes cannot be part of its
 * own, which is part of theirs.
 */
function carriedBy(spec: PipelineSpec, stage: StageSpec, { params, texts, hash }: StageContext): unknown {
  if (stage.kind !== 'ingest' || stage.folders !== 'every') return undefined;
  return carriersOf(spec.stages, stage.writes).map((id) => {
    const carrier = spec.stages[id];
    if (carrier?.kind !== 'compute') return id;
    const { sql, spark } = filesOf(carrier, texts);
    const [text, variant] = [textOf(spec, id, sql, texts) ?? '', textOf(spec, id, spark, texts)];
    const found = [...placeholdersOf(text), ...placeholdersOf(variant ?? '', 'spark')];
    const used = found.flatMap(({ name }) => (Object.hasOwn(params, name) ? [[name, params[name]]] : []));
    return {
      id,
      text: hash(text),
      spark: variant && hash(variant),
      params: used,
      settings: settingsOf(carrier),
      schema: schemaOf(spec.datasets, carrier),
    };
  });
}

/** The files of a stage's texts; variants for Spark where they are there. */
function filesOf(
  stage: StageSpec,
  texts: ReadonlyMap<string, string>,
): Record<'sql' | 'bootstrap' | 'spark' | 'sparkBootstrap', string | undefined> {
  const { sql, bootstrap } = stage.kind === 'compute' ? stage : {};
  const variant = (file: string | undefined): string | undefined => {
    const name = file === undefined ? undefined : sparkVariant(file);
    return name !== undefined && texts.has(name) ? name : undefined;
  };
  return { sql, bootstrap, spark: variant(sql), sparkBootstrap: variant(bootstrap) };
}

function hashOf(spec: PipelineSpec, id: string, file: string | undefined, { texts, hash }: StageContext): string | undefined {
  const text = textOf(spec, id, file, texts);
  return text === undefined ? undefined : hash(text);
}

/** Without the members that are undefined. */
function given<T extends Readonly<Record<string, string | undefined>>>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

function textOf(spec: PipelineSpec, id: string, file: string | undefined, texts: ReadonlyMap<string, string>): string | undefined {
  if (file === undefined) return undefined;
  const text = texts.get(file);
  if (text === undefined) {
    throw new AlmanacError(
      'pipeline.invalid',
      `The pipeline "${spec.id}" is invalid at stages.${id}: there is no file pipelines/${spec.id}/sql/${file}.`,
      {
        next: `Write pipelines/${spec.id}/sql/${file}, or correct the name in stage ${id}.`,
        details: { pipeline: spec.id, stage: id, file },
      },
    );
  }
  return text;
}

interface NamedPlaceholder {
  readonly name: string;
  readonly line: number;
  readonly text: string;
}

function placeholdersIn(text: string, textName: string): NamedPlaceholder[] {
  return placeholdersOf(text, isSparkVariant(textName) ? 'spark' : 'duckdb').map(({ name, line }) => ({ name, line, text: textName }));
}

function collectParams(spec: PipelineSpec, found: readonly NamedPlaceholder[], params: Params, used: Set<string>): void {
  for (const { name, line, text } of found) {
    if (BUILT_IN_PLACEHOLDERS.includes(name)) continue;
    if (!Object.hasOwn(params, name))
      throw unknownPlaceholder(name, line, text, [...BUILT_IN_PLACEHOLDERS, ...Object.keys(spec.params ?? {})]);
    used.add(name);
  }
}

/** What of the declaration decides a stage's rows or verdict, beside texts and schema. */
function settingsOf(stage: StageSpec): unknown {
  switch (stage.kind) {
    case 'ingest':
      return {
        landing: stage.landing,
        reference: stage.reference,
        eventTime: stage.eventTime,
        writes: stage.writes,
        folders: stage.folders === 'window' ? undefined : stage.folders,
        header: stage.header,
        names: stage.names,
        folderDate: stage.folderDate,
      };
    case 'sense':
      // A marker, quiet or a publication is waiting; which accepted windows are pinned decides what is read.
      return (stage.resolved ?? []).filter(({ kind }) => kind === 'accepted');
    case 'compute':
      // The engine that plans of older builds named, so that their hashes stay.
      return {
        engine: stage.engine === 'none' ? 'none' : 'duckdb',
        each: stage.each ?? 'version',
        reads: stage.reads ?? {},
        writes: stage.writes,
      };
    case 'check':
      // Everything but what says how a failure is shown and to whom.
      return stage.suite.checks.map(({ why: _why, owner: _owner, sample: _sample, ...judged }) => judged);
    case 'publish':
      return { mode: stage.mode, tables: stage.tables };
  }
}

/** Kind and masking of a dataset say how it is kept and shown, not what is in it. */
function schemaOf(datasets: Readonly<Record<string, DatasetSpec>>, stage: StageSpec): unknown {
  const name = writtenBy(stage);
  const dataset = name === undefined ? undefined : datasets[name];
  if (dataset === undefined) return undefined;
  // The order of columns is part of the schema, and canonical JSON sorts members.
  return {
    columns: Object.entries(dataset.columns),
    key: dataset.key,
    buckets: dataset.buckets,
    optional: dataset.optional,
    file: dataset.file,
  };
}

/** What the workflow gets of a plan. */
export function outline(plan: Plan): StageOutline[] {
  return plan.stages.map(({ id, kind, needs, timeoutSeconds, pool, spec }) => {
    const patience = spec.kind === 'sense' && spec.patience !== undefined ? durationMs(spec.patience) : undefined;
    return {
      id,
      kind,
      needs,
      timeoutSeconds,
      ...(patience === undefined ? {} : { patienceSeconds: patience / 1000 }),
      ...(pool && { pool }),
    };
  });
}

/** Why a stage of two plans has another hash; every reason that holds. */
export type ChangeReason = 'text' | 'params' | 'schema' | 'declaration' | 'upstream';

export interface PlanDiff {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly { readonly stage: string; readonly reasons: readonly ChangeReason[] }[];
}

/** What differs between two plans of one pipeline, stage by stage. Equal hashes mean nothing differs that matters. */
export function planDiff(before: Plan, after: Plan): PlanDiff {
  const old = new Map(before.stages.map((stage) => [stage.id, stage]));
  const now = new Map(after.stages.map((stage) => [stage.id, stage]));
  return {
    added: after.stages.map(({ id }) => id).filter((id) => !old.has(id)),
    removed: before.stages.map(({ id }) => id).filter((id) => !now.has(id)),
    changed: after.stages.flatMap((stage) => {
      const was = old.get(stage.id);
      if (was === undefined || was.hash === stage.hash) return [];
      return [{ stage: stage.id, reasons: reasonsOf(before, after, was, stage) }];
    }),
  };
}

const TEXT_HASHES = ['sqlHash', 'bootstrapHash', 'sparkHash', 'sparkBootstrapHash'] as const;

function reasonsOf(before: Plan, after: Plan, was: PlanStage, is: PlanStage): ChangeReason[] {
  const differ = (a: unknown, b: unknown): boolean => canonicalJson(a ?? null) !== canonicalJson(b ?? null);
  const hashes = (plan: Plan, stage: PlanStage): unknown =>
    stage.needs.map((need) => [need, plan.stages.find(({ id }) => id === need)?.hash]);
  const values = (plan: Plan, stage: PlanStage): unknown => (stage.params ?? []).map((name) => [name, plan.params[name]]);
  const reasons: ChangeReason[] = [];
  if (TEXT_HASHES.some((member) => was[member] !== is[member])) reasons.push('text');
  if (differ(values(before, was), values(after, is))) reasons.push('params');
  if (differ(schemaOf(before.datasets, was.spec), schemaOf(after.datasets, is.spec))) reasons.push('schema');
  if (was.kind !== is.kind || differ(settingsOf(was.spec), settingsOf(is.spec))) reasons.push('declaration');
  if (differ(hashes(before, was), hashes(after, is))) reasons.push('upstream');
  return [...new Set([...reasons, ...carrierReasons(before, after, is)])];
}

/** Of an ingest that goes on from what other stages made: why those make it otherwise now. */
function carrierReasons(before: Plan, after: Plan, { spec }: PlanStage): ChangeReason[] {
  if (spec.kind !== 'ingest' || spec.folders !== 'every') return [];
  const carriers = carriersOf(Object.fromEntries(after.stages.map((stage) => [stage.id, stage.spec])), spec.writes);
  return carriers.flatMap((id): ChangeReason[] => {
    const [was, is] = [before, after].map(({ stages }) => stages.find((stage) => stage.id === id));
    if (is === undefined) return [];
    return was === undefined ? ['declaration'] : reasonsOf(before, after, was, is).filter((reason) => reason !== 'upstream');
  });
}
