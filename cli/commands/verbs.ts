import { Option, type Command } from 'commander';
import type { RetryAnswer } from '../../operator/runs/retry';
import { formatRun, parseRun, retryCommand } from '../../pipelines/run-id';
import type { CliIo } from '../io';
import { renderBuiltOn } from '../render-stale';
import { wholeNumber } from '../whole-number';
import { collect, printSettled } from './run';

interface RetryOptions {
  readonly stage: readonly string[];
  readonly reason: string;
  readonly inputs?: 'latest' | 'pinned';
  readonly code?: 'same' | 'latest';
  readonly downstream?: 'incomplete' | 'all';
  readonly expect?: string;
  readonly wait?: boolean;
}

export function registerVerbCommands(program: Command, io: CliIo): void {
  program
    .command('retry <run>')
    .description('run the failed, changed or named stages again, and all that follows from them')
    .addOption(
      new Option('--stage <id>', 'a stage; may be given again for more. Default: all that failed')
        .argParser(collect)
        .default([], 'all that failed'),
    )
    .requiredOption('--reason <text>', 'recorded with the verb')
    .addOption(new Option('--inputs <which>', 'list landing again, or keep what was read').choices(['latest', 'pinned']))
    .addOption(new Option('--code <which>', 'default: latest after a failure of class user, else same').choices(['same', 'latest']))
    .addOption(new Option('--downstream <which>', 'also run finished stages below').choices(['incomplete', 'all']))
    .option('--expect <epoch>', 'refuse unless the stage is at this order')
    .option('--wait', 'return at the end or at a hold')
    .addHelpText(
      'after',
      '\nExamples:\n  almanac retry audience-index/2011-11-03 --reason "files replaced" --wait\n  almanac retry audience-index/2011-11-03 --stage judge --reason "gate corrected"',
    )
    .action(async (run: string, options: RetryOptions) => {
      const { retryRun } = await import('../../operator/runs/retry.js');
      const expectedEpoch = options.expect === undefined ? undefined : wholeNumber('--expect', options.expect);
      const session = await io.session();
      const answer = await retryRun(session, {
        address: parseRun(run),
        stages: options.stage,
        reason: options.reason,
        inputs: options.inputs,
        code: options.code,
        downstream: options.downstream,
        expectedEpoch,
      });
      if (options.wait !== true) {
        io.print(answer, () => renderRetry(answer));
        return;
      }
      if (!io.json) io.warn(renderRetry(answer));
      const { waitForRun } = await import('../../operator/runs/wait.js');
      await printSettled(io, answer, await waitForRun(session.database, answer.run));
    });
  program
    .command('skip <run>')
    .description('let an open run go on without a failed stage; what follows is tainted')
    .requiredOption('--stage <id>', 'the stage; checks and publications cannot be skipped')
    .requiredOption('--reason <text>', 'recorded with the verb')
    .option('--use <dataset@window#version>', 'the version that stands in for the stage’s output')
    .addHelpText(
      'after',
      '\nExample:\n  almanac skip audience-index/2011-11-03 --stage segments --use segments@2011-11-02#VERSION --reason "reference late"',
    )
    .action(async (run: string, options: { stage: string; reason: string; use?: string }) => {
      const { skipStage } = await import('../../operator/runs/skip.js');
      const answer = await skipStage(await io.session(), { address: parseRun(run), ...options });
      io.print(
        answer,
        () => `${run}: stage ${answer.stage} skipped${answer.used === null ? '' : `, using ${answer.used}`}; what follows is tainted`,
      );
    });
  for (const verb of ['cancel', 'abandon'] as const) {
    program
      .command(`${verb} <run>`)
      .description(verb === 'cancel' ? 'stop a run and prove it stopped' : 'give a held run up; a running one is stopped by cancel')
      .requiredOption('--reason <text>', 'recorded with the verb')
      .addHelpText('after', `\nExample:\n  almanac ${verb} audience-index/2011-11-03 --reason "wrong day"`)
      .action(async (run: string, options: { reason: string }) => {
        const { stopRun } = await import('../../operator/runs/stop.js');
        const answer = await stopRun(await io.session(), { address: parseRun(run), verb, reason: options.reason });
        io.print(answer, () =>
          [
            `${run} generation ${answer.run.generation}: ${answer.state}`,
            ...answer.proof.map(
              ({ stage, attempt, ended, child }) =>
                `  ${stage}#${attempt}: ${PROOFS[ended]}${child === undefined ? '' : ` (pid ${child.pid})`}`,
            ),
          ].join('\n'),
        );
      });
  }
}

const PROOFS = {
  'reported': 'ended by its own report',
  'child-dead': 'its process is dead',
  'fenced': 'fenced, not seen to stop',
} as const;

function indented(line: string | undefined): string[] {
  return line === undefined ? [] : [`  ${line}`];
}

/** What a retry runs, keeps and leaves held, and why. */
export function renderRetry(answer: RetryAnswer): string {
  const { plan, changes, unread } = answer;
  return [
    `${formatRun(answer.run)} generation ${answer.run.generation}: retry with ${answer.code} code and ${answer.inputs} inputs`,
    ...changes.flatMap(({ stage, added, removed, changed }) => [
      ...added.map((path) => `  ${stage}: ${path} is new`),
      ...removed.map((path) => `  ${stage}: ${path} is gone`),
      ...changed.map((path) => `  ${stage}: ${path} changed`),
    ]),
    ...unread.map((id) => `  ${id}: its files were not read yet, so there is nothing to compare them with`),
    ...(changes.length === 0 && answer.inputs === 'latest'
      ? [unread.length === 0 ? '  inputs: unchanged' : '  other inputs: unchanged']
      : []),
    ...plan.reset.map((id) => `  runs ${id}: ${plan.reasons[id] ?? ''}`),
    ...plan.held.map((id) => `  still held: ${id}; next: ${retryCommand(answer.run, id)}`),
    ...(plan.waits.length === 0 ? [] : [`  waits for what is held: ${plan.waits.join(', ')}`]),
    ...(plan.kept.length === 0 ? [] : [`  keeps ${plan.kept.join(', ')}`]),
    ...indented(renderBuiltOn(answer.builtOn)),
    ...(answer.codeDiffers.length === 0
      ? []
      : [`  the declaration changed since (${answer.codeDiffers.join(', ')}); --code latest would use it`]),
  ].join('\n');
}
