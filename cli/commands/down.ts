import type { Command } from 'commander';
import type { CliIo } from '../io';

export function registerDownCommands(program: Command, io: CliIo): void {
  program
    .command('down')
    .description('end the stack and everything it started; runs continue where they were at the next up')
    .addHelpText('after', '\nExamples:\n  almanac down\n  almanac down --json')
    .action(async () => {
      const { readConfig } = await import('../../lib/config.js');
      const { down } = await import('../../operator/stack/down.js');
      const result = await down(readConfig(process.env, io.projectDirectory()).home);
      io.print(result, () => (result.ended.length === 0 ? 'nothing was running' : `ended: ${result.ended.join(', ')}`));
    });
}
