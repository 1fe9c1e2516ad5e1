import { Option, type Command } from 'commander';
import type { QuarantineView } from '../../operator/quarantine';
import type { ReplayAnswer } from '../../operator/replay';
import type { CliIo } from '../io';
import { printable } from '../render';
import { wholeNumber } from '../whole-number';

export function registerQuarantineCommands(program: Command, io: CliIo): void {
  const quarantine = program
    .command('quarantine')
    .description('rows that ingest or a check put aside instead of losing them')
    .addHelpText('after', '\nExamples:\n  almanac quarantine list\n  almanac quarantine list --reason late --samples 10');
  quarantine
    .command('list')
    .description('quarantined rows by source, window and reason, with some of each; newest window first')
    .option('--dataset <name>', 'only of this dataset')
    .option('--source <name>', 'a folder under landing or a file under reference')
    .option('--window <key>', 'only of this window')
    .option('--reason <reason>', 'malformed, early, late or check')
    .option('--samples <n>', 'rows shown of each', '3')
    .option('--limit <n>', 'at most this many lines of counts', '30')
    .addHelpText(
      'after',
      '\nExamples:\n  almanac quarantine list\n  almanac quarantine list --source segment-adds --window 2011-11-02 --samples 10 --json',
    )
    .action(async (options: { dataset?: string; source?: string; window?: string; reason?: string; samples: string; limit: string }) => {
      const filter = { ...options, samples: wholeNumber('--samples', options.samples), limit: wholeNumber('--limit', options.limit) };
      const [{ listQuarantine }, { createScratchEngine }] = await Promise.all([
        import('../../operator/quarantine.js'),
        import('../../operator/scratch-engine.js'),
      ]);
      const session = await io.session();
      await using scratch = createScratchEngine();
      const views = await listQuarantine({ ...session, engine: scratch.engine }, filter);
      io.print(views, () => renderQuarantine(views));
    });
  quarantine
    .command('replay <source>')
    .description(
      'bring early and late rows back to the windows they belong to, and have rows that checks put aside judged again; a source, or a dataset',
    )
    .requiredOption('--window <key>', 'the window whose quarantine it is')
    .addOption(new Option('--to <where>', 'own-window: the window each row belongs to').choices(['own-window']).makeOptionMandatory())
    .option('--reason <text>', 'recorded with the verb')
    .option('--dry-run', 'say what would be done, do nothing')
    .addHelpText(
      'after',
      '\nExamples:\n  almanac quarantine replay segment-adds --window 2011-11-03 --to own-window --dry-run\n  almanac quarantine replay segment_adds --window 2011-11-03 --to own-window --reason "delivered late"',
    )
    .action(async (source: string, options: { window: string; reason?: string; dryRun?: boolean }) => {
      const [{ replayQuarantine }, { createScratchEngine }] = await Promise.all([
        import('../../operator/replay.js'),
        import('../../operator/scratch-engine.js'),
      ]);
      const session = await io.session();
      await using scratch = createScratchEngine();
      const answer = await replayQuarantine({ ...session, engine: scratch.engine }, { source, ...options });
      io.print(answer, () => renderReplay(answer));
    });
}

function renderReplay({ source, from, dryRun, windows, before }: ReplayAnswer): string {
  const earlier = before === 0 ? [] : [`${before.toLocaleString('en-US')} rows of ${source} in ${from} were replayed before`];
  return [
    ...windows.flatMap(({ dataset, window, rows, reasons, state, next }) => [
      `${dataset}@${window} ${dryRun ? 'would get' : 'gets'} ${rows.toLocaleString('en-US')} rows (${Object.entries(reasons)
        .map(([reason, count]) => `${count} ${reason}`)
        .join(', ')}) back from ${from}${state === 'accepted' ? '; it is stale, and so is what was built on it' : '; it was not run yet'}`,
      `  next: ${next}`,
    ]),
    ...earlier,
  ].join('\n');
}

function renderQuarantine(views: readonly QuarantineView[]): string {
  if (views.length === 0) return 'nothing is in quarantine';
  return views
    .flatMap(({ source, dataset, window, accepted, reason, rows, rowsIn, checks, samples, replayed }) => [
      `${window}  ${source === '' ? '' : `${source} → `}${dataset}${accepted ? '' : ' (not accepted)'}: ${rows.toLocaleString('en-US')} of ${rowsIn.toLocaleString('en-US')} rows ${reason}`,
      ...Object.entries(checks ?? {}).map(([check, count]) => `    ${check}: ${count.toLocaleString('en-US')}`),
      ...samples.map((row) => {
        const what = [row.column, row.detail].filter((part) => part !== null).join(' ') || row.eventTime || '';
        return `    ${row.file}:${row.line}  ${what}  ${printable(row.raw.slice(0, 120))}`;
      }),
      ...replayed.map((to) => `    ${to.rows.toLocaleString('en-US')} of them replayed to ${to.window} at ${to.at} by ${to.who}`),
    ])
    .join('\n');
}
