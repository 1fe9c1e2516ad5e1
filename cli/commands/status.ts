import type { Command } from 'commander';
import type { Config } from '../../lib/config';
import type { CliIo } from '../io';
import { renderTable } from '../render';

export function registerStatusCommands(program: Command, io: CliIo): void {
  program
    .command('status')
    .description('every process of the stack: pid, address, state')
    .addHelpText('after', '\nExamples:\n  almanac status\n  almanac status --json | jq -r .databaseUrl')
    .action(async () => {
      const { readConfig } = await import('../../lib/config.js');
      await printStatus(io, readConfig(process.env, io.projectDirectory()));
    });
}

export async function printStatus(io: CliIo, config: Config): Promise<void> {
  const { stackStatus } = await import('../../operator/stack/status.js');
  const status = await stackStatus(config);
  io.print(status, () => {
    const table = renderTable(status.processes, [
      { title: 'PROCESS', value: (process) => process.name },
      { title: 'STATE', value: (process) => process.state },
      { title: 'PID', value: (process) => process.pid ?? '-', align: 'right' },
      { title: 'ADDRESS', value: (process) => process.address ?? '-' },
      { title: 'RESTARTS', value: (process) => process.restarts, align: 'right' },
      { title: 'LAST END', value: (process) => process.lastExit ?? '' },
    ]);
    const lines = [`stack ${status.state} in ${status.home}`, table];
    if (status.databaseUrl !== null) lines.push(`database ${status.databaseUrl}`);
    if (status.damage !== null) lines.push(status.damage);
    if (status.state === 'down') lines.push('next: almanac up --detach');
    return lines.join('\n');
  });
}
