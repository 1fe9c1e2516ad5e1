import type { Command } from 'commander';
import type { DeployCheck, DeployChange } from '../../operator/deploy-check';
import type { StageChange } from '../../pipelines/deploy-changes';
import type { CliIo } from '../io';
import { renderCount } from '../render';
import { wholeNumber } from '../whole-number';

export function registerDeployCheckCommand(program: Command, io: CliIo): void {
  program
    .command('deploy-check')
    .description('replay open, held and recent runs against this build, and say what deploying the project changes; changes nothing')
    .option('--recent <n>', 'closed runs to replay, newest first', '50')
    .addHelpText('after', '\nExample:\n  almanac deploy-check --recent 200')
    .action(async (options: { recent: string }) => {
      const recent = wholeNumber('--recent', options.recent, { minimum: 0, maximum: 100_000 });
      const { deployCheck, quietReplay } = await import('../../operator/deploy-check.js');
      quietReplay();
      const check = await deployCheck(await io.session(), { recent });
      io.print(check, () => renderDeployCheck(check));
    });
}

function renderDeployCheck({ replayed, lost, changes }: DeployCheck): string {
  const lines = [`${renderCount(replayed.open, 'open history', 'open histories')} and ${replayed.recent} recent replay on this build`];
  for (const run of lost) lines.push(`${run} is open in the ledger, and Temporal does not know it`);
  if (changes.length === 0) lines.push('no stage of the project computes otherwise than what is installed, open or accepted');
  for (const change of changes) lines.push(...renderChange(change));
  return lines.join('\n');
}

function renderChange({ pipeline, schedule, openRuns, windows }: DeployChange): string[] {
  const lines = [`${pipeline}:`];
  if (schedule !== null && schedule.length > 0) lines.push(`  slots run the old code until almanac schedule apply: ${stages(schedule)}`);
  for (const { run, stages: changed } of openRuns) lines.push(`  ${run} goes on under its plan: ${stages(changed)}`);
  for (const { windows: count, from, to, stages: changed } of windows)
    lines.push(`  ${renderCount(count, 'accepted window')} from ${from} to ${to} of other code: ${stages(changed)}`);
  return lines;
}

function stages(changes: readonly StageChange[]): string {
  return changes.map(({ stage, change }) => `${stage} ${change}`).join(', ');
}
