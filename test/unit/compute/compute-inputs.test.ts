import { passViews, resolveInputs, type Input } from '../../../activities/compute/compute-inputs';
import type { Manifest } from '../../../activities/storage/manifest';
import { compute, sense, sensed } from '../../../pipelines/define';
import type { ColumnType, Plan, PlanStage, StageOutput, StageSpec, VersionRef } from '../../../pipelines/types';

const version = (window: string, dataset = 'ticks'): VersionRef => ({ dataset, window, version: `v-${window}`, digest: `d-${window}` });

function manifest(window: string, columns: Readonly<Record<string, ColumnType>>): Manifest {
  const named = Object.entries(columns).map(([name, type]) => ({ name, type }));
  return {
    ...version(window),
    columns: named,
    files: [{ path: `${window}.parquet`, rows: 2, bytes: 1, sha256: 's' }],
  } as unknown as Manifest;
}

function planStage(id: string, spec: StageSpec): PlanStage {
  return { id, kind: spec.kind, needs: [], timeoutSeconds: 1, hash: id, spec };
}

const reader = compute({ reads: { theirs: sensed('ticks') }, sql: 'read.sql', writes: 'ours' });
const wait = planStage('wait', sense({ conditions: [{ accepted: { dataset: 'ticks' } }] }));
const read = planStage('read', reader);
const plan = { datasets: {}, sensed: { ticks: { columns: { n: 'bigint' } } }, stages: [wait, read] } as unknown as Plan;

function resolve(outputs: Readonly<Record<string, Pick<StageOutput, 'sensed'>>>): Promise<Input[]> {
  const datasets = { manifest: ({ window }: Pick<VersionRef, 'window'>) => Promise.resolve(manifest(window, { n: 'bigint' })) };
  return resolveInputs({ plan, stage: read, inputs: {}, outputs: outputs as Record<string, StageOutput>, datasets }, reader, false);
}

test('what a sense stage pinned is read, of all its windows and of nothing else that they accepted', async () => {
  const found = ['w1', 'w2'].map((window) => ({
    ...{ kind: 'accepted' as const, pipeline: 'others', window, sequence: 1 },
    versions: [version(window), version(window, 'notes')],
  }));
  const [input] = await resolve({ wait: { sensed: found } });
  expect(input?.refs).toEqual([version('w1'), version('w2')]);
  await expect(resolve({ wait: {} })).rejects.toMatchObject({
    code: 'internal',
    message: 'The stage read reads ticks, of which no sense stage found a version.',
  });
});

test('versions of one layout are one scan, those of another declaration are added by the names of columns', () => {
  const manifests = [manifest('w1', { n: 'bigint' }), manifest('w2', { n: 'bigint' }), manifest('w3', { n: 'bigint', note: 'text' })];
  const input: Input = { alias: 'theirs', spec: { columns: { n: 'bigint' } }, refs: manifests, manifests };
  expect(passViews([input], undefined, (path) => path)).toEqual({
    rows: 6,
    sql:
      `create or replace view "theirs" as select "n"::BIGINT as "n" from read_parquet(['w1.parquet', 'w2.parquet']) union all by name ` +
      `select "n"::BIGINT as "n", "note"::VARCHAR as "note" from read_parquet(['w3.parquet'])`,
  });
});
