import { engineText } from '../../pipelines/engine-texts';
import { AlmanacError } from '../../pipelines/failures';
import { renderSql, windowValues } from '../../pipelines/sql-text';
import type { ComputeSpec, DatasetSpec, EngineName, StageOutput, VersionRef } from '../../pipelines/types';
import type { StageBody, StageContext } from '../stage';
import { candidateKey } from '../storage/candidate-key';
import type { DataFile, Manifest } from '../storage/manifest';
import { resolveInputs, type Input } from './compute-inputs';
import { exportVersion } from './export-version';
import type { WrittenVersion } from './written-version';

/** Everything of a computation that does not depend on its engine. */
export interface Computation {
  readonly spec: ComputeSpec;
  readonly dataset: string;
  readonly output: DatasetSpec;
  readonly inputs: readonly Input[];
  /** Runs the text that computes from all landing data. */
  readonly usesBootstrap: boolean;
  /** Of the candidate: the same for every attempt that means the same rows. */
  readonly key: string;
}

/** What an engine runs: the rendered text and the file it came from. */
export interface RenderedText {
  readonly text: string;
  readonly textName: string;
}

/** What a join point has to tell. */
const NOTHING: StageOutput = { versions: [], rowsIn: 0, rowsOut: 0, bytesIn: 0, bytesOut: 0 };

/** A compute stage: nothing for a join point, the version of an earlier attempt where there is one, else what `compute` makes. */
export function computing(compute: (context: StageContext, computation: Computation) => Promise<StageOutput>): StageBody {
  return async (context) => {
    const computation = await computationOf(context);
    if (computation === undefined) return NOTHING;
    const earlier = await earlierVersion(context, computation);
    if (earlier) return { ...stageOutput(computation.inputs, earlier), adopted: true };
    return compute(context, computation);
  };
}

/** What the stage is to compute; undefined for a join point, which computes nothing. */
async function computationOf(context: StageContext): Promise<Computation | undefined> {
  const spec = computeSpec(context);
  if (spec.engine === 'none' || spec.writes === undefined) return undefined;
  const usesBootstrap = context.bootstrap && context.stage.bootstrapHash !== undefined;
  const inputs = await resolveInputs(context, spec, usesBootstrap);
  const key = candidateKey({
    run: context.run,
    stage: context.stage.id,
    stageHash: context.stage.hash,
    inputs: refsOf(inputs),
    bootstrap: context.bootstrap,
  });
  const output = context.plan.datasets[spec.writes];
  if (output === undefined) throw lacking(context, `the dataset ${spec.writes}`);
  return { spec, dataset: spec.writes, output, inputs, usesBootstrap, key };
}

/** The text of the stage for an engine. Throws `sql.placeholder`. */
export async function renderedText(context: StageContext, { usesBootstrap }: Computation, engine: EngineName): Promise<RenderedText> {
  const { plan, stage, window } = context;
  const found = engineText(stage, engine, usesBootstrap);
  if (found === undefined) throw lacking(context, 'its SQL text');
  const textName = `pipelines/${plan.pipeline}/sql/${found.file}`;
  return { text: renderSql(await context.text(found.hash), { ...windowValues(window), ...plan.params }, textName, engine), textName };
}

/** The version that an earlier attempt finished, with its export. */
async function earlierVersion(context: StageContext, { dataset, key }: Computation): Promise<Manifest | undefined> {
  const earlier = await context.datasets.find(dataset, context.window.key, key);
  if (earlier === undefined) return undefined;
  context.log(`an earlier attempt finished ${earlier.dataset} version ${earlier.version}: ${earlier.rows} rows adopted`);
  await exportVersion(context, earlier);
  return earlier;
}

/** Commits what an engine wrote as the candidate of this computation, and exports the version that won. */
export async function commitVersion(
  context: StageContext,
  computation: Computation,
  engine: EngineName,
  written: WrittenVersion,
): Promise<Manifest> {
  const { dataset, key, inputs } = computation;
  const manifest = await timed(context, `committed ${dataset}`, () =>
    context.datasets.commit({
      ...written,
      dataset,
      window: context.window.key,
      key,
      rowsIn: rowsIn(inputs),
      provenance: {
        run: context.run,
        stage: context.stage.id,
        attempt: context.attempt,
        stageHash: context.stage.hash,
        inputs: refsOf(inputs),
        ...(context.bootstrap && { bootstrap: true as const }),
        ...(engine !== 'duckdb' && { engine }),
      },
    }),
  );
  await context.point('committed');
  await exportVersion(context, manifest);
  return manifest;
}

function refsOf(inputs: readonly Input[]): VersionRef[] {
  return inputs.flatMap((input) => input.refs);
}

function computeSpec({ stage }: StageContext): ComputeSpec {
  if (stage.spec.kind !== 'compute') throw new TypeError(`${stage.id} is a ${stage.spec.kind} stage, not compute`);
  return stage.spec;
}

function lacking({ stage }: StageContext, what: string): AlmanacError {
  return new AlmanacError('internal', `The plan of stage ${stage.id} lacks ${what}.`, {
    next: '`almanac validate`, then start the run anew with `--again`.',
  });
}

export function stageOutput(inputs: readonly Input[], manifest: Manifest): StageOutput {
  const { dataset, window, version, digest, rows, bytes, provenance } = manifest;
  const ref: VersionRef = { dataset, window, version, digest };
  const { engine } = provenance;
  return {
    ...{ versions: [ref], rowsIn: rowsIn(inputs), rowsOut: rows, bytesIn: bytesIn(inputs), bytesOut: bytes },
    ...(engine === undefined ? {} : { engine }),
  };
}

export function filesOf(inputs: readonly Input[]): DataFile[] {
  return inputs.flatMap(({ manifests }) => manifests.flatMap(({ files }) => files));
}

export function rowsIn(inputs: readonly Input[]): number {
  return read(inputs, 'rows');
}

export function bytesIn(inputs: readonly Input[]): number {
  return read(inputs, 'bytes');
}

function read(inputs: readonly Input[], what: 'rows' | 'bytes'): number {
  return inputs.flatMap(({ manifests }) => manifests).reduce((sum, manifest) => sum + manifest[what], 0);
}

export async function timed<T>(context: StageContext, what: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await work();
  context.log(`${what}: ${((performance.now() - started) / 1000).toFixed(3)} s`);
  return result;
}
