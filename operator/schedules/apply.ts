import { listSchedules, putSchedule, recordApplied, removeSchedule, type ScheduleRow } from '../../activities/ledger/schedules';
import { storePlan, storeTexts } from '../../activities/ledger/runs';
import { transaction, type Queryable } from '../../lib/postgres';
import { queueNames } from '../../lib/queues';
import { canonicalJson } from '../../pipelines/canonical';
import { requireDeadline, requireTiling } from '../../pipelines/schedule-rules';
import type { PipelineSpec } from '../../pipelines/types';
import type { OperatorSession } from '../session';
import { installPoolsOf } from '../pools';
import { wakeClock } from './clock-workflow';

/** What `schedule apply` does with one pipeline. */
export interface ScheduleChange {
  readonly pipeline: string;
  readonly change: 'installed' | 'changed' | 'unchanged' | 'removed' | 'kept';
  /** One line a difference: `cron: "30 2 * * *" → "0 3 * * *"`. */
  readonly differences: readonly string[];
  readonly paused: boolean;
}

export interface ApplyOptions {
  /** Slots from here on, of schedules that are new. Default: now. */
  readonly from?: Date | undefined;
  /** Says what would change, changes nothing. */
  readonly dryRun: boolean;
  /** Takes away schedules that the project does not declare (any more). */
  readonly prune: boolean;
}

/**
 * Makes the installed schedules those the project declares, with its code of now: what a slot runs is what was applied last. New
 * ones are paused. Throws `schedule.windows`, `schedule.deadline`, and what the declarations throw; then nothing has changed.
 */
export async function applySchedules(session: OperatorSession, options: ApplyOptions): Promise<ScheduleChange[]> {
  const { database, clock, config } = session;
  const now = clock.now();
  const project = await session.project();
  const installed = new Map((await listSchedules(database)).map((row) => [row.pipeline, row]));
  const declared = [...project.pipelines.values()].filter(({ spec }) => spec.schedule !== undefined);
  const wanted = declared.map((pipeline) => {
    requireTiling(pipeline.spec, now);
    requireDeadline(pipeline.spec, now);
    const row = rowOf(pipeline.spec, pipeline.plan().hash, { from: options.from ?? now, who: config.actor, now });
    return { pipeline, row, before: installed.get(pipeline.spec.id) };
  });
  const changes: ScheduleChange[] = wanted.map(({ row, before }) => {
    const differences = before === undefined ? [] : differencesOf(before, row);
    const change = before === undefined ? 'installed' : differences.length === 0 ? 'unchanged' : 'changed';
    return { pipeline: row.pipeline, change, differences, paused: before?.paused ?? row.paused };
  });
  const undeclared = [...installed.values()].filter(({ pipeline }) => !wanted.some(({ row }) => row.pipeline === pipeline));
  for (const { pipeline, paused } of undeclared) {
    const why = project.pipelines.has(pipeline) ? 'the project declares no schedule for it' : 'the project has no such pipeline';
    changes.push({ pipeline, change: options.prune ? 'removed' : 'kept', differences: [why], paused });
  }
  if (options.dryRun) return changes;
  const record = async (client: Queryable, pipeline: string): Promise<void> => {
    const made = changes.find((one) => one.pipeline === pipeline);
    if (made === undefined || made.change === 'unchanged') return;
    await recordApplied(client, pipeline, { who: config.actor, now }, { change: made.change, differences: made.differences });
  };
  await installPoolsOf(session, ...wanted.map(({ pipeline }) => pipeline.plan()));
  for (const { pipeline, row } of wanted) {
    await storeTexts(database, pipeline.texts);
    await storePlan(database, pipeline.plan());
    await transaction(database, async (client) => {
      await putSchedule(client, row);
      await record(client, row.pipeline);
    });
  }
  for (const { pipeline } of options.prune ? undeclared : [])
    await transaction(database, async (client) => {
      await removeSchedule(client, pipeline);
      await record(client, pipeline);
    });
  if (wanted.length > 0) await wakeClock(await session.temporal(), queueNames(config).control);
  return changes;
}

function rowOf(spec: PipelineSpec, planHash: string, by: { from: Date; who: string; now: Date }): ScheduleRow {
  if (spec.schedule === undefined) throw new Error(`${spec.id} has no schedule`);
  return {
    pipeline: spec.id,
    spec: spec.schedule,
    window: spec.window,
    deadline: spec.deadline,
    planHash,
    paused: true,
    reason: 'new schedules start paused',
    who: by.who,
    changedAt: by.now.toISOString(),
    seenUntil: by.from.toISOString(),
  };
}

function differencesOf(before: ScheduleRow, after: ScheduleRow): string[] {
  const flat = ({ spec, window, deadline, planHash }: ScheduleRow): Record<string, unknown> => ({
    ...spec,
    window,
    deadline,
    code: planHash.slice(0, 12),
  });
  const [old, wanted] = [flat(before), flat(after)];
  const show = (value: unknown): string => (value === undefined ? 'none' : canonicalJson(value));
  return [...new Set([...Object.keys(old), ...Object.keys(wanted)])]
    .filter((field) => show(old[field]) !== show(wanted[field]))
    .map((field) => `${field}: ${show(old[field])} → ${show(wanted[field])}`);
}
