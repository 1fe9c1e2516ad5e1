import type { Command } from 'commander';
import type { ProjectValidation } from '../../operator/validate';
import { systemClock } from '../../lib/clock';
import { FAILURE_CLASSES } from '../../pipelines/failures';
import type { CliIo } from '../io';
import { renderCount } from '../render';

export function registerValidateCommands(program: Command, io: CliIo): void {
  program
    .command('validate')
    .description("check all declarations of the project: graphs, names, policies, and that every SQL text fits its datasets' columns")
    .addHelpText('after', '\nExamples:\n  almanac validate\n  almanac validate --project ~/pipelines --json')
    .action(async () => {
      const { validateProject } = await import('../../operator/validate.js');
      const validation = await validateProject(io.projectDirectory(), systemClock.now(), {
        emr: Boolean(process.env.ALMANAC_EMR_SETTINGS),
      });
      io.print(validation, () => renderValidation(validation));
      if (validation.pipelines.some(({ problems }) => problems.length > 0)) io.exitWith(FAILURE_CLASSES.user.exitCode);
    });
}

/** One line a pipeline, its problems with their next steps below. */
export function renderValidation({ pipelines, directory }: ProjectValidation): string {
  if (pipelines.length === 0) return `${directory} lists no pipelines`;
  return pipelines
    .flatMap(({ pipeline, stages, problems, warnings }) => [
      `${problems.length === 0 ? 'ok   ' : 'wrong'}  ${pipeline}  ${renderCount(stages, 'stage')}`,
      ...problems.flatMap(({ code, message, next }) => [`  ${code}: ${message.replaceAll('\n', '\n  ')}`, `    next: ${next}`]),
      ...warnings.map((warning) => `  note: ${warning}`),
    ])
    .join('\n');
}
