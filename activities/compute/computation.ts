import { AlmanacError } from '../../pipelines/failures';
import { renderSql, windowValues } from '../../pipelines/sql-text';
import type { ComputeSpec, DatasetSpec, StageOutput, VersionRef } from '../../pipelines/types';
import type { StageContext } from '../stage';
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
  /** Rendered text and the file it came from. */
  readonly text: string;
  readonly textName: string;
  /** Of the candidate: the same for every attempt that means the same rows. */
  readonly key: string;
}

/** What a join point has to tell. */
export const NOTHING: StageOutput = { versions: [], rowsIn: 0, rowsOut: 0, bytesIn: 0, bytesOut: 0 };

/** What the stage is to compute; undefined for a join point, which computes nothing. */
export async function computationOf(context: StageContext): Promise<Computation | undefined> {
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
  return { ...(await prepare(context, spec, spec.writes, inputs, usesBootstrap)), key };
}

/** The version that an earlier attempt finished, with its export. */
export async function earlierVersion(context: StageContext, { dataset, key }: Computation): Promise<Manifest | undefined> {
  const earlier = await context.datasets.find(dataset, context.window.key, key);
  if (earlier === undefined) return undefined;
  context.log(`an earlier attempt finished ${earlier.dataset} version ${earlier.version}: ${earlier.rows} rows adopted`);
  await exportVersion(context, earlier);
  return earlier;
}

/** Commits what was written as the candidate of this computation, and exports the version that won. */
export async function commitVersion(context: StageContext, computation: Computation, written: WrittenVersion): Promise<Manifest> {
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

async function prepare(
  context: StageContext,
  spec: ComputeSpec,
  dataset: string,
  inputs: readonly Input[],
  usesBootstrap: boolean,
): Promise<Omit<Computation, 'key'>> {
  const { plan, stage, window } = context;
  const output = plan.datasets[dataset];
  const hash = usesBootstrap ? stage.bootstrapHash : stage.sqlHash;
  if (output === undefined || hash === undefined) {
    throw new AlmanacError('internal', `The plan of stage ${stage.id} lacks ${output ? 'its SQL text' : `the dataset ${dataset}`}.`, {
      next: '`almanac validate`, then start the run anew with `--again`.',
    });
  }
  const textName = `pipelines/${plan.pipeline}/sql/${(usesBootstrap ? spec.bootstrap : spec.sql) ?? hash}`;
  const text = renderSql(await context.text(hash), { ...windowValues(window), ...plan.params }, textName);
  return { spec, dataset, output, inputs, text, textName };
}

export function stageOutput(inputs: readonly Input[], manifest: Manifest): StageOutput {
  const { dataset, window, version, digest } = manifest;
  const ref: VersionRef = { dataset, window, version, digest };
  const bytesIn = read(inputs, 'bytes');
  return { versions: [ref], rowsIn: rowsIn(inputs), rowsOut: manifest.rows, bytesIn, bytesOut: manifest.bytes };
}

export function filesOf(inputs: readonly Input[]): DataFile[] {
  return inputs.flatMap(({ manifests }) => manifests.flatMap(({ files }) => files));
}

export function rowsIn(inputs: readonly Input[]): number {
  return read(inputs, 'rows');
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
