import type { Command } from 'commander';
import type { CliIo } from '../io';
import { renderBranchDiff, renderChange } from '../render-backfill';
import { wholeNumber } from '../whole-number';

/** What is done with a range that was rebuilt on a branch: looked at, made the head, thrown away. */
export function registerBranchCommands(backfill: Command, io: CliIo): void {
  backfill
    .command('diff <hash>')
    .description('what promoting its branch would change, by window and dataset')
    .option('--samples <n>', 'rows shown of each kind of difference', '3')
    .addHelpText('after', '\nExample:\n  almanac backfill diff 0123456789abcdef --samples 10')
    .action(async (hash: string, options: { samples: string }) => {
      const [{ diffBackfill }, { createScratchEngine }] = await Promise.all([
        import('../../operator/backfills/diff.js'),
        import('../../operator/scratch-engine.js'),
      ]);
      const samples = wholeNumber('--samples', options.samples, { maximum: 1000 });
      const session = await io.session();
      await using scratch = createScratchEngine();
      const diff = await diffBackfill({ ...session, engine: scratch.engine }, hash, samples);
      io.print(diff, () => renderBranchDiff(diff));
    });
  for (const [verb, description] of [
    ['promote', 'make its branch the head of the chain, in one step, and publish what the tables show no more'],
    ['discard', 'close its branch; the chain stays as it is'],
  ] as const) {
    backfill
      .command(`${verb} <hash>`)
      .description(description)
      .requiredOption('--reason <text>', 'recorded with the backfill')
      .addHelpText('after', `\nExample:\n  almanac backfill ${verb} 0123456789abcdef --reason "compared with the source"`)
      .action(async (hash: string, options: { reason: string }) => {
        const [{ promoteBackfill }, { discardBackfill }] = await Promise.all([
          import('../../operator/backfills/promote.js'),
          import('../../operator/backfills/discard.js'),
        ]);
        const act = { promote: promoteBackfill, discard: discardBackfill }[verb];
        const row = await act(await io.session(), hash, options.reason);
        io.print(row, () => renderChange(row));
      });
  }
}
