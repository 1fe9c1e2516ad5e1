import { Option, type Command } from 'commander';
import type { PlannedBackfill } from '../../operator/backfills/plan';
import { REPROCESS, type Reprocess } from '../../pipelines/backfill-plan';
import type { EngineName } from '../../pipelines/types';
import { engineOption, warnWithoutEmr } from '../engine-option';
import type { CliIo } from '../io';
import { registerBranchCommands } from './backfill-branch';
import { collect, parseParam } from './run';
import { renderBackfill, renderBackfills, renderChange, renderPlan, renderProof } from '../render-backfill';
import { renderStale } from '../render-stale';
import { wholeNumber } from '../whole-number';

export function registerBackfillCommands(program: Command, io: CliIo): void {
  const backfill = program
    .command('backfill')
    .description('ranges of windows to compute: plan them, start what was planned, steer it, stop it with a proof')
    .addHelpText(
      'after',
      '\nExample:\n  almanac backfill plan audience-index --from 2011-11-01 --to 2011-11-30\n  almanac backfill start HASH --reason "first build"',
    );
  registerPlan(backfill, io);
  registerLooks(backfill, io);
  registerSteering(backfill, io);
  registerBranchCommands(backfill, io);
  backfill
    .command('stale [pipeline]')
    .description('windows built on rows that are no longer current, oldest first, and the commands that rebuild them')
    .addHelpText('after', '\nExamples:\n  almanac backfill stale\n  almanac backfill stale audience-index --json')
    .action(async (pipeline: string | undefined) => {
      const { listStale } = await import('../../operator/stale.js');
      const stale = await listStale(await io.session(), pipeline);
      io.print(stale, () => renderStale(stale));
    });
}

interface PlanOptions {
  readonly from: string;
  readonly to: string;
  readonly reprocess: Reprocess;
  readonly fromStage?: string;
  readonly concurrency: string;
  readonly order: 'forward' | 'backward';
  readonly param: readonly string[];
  readonly engine?: EngineName;
}

function registerPlan(backfill: Command, io: CliIo): void {
  backfill
    .command('plan <pipeline>')
    .description('what a backfill would do, stage by stage with the reason, and its hash; starts nothing')
    .requiredOption('--from <key>', 'first window')
    .requiredOption('--to <key>', 'last window, included')
    .addOption(
      new Option('--reprocess <mode>', 'beside what was never built: also what failed, what is of older code or inputs, all')
        .choices([...REPROCESS])
        .default('missing'),
    )
    .option('--from-stage <stage>', 'windows that run do so from this stage on at the latest')
    .option('--concurrency <n>', 'windows at a time; an ordered chain has one', '1')
    .addOption(new Option('--order <order>', 'oldest or newest window first').choices(['forward', 'backward']).default('forward'))
    .addOption(new Option('--param <k=v>', 'override a parameter').argParser(collect).default([] as string[]))
    .addOption(engineOption())
    .addHelpText(
      'after',
      '\nExamples:\n  almanac backfill plan audience-index --from 2011-11-01 --to 2011-11-30 --reprocess stale\n  almanac backfill plan audience-index --from 2011-11-01 --to 2011-11-30 --reprocess all --param min_support=3',
    )
    .action(async (pipeline: string, options: PlanOptions) => {
      const concurrency = wholeNumber('--concurrency', options.concurrency, { minimum: 1, maximum: 1000 });
      const { from, to, reprocess, order, fromStage, param, engine } = options;
      const params = param.length === 0 ? {} : { params: Object.fromEntries(param.map(parseParam)) };
      const { makeBackfill } = await import('../../operator/backfills/plan.js');
      const request = { pipeline, from, to, reprocess, fromStage: fromStage ?? null, order, ...params, ...(engine && { engine }) };
      const session = await io.session();
      warnWithoutEmr(io, session.config, engine);
      const planned: PlannedBackfill = await makeBackfill(session, request, concurrency);
      io.print(planned, () => renderPlan(planned));
    });
  backfill
    .command('start <hash>')
    .description('do exactly what was planned under this hash, or refuse and name what drifted')
    .option('--reason <text>', 'recorded with the backfill')
    .addHelpText('after', '\nExample:\n  almanac backfill start 0123456789abcdef --reason "new segments"')
    .action(async (hash: string, options: { reason?: string }) => {
      const { startBackfill } = await import('../../operator/backfills/verbs.js');
      const row = await startBackfill(await io.session(), hash, options.reason);
      io.print(row, () => renderChange(row));
    });
}

function registerLooks(backfill: Command, io: CliIo): void {
  backfill
    .command('list [pipeline]')
    .description('backfills, newest change first')
    .option('--limit <n>', 'at most this many', '20')
    .addHelpText('after', '\nExample:\n  almanac backfill list audience-index')
    .action(async (pipeline: string | undefined, options: { limit: string }) => {
      const limit = wholeNumber('--limit', options.limit, { minimum: 1 });
      const { backfills } = await import('../../operator/backfills/verbs.js');
      const rows = await backfills(await io.session(), pipeline, limit);
      io.print(rows, () => renderBackfills(rows));
    });
  backfill
    .command('show <hash>')
    .description('how far it is: windows by state, what is left, when it will be done, who told it what')
    .addHelpText('after', '\nExample:\n  almanac backfill show 0123456789abcdef --json')
    .action(async (hash: string) => {
      const { showBackfill } = await import('../../operator/backfills/verbs.js');
      const view = await showBackfill(await io.session(), hash);
      io.print(view, () => renderBackfill(view));
    });
}

function registerSteering(backfill: Command, io: CliIo): void {
  backfill
    .command('set <hash>')
    .description('change how many windows run at a time, also while it runs')
    .requiredOption('--concurrency <n>', 'windows at a time')
    .option('--reason <text>', 'recorded with the backfill')
    .addHelpText('after', '\nExample:\n  almanac backfill set 0123456789abcdef --concurrency 2')
    .action(async (hash: string, options: { concurrency: string; reason?: string }) => {
      const concurrency = wholeNumber('--concurrency', options.concurrency, { minimum: 1, maximum: 1000 });
      const { widenBackfill } = await import('../../operator/backfills/verbs.js');
      const row = await widenBackfill(await io.session(), hash, concurrency, options.reason);
      io.print(row, () => renderChange(row));
    });
  for (const [verb, description] of [
    ['pause', 'let open runs end and start no more'],
    ['resume', 'go on after a pause, or once what halted it is mended'],
    ['cancel', 'stop its open runs; ends with the proof that nothing of it goes on'],
  ] as const) {
    backfill
      .command(`${verb} <hash>`)
      .description(description)
      .requiredOption('--reason <text>', 'recorded with the backfill')
      .addHelpText('after', `\nExample:\n  almanac backfill ${verb} 0123456789abcdef --reason "source is being mended"`)
      .action(async (hash: string, options: { reason: string }) => {
        const { cancelBackfill, pauseBackfill, resumeBackfill } = await import('../../operator/backfills/verbs.js');
        if (verb === 'cancel') {
          const cancelled = await cancelBackfill(await io.session(), hash, options.reason);
          io.print(cancelled, () => renderProof(cancelled));
          return;
        }
        const row = await { pause: pauseBackfill, resume: resumeBackfill }[verb](await io.session(), hash, options.reason);
        io.print(row, () => renderChange(row));
      });
  }
}
