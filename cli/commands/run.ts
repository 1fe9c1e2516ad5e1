import { Option, type Command } from 'commander';
import type { RunRow } from '../../activities/ledger/runs';
import { AlmanacError, FAILURE_CLASSES } from '../../pipelines/failures';
import { formatRun, MAIN_BRANCH, type RunAddress } from '../../pipelines/run-id';
import type { EngineName, ParamValue } from '../../pipelines/types';
import { engineOption, warnWithoutEmr } from '../engine-option';
import type { CliIo } from '../io';
import { renderRetry } from '../render-retry';
import { renderSettledRun } from '../render-run';
import { renderBuiltOn, renderStale } from '../render-stale';
import { wholeNumber } from '../whole-number';

/** A hundred days. */
const MOST_PATIENCE_SECONDS = 8_640_000;

interface RunOptions {
  readonly window: string;
  readonly wait?: boolean;
  readonly again?: boolean;
  readonly bootstrap?: boolean;
  readonly patience?: string;
  readonly param: readonly string[];
  readonly engine?: EngineName;
  readonly reason?: string;
  readonly code?: 'same' | 'latest';
  readonly inputs?: 'pinned' | 'latest';
  readonly dryRun?: boolean;
}

export function registerRunCommand(program: Command, io: CliIo): void {
  program
    .command('run <pipeline>')
    .description('run one window; running it again attaches, retries after a platform failure, or says it is accepted')
    .requiredOption('--window <key>', 'the window, like 2011-11-01')
    .option('--wait', 'return at the end or at a hold')
    .option('--again', 'make a new generation of a window that is done or closed')
    .option('--bootstrap', 'compute state from all landing data instead of the window before')
    .option('--patience <seconds>', 'wait this long for landing data and sensed conditions that are not there yet')
    .addOption(new Option('--param <k=v>', 'override a parameter').argParser(collect).default([] as string[]))
    .addOption(engineOption())
    .option('--reason <text>', 'recorded with the run')
    .addOption(new Option('--code <which>', 'with --again: the code of today, or that of the run before').choices(['same', 'latest']))
    .addOption(new Option('--inputs <which>', 'with --again: list landing again, or keep what was read').choices(['pinned', 'latest']))
    .option('--dry-run', 'with --again: say what would run, do nothing')
    .addHelpText(
      'after',
      '\nExamples:\n  almanac run audience-index --window 2011-11-01 --wait\n  almanac run audience-index --window 2011-10-31 --bootstrap --wait\n  almanac run audience-index --window 2011-11-01 --again --code same --inputs pinned --dry-run\n  almanac run audience-index --window 2011-11-01 --engine spark --wait',
    )
    .action(async (pipeline: string, options: RunOptions) => {
      if (options.code !== undefined || options.inputs !== undefined || options.dryRun === true) {
        await runAgainAs(io, pipeline, options);
        return;
      }
      const { startRun } = await import('../../operator/runs/start.js');
      const { waitForRun } = await import('../../operator/runs/wait.js');
      const patienceSeconds =
        options.patience === undefined ? undefined : wholeNumber('--patience', options.patience, { maximum: MOST_PATIENCE_SECONDS });
      const session = await io.session();
      warnWithoutEmr(io, session.config, options.engine);
      const answer = await startRun(session, {
        pipeline,
        window: options.window,
        again: options.again,
        bootstrap: options.bootstrap,
        patienceSeconds,
        params: Object.fromEntries(options.param.map(parseParam)),
        engine: options.engine,
        reason: options.reason,
      });
      const name = formatRun(answer.run);
      if (answer.unusedParams !== undefined) {
        io.warn(`${name} has other values of ${answer.unusedParams.join(', ')}; only --again makes a new generation with those given`);
      }
      if (answer.unusedEngine !== undefined) {
        io.warn(`${name} was not started with --engine ${answer.unusedEngine}; only --again makes a new generation with it`);
      }
      const later = renderBuiltOn(answer.builtOn ?? []);
      if (later !== undefined) io.warn(later);
      if (answer.origin && answer.did === 'started') io.warn(`${name} is the origin of its chain`);
      if (options.wait !== true || answer.did === 'accepted') {
        io.print(answer, () =>
          answer.did === 'accepted'
            ? `${name} is accepted already (generation ${answer.run.generation}); nothing to do${answer.ledgerLost === true ? '. Only the store knows it: the ledger lost the run, and --again makes a newer generation' : ''}`
            : `${name} generation ${answer.run.generation}: ${answer.did}`,
        );
        return;
      }
      await printSettled(io, answer, await waitForRun(session.database, answer.run));
    });
}

/** `--again` with a choice of code and inputs, or only said. */
async function runAgainAs(io: CliIo, pipeline: string, options: RunOptions): Promise<void> {
  if (options.again !== true || options.bootstrap === true) {
    throw new AlmanacError('run.usage', '--code, --inputs and --dry-run say how a run is run --again, and not from all landing data', {
      next: `almanac run ${pipeline} --window ${options.window} --again --dry-run`,
    });
  }
  const { runAgain } = await import('../../operator/runs/again.js');
  const session = await io.session();
  const address = { pipeline, window: options.window, branch: MAIN_BRANCH };
  const { code, inputs, engine, dryRun } = options;
  warnWithoutEmr(io, session.config, engine);
  const params = Object.fromEntries(options.param.map(parseParam));
  const answer = await runAgain(session, { address, code, inputs, params, engine, dryRun, reason: options.reason ?? 'run again' });
  if (options.wait !== true || dryRun === true) {
    io.print(answer, () => renderRetry(answer, 'run again'));
    return;
  }
  if (!io.json) io.warn(renderRetry(answer, 'run again'));
  const { waitForRun } = await import('../../operator/runs/wait.js');
  await printSettled(io, answer, await waitForRun(session.database, answer.run));
}

/** What became of a run, and which of the windows built on what it replaced are stale now. */
export async function printSettled(io: CliIo, answer: { readonly builtOn?: readonly RunAddress[] }, row: RunRow): Promise<void> {
  const { findStale, staleOf } = await import('../../operator/stale.js');
  const later = answer.builtOn ?? [];
  const stale =
    later.length === 0
      ? []
      : (await findStale((await io.session()).database)).filter((window) => later.some((run) => staleOf([window], run) !== undefined));
  io.print({ ...answer, state: row.state, failure: row.failure, stale }, () =>
    [renderSettledRun(row), ...(stale.length === 0 ? [] : [renderStale(stale)])].join('\n'),
  );
  io.exitWith(settledExitCode(row));
}

/** 0 for success; the class of the failure that holds the run; `refused` for a run somebody ended. */
function settledExitCode(row: RunRow): number {
  if (row.state === 'succeeded') return 0;
  const failure = row.state === 'held' ? Object.values(row.failure ?? {})[0] : undefined;
  return FAILURE_CLASSES[failure?.class ?? 'refused'].exitCode;
}

/** Of an option that may be given again: all its values. */
export function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}

export function parseParam(text: string): [string, ParamValue] {
  const [, name, value] = /^([a-z][a-z0-9_]*)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw new AlmanacError('run.usage', `--param ${JSON.stringify(text)} is not NAME=VALUE`, {
      next: 'write it like --param threshold=0.5',
    });
  }
  if (value === 'true' || value === 'false') return [name, value === 'true'];
  return [name, /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value];
}
