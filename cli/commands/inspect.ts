import type { Command } from 'commander';
import { AlmanacError } from '../../pipelines/failures';
import { parseRun } from '../../pipelines/parse-run';
import { MAIN_BRANCH } from '../../pipelines/run-id';
import { RUN_STATES, type RunState } from '../../pipelines/status';
import type { CliIo } from '../io';
import { renderGrid, renderRun, renderRuns } from '../render-run';
import { wholeNumber } from '../whole-number';

/** How an argument that names a run is explained. */
const RUN = 'PIPELINE/WINDOW, an earlier generation as PIPELINE/WINDOW#N';

interface ListOptions {
  readonly pipeline?: string;
  readonly state?: string;
  readonly from?: string;
  readonly to?: string;
  readonly limit: string;
  readonly grid?: boolean;
}

export function registerInspectCommands(program: Command, io: CliIo): void {
  program
    .command('runs')
    .description('the newest generation of each window, last change first')
    .option('--pipeline <id>', 'only of this pipeline')
    .option('--state <state>', `only in this state: ${Object.keys(RUN_STATES).join(', ')}`)
    .option('--from <window>', 'only this window and later ones, like 2011-11-01')
    .option('--to <window>', 'only this window and earlier ones')
    .option('--limit <n>', 'at most this many', '50')
    .option('--grid', 'windows by stages of one --pipeline, newest window first')
    .addHelpText(
      'after',
      '\nExamples:\n  almanac runs --state held\n  almanac runs --pipeline audience-index --from 2011-11-01\n  almanac runs --pipeline audience-index --grid --to 2011-11-30',
    )
    .action(async (options: ListOptions) => {
      const { grid, ...names } = options;
      const filter = { ...names, state: runState(options.state), limit: wholeNumber('--limit', options.limit, { minimum: 1 }) };
      if (grid === true) {
        const { pipeline, from, to, limit } = filter;
        if (pipeline === undefined || filter.state !== undefined) {
          throw new AlmanacError('run.usage', 'a grid is of one pipeline, with all its states', {
            next: 'almanac runs --pipeline PIPELINE --grid',
          });
        }
        const { runGrid } = await import('../../operator/runs/grid.js');
        const found = await runGrid(await io.session(), { pipeline, branch: MAIN_BRANCH, from, to, limit });
        io.print(found, () => renderGrid(found));
        return;
      }
      const { runs } = await import('../../operator/runs/inspect.js');
      const rows = await runs(await io.session(), filter);
      io.print(rows, () => renderRuns(rows));
    });
  program
    .command('show')
    .argument('<run>', RUN)
    .description('stages, attempts, pins, verbs and what it waits for')
    .addHelpText(
      'after',
      '\nExamples:\n  almanac show audience-index/2011-11-01\n  almanac show audience-index/2011-11-01#1   an earlier generation',
    )
    .action(async (run: string) => {
      const { showRun } = await import('../../operator/runs/inspect.js');
      const view = await showRun(await io.session(), parseRun(run));
      io.print(view, () => renderRun(view));
    });
  program
    .command('why')
    .argument('<run>', RUN)
    .description('one line: what it waits for, since when, the next command')
    .addHelpText('after', '\nExamples:\n  almanac why audience-index/2011-11-01\n  almanac why audience-index/2011-11-01 --json')
    .action(async (run: string) => {
      const { whyRun } = await import('../../operator/runs/inspect.js');
      const answer = await whyRun(await io.session(), parseRun(run));
      io.print(
        answer,
        () =>
          `${run} (${answer.state}) waits for ${answer.waitsFor}, since ${answer.since}${answer.next === null ? '' : `; next: ${answer.next}`}`,
      );
    });
  program
    .command('logs')
    .argument('<run>', RUN)
    .argument('[stage]', 'only of this stage')
    .description('log lines of a run or of one stage')
    .addHelpText(
      'after',
      '\nExamples:\n  almanac logs audience-index/2011-11-01\n  almanac logs audience-index/2011-11-01#1 publish   of an earlier generation',
    )
    .action(async (run: string, stage: string | undefined) => {
      const { runLogs } = await import('../../operator/runs/inspect.js');
      const lines = await runLogs(await io.session(), parseRun(run), stage);
      io.print(lines, () => lines.map((line) => `${line.at} ${line.stage}#${line.attempt} ${line.line}`).join('\n'));
    });
}

export function runState(text: string | undefined): RunState | undefined {
  if (text === undefined || text in RUN_STATES) return text as RunState | undefined;
  throw new AlmanacError('run.usage', `no run is ever ${JSON.stringify(text)}`, {
    next: `use one of: ${Object.keys(RUN_STATES).join(', ')}`,
  });
}
