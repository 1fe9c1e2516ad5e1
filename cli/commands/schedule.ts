import { Option, type Command } from 'commander';
import type { PauseChange, ScheduleRow, SlotRow } from '../../activities/ledger/schedules';
import type { ScheduleChange } from '../../operator/schedules/apply';
import type { Preview } from '../../operator/schedules/verbs';
import { AlmanacError } from '../../pipelines/failures';
import { SLOT_OUTCOMES, type SlotOutcome } from '../../pipelines/slot-policy';
import type { CliIo } from '../io';
import { renderCount, renderTable } from '../render';
import { renderDeadlines, renderReport } from '../render-deadlines';
import { wholeNumber } from '../whole-number';

/** Slots a preview prints besides those that a change of clocks touches. */
const SHOWN = 10;

export function registerScheduleCommands(program: Command, io: CliIo): void {
  const schedule = program
    .command('schedule')
    .description('when pipelines run: what is installed, what is due, what became of each slot')
    .addHelpText('after', '\nExamples:\n  almanac schedule apply\n  almanac schedule list');
  schedule
    .command('apply')
    .description('install the schedules the project declares, with its code of now; new ones start paused')
    .option('--from <instant>', 'first slots of new schedules: a date or an ISO instant in the past catches up from there (default: now)')
    .option('--dry-run', 'show what would change, change nothing')
    .option('--prune', 'take away schedules the project does not declare')
    .addHelpText('after', '\nExamples:\n  almanac schedule apply --dry-run\n  almanac schedule apply --from 2026-11-01')
    .action(async (options: { from?: string; dryRun?: boolean; prune?: boolean }) => {
      const { applySchedules } = await import('../../operator/schedules/apply.js');
      const from = options.from === undefined ? undefined : instant(options.from);
      const changes = await applySchedules(await io.session(), { from, dryRun: options.dryRun === true, prune: options.prune === true });
      io.print(changes, () => renderChanges(changes, options.dryRun === true));
    });
  schedule
    .command('list')
    .description('installed schedules: paused or not, why, and the next slot')
    .addHelpText('after', '\nExample:\n  almanac schedule list --json')
    .action(async () => {
      const { schedulesWithNext } = await import('../../operator/schedules/verbs.js');
      const schedules = await schedulesWithNext(await io.session());
      io.print(schedules, () => renderSchedules(schedules));
    });
  schedule
    .command('preview <pipeline>')
    .description('slots to come, those that a change of clocks touches marked, and what the end of a pause would start')
    .option('--days <n>', 'how far ahead', '366')
    .addHelpText('after', '\nExample:\n  almanac schedule preview audience-index --days 30')
    .action(async (pipeline: string, options: { days: string }) => {
      const days = wholeNumber('--days', options.days, { minimum: 1, maximum: 3660 });
      const { previewSchedule } = await import('../../operator/schedules/verbs.js');
      const preview = await previewSchedule(await io.session(), pipeline, days);
      io.print(preview, () => renderPreview(preview));
    });
  for (const [verb, paused] of [
    ['pause', true],
    ['unpause', false],
  ] as const) {
    schedule
      .command(`${verb} <pipeline>`)
      .description(
        paused ? 'no slot starts a run until the pause ends; open runs go on' : 'let the schedule fire; `preview` shows what that starts',
      )
      .requiredOption('--reason <text>', 'recorded with the schedule')
      .addHelpText('after', `\nExample:\n  almanac schedule ${verb} audience-index --reason "source ${paused ? 'late' : 'is back'}"`)
      .action(async (pipeline: string, options: { reason: string }) => {
        const { pauseSchedule } = await import('../../operator/schedules/verbs.js');
        const change = await pauseSchedule(await io.session(), pipeline, paused, options.reason);
        io.print({ pipeline, paused, changed: change === 'changed', reasonChanged: change !== 'unchanged' }, () =>
          renderPause(pipeline, paused, change),
        );
      });
  }
  schedule
    .command('trigger <pipeline>')
    .description('fire a slot by hand; it obeys the overlap policy unless told otherwise')
    .option('--window <key>', 'default: the newest window that is over')
    .addOption(new Option('--overlap <how>', 'ignore: start beside open runs').choices(['obey', 'ignore']).default('obey'))
    .requiredOption('--reason <text>', 'recorded with the slot')
    .addHelpText('after', '\nExample:\n  almanac schedule trigger audience-index --reason "source was late"')
    .action(async (pipeline: string, options: { window?: string; overlap: 'obey' | 'ignore'; reason: string }) => {
      const { triggerSchedule } = await import('../../operator/schedules/verbs.js');
      const slot = await triggerSchedule(await io.session(), { pipeline, ...options });
      io.print(slot, () => `${slot.pipeline}/${slot.window}: ${slot.outcome ?? slot.state}, ${slot.reason ?? ''}`);
    });
  schedule
    .command('slots [pipeline]')
    .description('the ledger of slots, newest first')
    .addOption(new Option('--outcome <outcome>', 'only these').choices([...SLOT_OUTCOMES]))
    .option('--open', 'only those without an outcome')
    .option('--limit <n>', 'at most this many', '20')
    .addHelpText('after', '\nExamples:\n  almanac schedule slots audience-index\n  almanac schedule slots --open')
    .action(async (pipeline: string | undefined, options: { outcome?: SlotOutcome; open?: boolean; limit: string }) => {
      const limit = wholeNumber('--limit', options.limit, { minimum: 1 });
      const { slotsOf } = await import('../../operator/schedules/verbs.js');
      const slots = await slotsOf(await io.session(), { pipeline, outcome: options.outcome, open: options.open, limit });
      io.print(slots, () => renderSlots(slots));
    });
  schedule
    .command('deadlines [pipeline]')
    .description('when tables must be published, whether they will be, and the stage that decides it; latest first')
    .option('--limit <n>', 'at most this many', '20')
    .addHelpText('after', '\nExample:\n  almanac schedule deadlines audience-index')
    .action(async (pipeline: string | undefined, options: { limit: string }) => {
      const limit = wholeNumber('--limit', options.limit, { minimum: 1 });
      const { deadlinesOf } = await import('../../operator/schedules/deadlines.js');
      const deadlines = await deadlinesOf(await io.session(), pipeline, limit);
      io.print(deadlines, () => renderDeadlines(deadlines));
    });
  schedule
    .command('report <pipeline>')
    .description('how a month of deadlines went: on time, late and by how much')
    .requiredOption('--month <month>', 'a month of the schedule’s zone')
    .addHelpText('after', '\nExample:\n  almanac schedule report audience-index --month 2026-11')
    .action(async (pipeline: string, options: { month: string }) => {
      const { onTimeReport } = await import('../../operator/schedules/deadlines.js');
      const report = await onTimeReport(await io.session(), pipeline, options.month);
      io.print(report, () => renderReport(report));
    });
}

