import type { Command } from 'commander';
import type { ReconcileAnswer } from '../../operator/reconcile';
import { formatRun } from '../../pipelines/run-id';
import type { CliIo } from '../io';
import { renderCount } from '../render';

export function registerReconcileCommand(program: Command, io: CliIo): void {
  program
    .command('reconcile')
    .description('compare the ledger with Temporal after either was lost: open runs without an execution become lost')
    .option('--reason <text>', 'recorded with what it does')
    .option('--dry-run', 'say what would be done, do nothing')
    .addHelpText('after', '\nExamples:\n  almanac reconcile --dry-run\n  almanac reconcile --reason "Temporal was restored empty"')
    .action(async (options: { reason?: string; dryRun?: boolean }) => {
      const { reconcile } = await import('../../operator/reconcile.js');
      const answer = await reconcile(await io.session(), options);
      io.print(answer, () => renderReconcile(answer));
    });
}

function renderReconcile({ dryRun, lost, terminated, agree, young }: ReconcileAnswer): string {
  return [
    ...lost.flatMap(({ run, was, why, next }) => [
      `${formatRun(run)} generation ${run.generation}, ${was}, ${dryRun ? 'would be' : 'is'} lost: ${why}`,
      `  next: ${next}`,
    ]),
    ...terminated.map(({ workflow, execution, why }) => `${workflow} (${execution}) ${dryRun ? 'would be' : 'is'} terminated: ${why}`),
    ...young.map((run) => `${formatRun(run)} generation ${run.generation} is too young to tell; look again in a minute`),
    `${renderCount(agree, 'open run')} with an execution, ${lost.length} lost, ${renderCount(terminated.length, 'execution')} terminated`,
  ].join('\n');
}
