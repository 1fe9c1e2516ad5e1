import type { Command } from 'commander';
import { parseRun } from '../../pipelines/run-id';
import type { CliIo } from '../io';
import { renderChecks, renderHistory } from '../render-check';

export function registerCheckCommands(program: Command, io: CliIo): void {
  const check = program
    .command('check')
    .description('what gates measured, how they judged it, and the rows that failed')
    .addHelpText('after', '\nExamples:\n  almanac check show audience-index/2011-11-01\n  almanac check history udb rows');
  check
    .command('show <run>')
    .description('the verdicts of a run, the worst first, with sampled failing rows')
    .addHelpText(
      'after',
      '\nExamples:\n  almanac check show audience-index/2011-11-01\n  almanac check show audience-index/2011-11-01#1   an earlier generation',
    )
    .action(async (run: string) => {
      const [{ showChecks }, { findRun }] = await Promise.all([
        import('../../operator/checks.js'),
        import('../../operator/runs/inspect.js'),
      ]);
      const session = await io.session();
      const row = await findRun(session, parseRun(run));
      const checks = await showChecks(session.database, row.run);
      io.print(checks, () => renderChecks(checks));
    });
  check
    .command('history <dataset> <metric>')
    .description('the values of a metric by window, and which of them are a baseline')
    .addHelpText('after', "\nExamples:\n  almanac check history udb rows\n  almanac check history report 'null-count(pixel_id)'")
    .action(async (dataset: string, metric: string) => {
      const { metricHistory } = await import('../../operator/checks.js');
      const points = await metricHistory((await io.session()).database, dataset, metric);
      io.print(points, () => renderHistory(points));
    });
}
