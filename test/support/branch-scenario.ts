import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { acceptWindow } from '../../activities/accept-window';
import { planReader } from '../../activities/ledger/plans';
import { endRun, latestRun, runKey, type RunRow } from '../../activities/ledger/runs';
import { recordVersion } from '../../activities/storage/catalog';
import { stepBackfill } from '../../operator/backfills/step';
import { makeBackfill } from '../../operator/backfills/plan';
import { showBackfill, startBackfill } from '../../operator/backfills/verbs';
import { startRun } from '../../operator/runs/start';
import type { BackfillState } from '../../pipelines/backfill-steps';
import { formatRun, MAIN_BRANCH } from '../../pipelines/run-id';
import type { StageOutput, VersionRef } from '../../pipelines/types';
import type { TestSession } from './operator-session';

const COLUMNS = [
  { name: 'user_id', type: 'text' },
  { name: 'plays', type: 'bigint' },
  { name: 'share', type: 'double' },
] as const;

export const day = (at: number): string => `2026-01-${String(at).padStart(2, '0')}`;

/** The chain `plays`, whose runs are brought to their end here instead of by workers: the rows of a window are named by a label. */
export class BranchScenario {
  constructor(readonly session: TestSession) {}

  /** Runs windows of `main`, each with rows named after the label. */
  async main(label: string, ...days: readonly number[]): Promise<void> {
    for (const at of days) {
      const { run } = await startRun(this.session, { pipeline: 'plays', window: day(at), again: await this.isAccepted(at) });
      await this.finish(await this.row(run.window, run.branch), label);
    }
  }

  /** Plans days to be built again, on a branch; nothing is built yet. */
  async started(from: number, to: number): Promise<string> {
    const request = { pipeline: 'plays', from: day(from), to: day(to), reprocess: 'all', fromStage: null, order: 'forward' } as const;
    const { hash } = await makeBackfill(this.session, request, 1);
    await startBackfill(this.session, hash, 'new rules');
    return hash;
  }

  /** Steps the controller, ending every run it begins, until it has nothing to do. */
  async drive(hash: string, label: string): Promise<BackfillState> {
    for (let steps = 0; steps < 100; steps++) {
      const { idle } = await stepBackfill(this.session, hash);
      for (const row of await this.openRuns()) await this.finish(row, label);
      if (idle) return (await showBackfill(this.session, hash)).state;
    }
    throw new Error('the controller comes to no end');
  }

  async built(from: number, to: number, label: string): Promise<string> {
    const hash = await this.started(from, to);
    const state = await this.drive(hash, label);
    if (state !== 'built') throw new Error(`the branch is ${state}`);
    return hash;
  }

  /** The label of every window that is accepted on a branch, as readers of the store see it. */
  async labels(branch = MAIN_BRANCH): Promise<Record<string, string>> {
    const { datasets } = this.session;
    const found: Record<string, string> = {};
    for (const window of await datasets.acceptedWindows('plays', branch)) {
      const set = await datasets.accepted('plays', branch, window);
      found[window] = set?.versions[0]?.digest.split(' ')[0] ?? '';
    }
    return found;
  }

  /** The same, as the catalog has it. */
  async catalogued(branch = MAIN_BRANCH): Promise<Record<string, string>> {
    const { rows } = await this.session.database.query<{ window_key: string; digest: string }>(
      `select a.window_key, v.digest from almanac.accepted_version a join almanac.dataset_version v
         on (v.dataset, v.window_key, v.version) = (a.dataset, a.version_window, a.version)
       where a.pipeline = 'plays' and a.branch = $1 order by a.window_key`,
      [branch],
    );
    return Object.fromEntries(rows.map(({ window_key, digest }) => [window_key, digest.split(' ')[0] ?? '']));
  }

  /** Generations of `main` with the verb that made them. */
  async generations(at: number): Promise<string[]> {
    const { rows } = await this.session.database.query<{ name: string }>(
      `select generation || ' ' || verb || ' ' || state as name from almanac.run where pipeline = 'plays' and branch = 'main' and window_key = $1 order by generation`,
      [day(at)],
    );
    return rows.map(({ name }) => name);
  }

