import type { Command } from 'commander';
import { FAILURE_CLASSES } from '../../pipelines/failures';
import type { CliIo } from '../io';

export function registerDoctorCommands(program: Command, io: CliIo): void {
  program
    .command('doctor')
    .description('check what a stack needs; name what is missing or mis-set and what mends it')
    .addHelpText('after', '\nExamples:\n  almanac doctor\n  almanac doctor --json')
    .action(async () => {
      const { doctor } = await import('../../operator/stack/doctor.js');
      const findings = await doctor(process.env, io.projectDirectory());
      const failures = findings.filter(({ state }) => state === 'fail').length;
      io.print({ healthy: failures === 0, findings }, () =>
        findings
          .map(
            ({ check, state, message, next }) => `${state.padEnd(4)}  ${check}: ${message}${next === null ? '' : `\n      next: ${next}`}`,
          )
          .join('\n'),
      );
      if (failures > 0) io.exitWith(FAILURE_CLASSES.user.exitCode);
    });
}
