import type { Command } from 'commander';
import type { DeployCheck, DeployChange, GonePipeline } from '../../operator/deploy-check';
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
      const session = await io.session({ unmigrated: true });
      const { deployCheck, quietReplay } = await import('../../operator/deploy-check.js');
      quietReplay();
      const check = await deployCheck(session, { recent });
      io.print(check, () => renderDeployCheck(check));
    });
}

export function renderDeployCheck({ replayed, lost, changes, gone, migrations }: DeployCheck): string {
  const lines = [`${renderCount(replayed.open, 'open history', 'open histories')} and ${replayed.recent} recent replay on this build`];
  for (const run of lost) lines.push(`${run} is open in the ledger, and Temporal does not know it`);
  if (changes.length === 0) lines.push('no stage of the project computes otherwise than what is installed, open or accepted');
  for (const change of changes) lines.push(...renderChange(change));
  for (const pipeline of gone) lines.push(...renderGone(pipeline));
  lines.push(...renderMigrations(migrations));
  return lines.join('\n');
}

function renderGone({ pipeline, schedule, openRuns, windows }: GonePipeline): string[] {
  const lines = [
    `${pipeline} is no longer in the project${windows === 0 ? '' : `; its ${renderCount(windows, 'accepted window')} and tables stay`}:`,
  ];
  if (schedule !== null)
    lines.push(
      `  its schedule ${schedule === 'paused' ? 'stays, paused,' : 'goes on firing'} with the code applied last: almanac schedule apply --prune takes it away`,
    );
  for (const run of openRuns) lines.push(`  ${run} goes on under its plan`);
  return schedule === null && openRuns.length === 0 ? lines.map((line) => line.replace(/:$/, '')) : lines;
}

function renderMigrations({ pending, otherWorkers }: DeployCheck['migrations']): string[] {
  if (pending.length === 0) return ['no migration of the control schema is pending'];
  const lines = [`the first command or worker of this build applies ${renderCount(pending.length, 'migration')} of the control schema:`];
  for (const { name, breaking } of pending)
    lines.push(
      `  ${name}: ${breaking === undefined ? 'the build before goes on beside it' : `the build before cannot go on beside it: ${breaking}`}`,
    );
  if (!pending.some(({ breaking }) => breaking !== undefined)) return lines;
  lines.push(
    otherWorkers.length === 0
      ? '  no worker of another build is at work'
      : `  until these have stopped, every command and worker of this build is refused (deploy.migration): ${otherWorkers.join(', ')}`,
  );
  return lines;
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
