/** What became different between two plans of one backfill. */
import { canonicalJson } from './canonical';
import type { BackfillPlan, BackfillWindow } from './backfill-plan';

/** One line a difference, naming window and stage, old → new; empty when both would do the same. */
export function driftOf(planned: BackfillPlan, now: BackfillPlan): string[] {
  const lines: string[] = [];
  const windows = new Map(now.windows.map((window) => [window.window, window]));
  const left = new Map(now.left.map(({ window, why }) => [window, why]));
  for (const old of planned.windows) {
    const found = windows.get(old.window);
    windows.delete(old.window);
    if (found === undefined) lines.push(`${old.window}: to be built → left alone (${left.get(old.window) ?? 'out of range'})`);
    else lines.push(...windowDrift(old, found));
  }
  // Days accepted since are replayed on a branch anyway.
  const last = planned.branch === undefined ? undefined : planned.windows.at(-1)?.window;
  const more = [...windows.keys()].filter((window) => last === undefined || window <= last);
  if (planned.branch?.name !== now.branch?.name) lines.push(`builds ${where(planned)} → ${where(now)}`);
  for (const window of more) lines.push(`${window}: left alone → to be built`);
  if (canonicalJson(planned.pins) !== canonicalJson(now.pins))
    lines.push(`${planned.windows[0]?.window ?? ''}: goes on from ${list(planned.pins)} → ${list(now.pins)}`);
  if (canonicalJson(planned.params) !== canonicalJson(now.params))
    lines.push(`params: ${canonicalJson(planned.params)} → ${canonicalJson(now.params)}`);
  if (lines.length === 0 && planned.planHash !== now.planHash)
    lines.push(`settings of the pipeline: plan ${short(planned.planHash)} → ${short(now.planHash)}`);
  return lines;
}

function windowDrift(old: BackfillWindow, now: BackfillWindow): string[] {
  const { window } = old;
  const lines: string[] = [];
  if (old.after !== now.after) lines.push(`${window}: generation ${old.after} → ${now.after}, somebody ran it`);
  const runs = new Map(now.stages.map((stage) => [stage.stage, stage]));
  const carried = new Map(now.carried.map(({ stage, versions }) => [stage, versions]));
  for (const { stage, hash, reason } of old.stages) {
    const found = runs.get(stage);
    runs.delete(stage);
    if (found === undefined) lines.push(`${window} ${stage}: runs (${reason}) → ${carried.has(stage) ? 'carried' : 'gone'}`);
    else if (found.hash !== hash) lines.push(`${window} ${stage}: code ${short(hash)} → ${short(found.hash)}`);
    else if (found.reason !== reason) lines.push(`${window} ${stage}: ${reason} → ${found.reason}`);
  }
  for (const [stage, { reason }] of runs) lines.push(`${window} ${stage}: not run → runs (${reason})`);
  for (const { stage, versions } of old.carried) {
    const found = carried.get(stage);
    if (found !== undefined && canonicalJson(found) !== canonicalJson(versions))
      lines.push(`${window} ${stage}: ${list(versions)} → ${list(found)}`);
  }
  return lines;
}

function where({ branch }: BackfillPlan): string {
  return branch === undefined ? 'in place' : `on branch ${branch.name}`;
}

function list(versions: readonly string[]): string {
  return versions.length === 0 ? 'nothing' : versions.join(', ');
}

function short(hash: string): string {
  return hash.slice(0, 12);
}
