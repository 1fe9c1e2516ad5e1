import { Option, type Command } from 'commander';
import type { DemoDay } from '../../operator/demo';
import type { DemoStage } from '../../operator/demo-steps';
import type { SmallDemoAnswer, SmallDemoWindow } from '../../operator/demo-small';
import type { DemoOptions } from '../../operator/demo-window';
import { isEngineName } from '../../pipelines/engine-choice';
import { AlmanacError } from '../../pipelines/failures';
import type { EngineName } from '../../pipelines/types';
import type { CliIo } from '../io';
import { renderCount, renderTable } from '../render';
import { renderDemoStages } from '../render-demo-stages';
import { wholeNumber } from '../whole-number';

const AUDIENCE_INDEX = 'audience-index';
/** Each stage is a JVM of its own. */
const WINDOWS_ON_EMR = 2;
const MOST_WINDOWS = 1000;

interface Options {
  readonly keep?: boolean;
  readonly days?: string;
  readonly engine?: string;
  readonly emr?: boolean;
  readonly next: boolean;
}

export function registerDemoCommand(program: Command, io: CliIo): void {
  program
    .command('demo')
    .description(
      'run forty days of real purchases through the audience index, or another pipeline on generated data, and show what came out',
    )
    .argument('[pipeline]', 'audience-index, organic-share or listener-profiles', AUDIENCE_INDEX)
    .option('--days <n>', `only the first windows (with --emr: ${WINDOWS_ON_EMR})`)
    .option('--engine <name>', 'compute on duckdb or spark, and show what each stage took')
    .option('--emr', 'on Spark, over an EMR and an S3 that are set up on this machine for it')
    .option('--keep', 'leave the stack running afterwards (with --emr: until Ctrl-C)')
    .addOption(new Option('--no-next', 'say nothing of where to look next: the caller does').hideHelp())
    .addHelpText(
      'after',
      [
        '',
        'Examples:',
        '  almanac demo',
        '  almanac demo --keep   then look around: almanac runs, almanac publish list',
        '  almanac demo organic-share',
        '  almanac demo listener-profiles',
        '  almanac demo --emr --days 3',
      ].join('\n'),
    )
    .action((pipeline: string, options: Options) => demo(pipeline, options, io));
}

async function demo(pipeline: string, options: Options, io: CliIo): Promise<void> {
  const { requireDemo } = await import('../../operator/demo-small.js');
  if (pipeline !== AUDIENCE_INDEX) requireDemo(pipeline);
  const windows = options.days === undefined ? undefined : wholeNumber('--days', options.days, { minimum: 1, maximum: MOST_WINDOWS });
  const engine = engineOf(options);
  const interrupted = new AbortController();
  const stop = (): void =>
    interrupted.abort(
      new AlmanacError('demo.interrupted', 'the demo was interrupted', {
        next: 'almanac demo goes on where it stopped; with --emr it begins afresh',
      }),
    );
  // A second Ctrl-C ends the command at once, but not one whose servers would then be left.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process[options.emr === true ? 'on' : 'once'](signal, stop);
  const demoOptions: DemoOptions = {
    signal: interrupted.signal,
    tell: (line) => io.warn(line),
    ...(engine === undefined ? {} : { engine }),
    ...(windows === undefined ? {} : { windows }),
  };
  if (options.emr === true) await demoOnEmr(pipeline, demoOptions, options.keep === true, io);
  else await demoHere(pipeline, demoOptions, { keep: options.keep === true, next: options.next }, io);
}

function engineOf({ engine, emr }: Options): EngineName | undefined {
  if (engine !== undefined && !isEngineName(engine))
    throw new AlmanacError('run.usage', `--engine ${engine} is no engine`, { next: 'almanac demo --engine duckdb, or --engine spark' });
  if (emr === true && engine === 'duckdb')
    throw new AlmanacError('run.usage', '--emr shows Spark, and --engine asks for DuckDB', { next: 'almanac demo --emr' });
  return engine;
}

async function demoOnEmr(pipeline: string, { windows, signal, tell }: DemoOptions, keep: boolean, io: CliIo): Promise<void> {
  const { readConfig } = await import('../../lib/config.js');
  const { runDemoOnEmr } = await import('../../operator/demo-emr/run.js');
  const projectDirectory = io.projectDirectory();
  const args = [pipeline, '--engine', 'spark', '--days', String(windows ?? WINDOWS_ON_EMR), ...(io.json ? ['--json'] : [])];
  // Where everything is kept; all else is the demo's own.
  const config = readConfig({ ALMANAC_HOME: process.env.ALMANAC_HOME }, projectDirectory);
  io.exitWith(await runDemoOnEmr({ config, projectDirectory, args, keep, tell, interrupted: signal }));
}

