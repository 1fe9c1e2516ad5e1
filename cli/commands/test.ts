import type { Command } from 'commander';
import type { TestResult } from '../../operator/pipeline-tests';
import { FAILURE_CLASSES } from '../../pipelines/failures';
import type { CliIo } from '../io';
import { renderCount } from '../render';

export function registerTestCommands(program: Command, io: CliIo): void {
  program
    .command('test [pipeline]')
    .description('run pipelines/ID/tests/*.yaml: the SQL of single stages over given rows, compared with expected rows')
    .addHelpText('after', '\nExamples:\n  almanac test\n  almanac test audience-index --json')
    .action(async (pipeline: string | undefined) => {
      const { testPipelines } = await import('../../operator/pipeline-tests.js');
      const results = await testPipelines(io.projectDirectory(), pipeline);
      io.print(results, () => renderResults(results));
      if (results.some(({ passed }) => !passed)) io.exitWith(FAILURE_CLASSES.user.exitCode);
    });
}

/** One line a case, what differs below, and a count at the end. */
export function renderResults(results: readonly TestResult[]): string {
  if (results.length === 0) return 'there are no tests; write some to pipelines/ID/tests/*.yaml (docs/adding-a-pipeline.md)';
  const lines = results.flatMap(({ passed, place, name, diff, failure }) => [
    `${passed ? 'ok    ' : 'failed'}  ${place}  ${name}`,
    ...(diff === undefined ? [] : diff.split('\n').map((line) => `  ${line}`)),
    ...(failure === undefined ? [] : [`  ${failure.code}: ${failure.message.replaceAll('\n', '\n  ')}`, `    next: ${failure.next}`]),
  ]);
  const failed = results.filter(({ passed }) => !passed).length;
  return [...lines, `${renderCount(results.length, 'test')}, ${failed} failed`].join('\n');
}
