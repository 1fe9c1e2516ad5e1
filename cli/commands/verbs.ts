import { Option, type Command } from 'commander';
import type { BulkAnswer } from '../../operator/runs/bulk';
import type { RetryVerb } from '../../operator/runs/retry';
import { parseRun } from '../../pipelines/parse-run';
import { formatRun } from '../../pipelines/run-id';
import { AlmanacError } from '../../pipelines/failures';
import type { EngineName } from '../../pipelines/types';
import { engineOption, warnWithoutEmr } from '../engine-option';
import type { CliIo } from '../io';
import { renderProofLine } from '../render-proof';
import { renderRetry } from '../render-retry';
import { wholeNumber } from '../whole-number';
import { runState } from './inspect';
import { collect, parseParam, printSettled } from './run';

interface RetryOptions {
  readonly stage: readonly string[];
  readonly reason: string;
  readonly inputs?: 'latest' | 'pinned';
  readonly code?: 'same' | 'latest';
  readonly downstream?: 'incomplete' | 'all';
  readonly expect?: string;
  readonly wait?: boolean;
  readonly param: readonly string[];
  readonly engine?: EngineName;
  readonly dryRun?: boolean;
}

/** A verb for many runs at once. */
interface BulkOptions {
  readonly reason: string;
  readonly pipeline?: string;
  readonly state?: string;
  readonly from?: string;
  readonly to?: string;
  readonly yes?: boolean;
}

export function registerVerbCommands(program: Command, io: CliIo): void {
  bulkOptions(program.command('retry'), 'retry')
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
    .addOption(new Option('--param <k=v>', 'another value of a parameter').argParser(collect).default([] as string[]))
    .addOption(engineOption())
    .option('--dry-run', 'say what would run, do nothing')
    .option('--expect <epoch>', 'refuse unless the stage is at this order')
    .option('--wait', 'return at the end or at a hold')
    .addHelpText(
      'after',
      '\nExamples:\n  almanac retry audience-index/2011-11-03 --reason "files replaced" --wait\n  almanac retry audience-index/2011-11-03 --stage judge --reason "gate corrected"\n  almanac retry --pipeline audience-index --state held --from 2011-11-01 --to 2011-11-30 --reason "disk freed" --yes',
    )
    .action(async (run: string | undefined, options: RetryOptions & BulkOptions) => {
      const params = Object.fromEntries(options.param.map(parseParam));
      if (run === undefined) {
        const { inputs, code, downstream, engine } = options;
        await runBulk(io, 'retry', options, { inputs, code, downstream, params, engine });
        return;
      }
      const { retryRun } = await import('../../operator/runs/retry.js');
      const expectedEpoch = options.expect === undefined ? undefined : wholeNumber('--expect', options.expect);
      const session = await io.session();
      warnWithoutEmr(io, session.config, options.engine);
      const answer = await retryRun(session, {
        address: parseRun(run),
        stages: options.stage,
        reason: options.reason,
        inputs: options.inputs,
        code: options.code,
        downstream: options.downstream,
        expectedEpoch,
        params,
        engine: options.engine,
        dryRun: options.dryRun,
      });
      if (options.wait !== true || options.dryRun === true) {
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
    bulkOptions(program.command(verb), verb)
      .description(verb === 'cancel' ? 'stop a run and prove it stopped' : 'give a held run up; a running one is stopped by cancel')
      .requiredOption('--reason <text>', 'recorded with the verb')
      .addHelpText('after', `\nExample:\n  almanac ${verb} audience-index/2011-11-03 --reason "wrong day"`)
      .action(async (run: string | undefined, options: BulkOptions) => {
        if (run === undefined) {
          await runBulk(io, verb, options);
          return;
        }
        const { stopRun } = await import('../../operator/runs/stop.js');
        const answer = await stopRun(await io.session(), { address: parseRun(run), verb, reason: options.reason });
        io.print(answer, () =>
          [
            `${run} generation ${answer.run.generation}: ${answer.state}`,
            ...answer.proof.map((proof) => `  ${renderProofLine(proof)}`),
          ].join('\n'),
        );
      });
  }
}

/** The options that name many runs instead of one. */
function bulkOptions(command: Command, verb: string): Command {
  return command
    .argument('[run]', `PIPELINE/WINDOW; without it --pipeline, --state and a range name those to ${verb}`)
    .option('--pipeline <id>', 'all runs of this pipeline …')
    .option('--state <state>', '… in this state')
    .option('--from <window>', '… from this window on')
    .option('--to <window>', '… up to this one')
    .option('--yes', 'do it; else the runs are only listed');
}

async function runBulk(io: CliIo, verb: BulkAnswer['verb'], options: BulkOptions, retry?: Pick<RetryVerb, BulkRetry>): Promise<void> {
  const { pipeline, state: stateText, from, to, reason, yes = false } = options;
  const state = runState(stateText);
  if (pipeline === undefined || state === undefined) {
    throw new AlmanacError('run.usage', `${verb} needs a run, or --pipeline and --state`, {
      next: `almanac ${verb} PIPELINE/WINDOW --reason …, or almanac ${verb} --pipeline P --state held --reason …`,
    });
  }
  const { bulk } = await import('../../operator/runs/bulk.js');
  const answer = await bulk(await io.session(), { verb, pipeline, state, from, to, reason, yes, options: retry });
  io.print(answer, () => renderBulk(answer));
  io.exitWith(answer.exitCode);
}

type BulkRetry = 'inputs' | 'code' | 'downstream' | 'params' | 'engine';

function renderBulk({ verb, preview, results }: BulkAnswer): string {
  if (results.length === 0) return `there is no such run to ${verb}`;
  const lines = results.map(({ run, was, failure }) => {
    const what = preview ? `would ${verb}` : failure === null ? `${verb}: done` : `${verb}: ${failure.code}: ${failure.message}`;
    return `${formatRun(run)} generation ${run.generation}, ${was}: ${what}`;
  });
  return [...lines, ...(preview ? [`${results.length} in all; with --yes it is done`] : [])].join('\n');
}
