import type { Command } from 'commander';
import type { CliIo } from '../io';
import { renderStale } from '../render-stale';

export function registerBackfillCommands(program: Command, io: CliIo): void {
  const backfill = program
    .command('backfill')
    .description('windows that have to be computed again')
    .addHelpText('after', '\nExample:\n  almanac backfill stale audience-index');
  backfill
    .command('stale [pipeline]')
    .description('windows built on rows that are no longer current, oldest first, and the commands that rebuild them')
    .addHelpText('after', '\nExamples:\n  almanac backfill stale\n  almanac backfill stale audience-index --json')
    .action(async (pipeline: string | undefined) => {
      const { listStale } = await import('../../operator/stale.js');
      const stale = await listStale(await io.session(), pipeline);
      io.print(stale, () => renderStale(stale));
    });
}