async function demoHere(
  pipeline: string,
  options: DemoOptions,
  { keep, next }: { readonly keep: boolean; readonly next: boolean },
  io: CliIo,
): Promise<void> {
  const { readConfig } = await import('../../lib/config.js');
  const { upDetached } = await import('../../operator/stack/up.js');
  const { down } = await import('../../operator/stack/down.js');
  const { runDemo } = await import('../../operator/demo.js');
  const { runSmallDemo } = await import('../../operator/demo-small.js');
  const { renderDemoReport } = await import('../../operator/demo-report.js');
  const { endClusters } = await import('../../operator/demo-steps.js');
  const projectDirectory = io.projectDirectory();
  const config = readConfig(process.env, projectDirectory);
  const up = await upDetached({ config, projectDirectory, tell: options.tell });
  try {
    const running = keep || up === 'found';
    const clusters = new Set<string>();
    const seen = (stages: readonly DemoStage[] = []): void => {
      for (const { step } of stages) if (step !== undefined) clusters.add(step.cluster);
    };
    if (pipeline === AUDIENCE_INDEX) {
      const answer = await runDemo(await io.session(), options, (day) => {
        seen(day.stages);
        io.warn(renderDay(day));
      });
      const last = answer.days.at(-1)?.window ?? '';
      const shown = options.windows === undefined ? '2011-11-15' : last;
      io.print(
        answer,
        () => `\n${renderDemoReport(answer.report)}${next ? `\n\n${whereNext(AUDIENCE_INDEX, shown, 'udb', running)}` : ''}`,
      );
    } else {
      const answer = await runSmallDemo(await io.session(), pipeline, options, (window) => {
        seen(window.stages);
        io.warn(renderWindow(window));
      });
      const last = answer.windows.at(-1)?.window ?? '';
      io.print(answer, () => `\n${renderReport(answer.report)}${next ? `\n\n${whereNext(pipeline, last, answer.dataset, running)}` : ''}`);
    }
    for (const cluster of await endClusters(await io.session(), clusters)) io.warn(`cluster ${cluster} is terminated`);
  } finally {
    await io.close();
    // A stack that was there before the demo is not the demo's to stop.
    if (!keep && up === 'started') await down(config.home);
  }
}

function renderDay(day: DemoDay): string {
  if (!day.computed) return `${day.window}  accepted already, publication ${day.publication ?? '-'}`;
  const landed = day.landed === 0 ? 'idle day' : renderCount(day.landed, 'row');
  const line = `${day.window}  ${day.seconds.toFixed(2)} s  ${landed.padEnd(12)}  ${renderCount(day.memberships, 'membership')}, ${renderCount(day.reportRows, 'report row')}, publication ${day.publication ?? '-'}`;
  return `${line}${renderDemoStages(day.stages)}`;
}

function renderWindow({ window, computed, seconds, landed, quarantined, warned, publication, stages }: SmallDemoWindow): string {
  if (!computed) return `${window}  accepted already, publication ${publication ?? '-'}`;
  const parts = [
    renderCount(landed, 'row'),
    `${quarantined} in quarantine`,
    ...(warned.length > 0 ? [`warned of ${warned.join(', ')}`] : []),
  ];
  return `${window}  ${seconds.toFixed(2)} s  ${parts.join(', ')}, publication ${publication ?? '-'}${renderDemoStages(stages)}`;
}

/** The first column names the row, the others are figures. */
function renderReport(rows: SmallDemoAnswer['report']): string {
  return renderTable(
    rows,
    Object.keys(rows[0] ?? {}).map((title, at) => ({ title, value: (row) => row[title] ?? '-', align: at === 0 ? 'left' : 'right' })),
  );
}

function whereNext(pipeline: string, window: string, dataset: string, running: boolean): string {
  const next = [
    ['almanac status', 'the processes and the database to query'],
    [`almanac show ${pipeline}/${window}`, 'one window, stage by stage'],
    ['almanac publish list', 'what is live, and what was before'],
    [`almanac dataset lineage ${dataset}@${window}`, 'which versions and files it came from'],
    [`almanac check show ${pipeline}/${window}`, 'how it was judged'],
  ];
  const width = Math.max(...next.map(([command = '']) => command.length));
  return [
    running ? 'The stack is running. Next:' : 'The stack is stopped; its state is kept. Next: almanac up --detach, then',
    ...next.map(([command = '', what = '']) => `  ${command.padEnd(width)}   ${what}`),
  ].join('\n');
}