function renderPause(pipeline: string, paused: boolean, change: PauseChange): string {
  const state = paused ? 'paused' : 'firing';
  if (change === 'reason') return `the schedule of ${pipeline} was ${state} already; the reason is now the one given`;
  if (change === 'unchanged') return `the schedule of ${pipeline} is already ${state}; nothing was changed or recorded`;
  return `the schedule of ${pipeline} is now ${state}`;
}

function instant(text: string): Date {
  const at = new Date(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00Z` : text);
  if (/^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?Z)?$/.test(text) && !Number.isNaN(at.getTime())) return at;
  throw new AlmanacError('run.usage', `--from ${text} is neither a date nor an instant in UTC`, {
    next: 'Use 2026-11-20 or 2026-11-20T05:30Z.',
  });
}

export function renderChanges(changes: readonly ScheduleChange[], dryRun: boolean): string {
  if (changes.length === 0) return 'the project declares no schedule, and none is installed';
  const lines = changes.flatMap(({ pipeline, change, differences, paused }) => [
    `${pipeline}: ${change}${paused ? ', paused' : ''}`,
    ...differences.map((difference) => `  ${difference}`),
  ]);
  if (changes.some(({ change }) => change === 'kept'))
    lines.push(
      `kept schedules go on with what was applied last: almanac schedule apply --prune takes them away${dryRun ? ' (first: --prune --dry-run)' : ''}`,
    );
  if (dryRun) lines.push('nothing was changed');
  else if (changes.some(({ change }) => change === 'installed'))
    lines.push('next: almanac schedule preview PIPELINE, then almanac schedule unpause PIPELINE --reason …');
  return lines.join('\n');
}

function renderSchedules(schedules: readonly (ScheduleRow & { next: { nominal: string; at: string } | null; waiting: number })[]): string {
  if (schedules.length === 0) return 'no schedule is installed; next: almanac schedule apply';
  return renderTable(schedules, [
    { title: 'PIPELINE', value: (row) => row.pipeline },
    { title: 'CRON', value: (row) => row.spec.cron },
    { title: 'ZONE', value: (row) => row.spec.timezone },
    { title: 'STATE', value: (row) => (row.paused ? 'paused' : 'firing') },
    { title: 'NEXT SLOT', value: (row) => row.next?.nominal },
    { title: 'AT', value: (row) => row.next?.at.slice(0, 16).concat('Z') },
    { title: 'WAITING', value: (row) => row.waiting, align: 'right' },
    { title: 'WHY', value: (row) => `${row.reason} (${row.who}, ${row.changedAt.slice(0, 16)}Z)` },
  ]);
}

function renderPreview({ schedule, slots, onUnpause }: Preview): string {
  const touched = slots.filter(({ shifted }) => shifted !== undefined);
  const shown = [...slots.slice(0, SHOWN), ...touched.filter((slot) => !slots.slice(0, SHOWN).includes(slot))];
  const lines = [
    `${schedule.pipeline}: ${renderCount(slots.length, 'slot')}, ${touched.length} touched by a change of clocks`,
    renderTable(shown, [
      { title: 'SLOT', value: (slot) => slot.nominal },
      { title: 'AT', value: (slot) => slot.at.slice(0, 16).concat('Z') },
      { title: 'WINDOW', value: (slot) => slot.window },
      { title: '', value: (slot) => clockNote(slot.shifted) },
    ]),
  ];
  if (schedule.paused) {
    lines.push(
      '',
      onUnpause.length === 0
        ? 'un-pausing now starts nothing at once'
        : `un-pausing now decides about ${renderCount(onUnpause.length, 'slot')}:`,
    );
    if (onUnpause.length > 0)
      lines.push(
        renderTable(onUnpause.slice(0, 2 * SHOWN), [
          { title: 'SLOT', value: (decision) => decision.nominal },
          { title: 'WINDOW', value: (decision) => decision.window },
          { title: 'THEN', value: (decision) => (decision.do === 'wait' ? `${decision.state}: ${decision.reason}` : decision.outcome) },
        ]),
      );
    if (onUnpause.length > 2 * SHOWN) lines.push(`… and ${onUnpause.length - 2 * SHOWN} more; --json lists all`);
  }
  return lines.join('\n');
}

function clockNote(shifted: 'gap' | 'fold' | undefined): string | undefined {
  if (shifted === undefined) return undefined;
  return shifted === 'gap' ? 'this time does not exist that day' : 'this time comes twice that day';
}

function renderSlots(slots: readonly SlotRow[]): string {
  if (slots.length === 0) return 'no slot';
  return renderTable(slots, [
    { title: 'SLOT', value: (slot) => slot.nominal },
    { title: 'AT', value: (slot) => slot.at.slice(0, 19).concat('Z') },
    { title: 'RUN', value: (slot) => `${slot.pipeline}/${slot.window}${slot.generation === null ? '' : `#${slot.generation}`}` },
    { title: 'OUTCOME', value: (slot) => slot.outcome ?? `(${slot.state})` },
    { title: 'WHY', value: (slot) => `${slot.reason ?? ''}${slot.who === null ? '' : ` (${slot.who})`}` },
  ]);
}