  /** What its publisher would have done: the table shows what the window accepts. */
  async published(at: number): Promise<void> {
    const { run } = await this.row(day(at));
    const set = await this.session.datasets.accepted('plays', MAIN_BRANCH, run.window);
    await this.session.database.query(
      `insert into almanac.publication (pipeline, branch, window_key, window_end, generation, stage, accepted_sequence, content, gates, versions, tables,
         state, attempt, fence, backend_pid, backend_start, opened_at, flipped_at)
       values ($1, $2, $3::text, $3::text::date + 1, $4, 'publish', 1, 'x', '{}', $5, '{}', 'live', 1, gen_random_uuid(), 1, now(), now(), now())`,
      [run.pipeline, run.branch, run.window, run.generation, JSON.stringify({ play_totals: set?.versions[0] })],
    );
  }

  /** What its workers would have done: writes its state, accepts it, closes it. */
  async finish(row: RunRow, label: string): Promise<void> {
    const { session } = this;
    const { database, datasets, clock } = session;
    const { run, claim, planHash } = row;
    const version = await this.write(row, label);
    const plan = planReader(database);
    for (const { id, kind, hash } of (await plan(planHash)).stages) {
      const gate = kind === 'check' ? { gate: { status: 'PASS' } } : {};
      const output = { versions: id === 'add' ? [version] : [], rowsIn: 1, rowsOut: 1, bytesIn: 1, bytesOut: 1, ...gate } as StageOutput;
      await database.query(
        `insert into almanac.attempt (pipeline, window_key, branch, generation, stage, attempt, epoch, kind, state, stage_hash, output, started_at, ended_at)
         values ($1, $2, $3, $4, $5, 1, 1, $6, 'succeeded', $7, $8, now(), now())`,
        [...runKey(run), id, kind, hash, JSON.stringify(output)],
      );
    }
    const point = (): Promise<void> => Promise.resolve();
    await acceptWindow(
      { services: { database, datasets, clock }, plan, point, execution: () => '', overtaken: () => false },
      { run, claim, planHash },
    );
    await endRun(database, run, claim, 'succeeded', undefined, null, clock.now());
    await (await session.temporal()).workflow.getHandle(formatRun(run)).terminate();
  }

  async row(window: string, branch = MAIN_BRANCH): Promise<RunRow> {
    const row = await latestRun(this.session.database, 'plays', window, branch);
    if (row === undefined) throw new Error(`${window} on ${branch} has no run`);
    return row;
  }

  private async write({ run, pins }: RunRow, label: string): Promise<VersionRef> {
    const file = path.join(await this.session.store.scratch(), 'x');
    writeFileSync(file, label);
    const before = Object.values(pins)[0]?.digest ?? '';
    const digest = `${label} ${run.window} on ${before}`;
    const manifest = await this.session.datasets.commit({
      dataset: 'totals',
      window: run.window,
      key: `${run.branch}-${run.generation}`,
      digest,
      columns: COLUMNS,
      buckets: { by: 'user_id', count: 4 },
      files: [{ file, rows: 1 }],
      rowsIn: 1,
      provenance: { run, stage: 'add', attempt: 1, stageHash: 'h', inputs: Object.values(pins) },
    });
    await recordVersion(this.session.database, manifest);
    return { dataset: 'totals', window: run.window, version: manifest.version, digest };
  }

  private async isAccepted(at: number): Promise<boolean> {
    return (await this.session.datasets.accepted('plays', MAIN_BRANCH, day(at))) !== undefined;
  }

  private async openRuns(): Promise<RunRow[]> {
    const { rows } = await this.session.database.query<{ window_key: string; branch: string }>(
      "select window_key, branch from almanac.run where ended_at is null and matrix ->> 'queue' = 'backfill'",
    );
    return Promise.all(rows.map(({ window_key, branch }) => this.row(window_key, branch)));
  }
}
