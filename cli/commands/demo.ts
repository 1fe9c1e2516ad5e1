import type { Command } from 'commander';
import type { DemoDay } from '../../operator/demo';
import type { SmallDemoAnswer, SmallDemoWindow } from '../../operator/demo-small';
import { AlmanacError } from '../../pipelines/failures';
import type { CliIo } from '../io';
import { renderCount, renderTable } from '../render';

const AUDIENCE_INDEX = 'audience-index';

export function registerDemoCommand(program: Command, io: CliIo): void {
  program
    .command('demo')
    .description(
      'run forty days of real purchases through the audience index, or another pipeline on generated data, and show what came out',
    )
    .argument('[pipeline]', 'audience-index, organic-share or listener-profiles', AUDIENCE_INDEX)
    .option('--keep', 'leave the stack running afterwards')
    .addHelpText(
      'after',
      [
        '',
        'Examples:',
        '  almanac demo',
        '  almanac demo --keep   then look around: almanac runs, almanac publish list',
        '  almanac demo organic-share',
        '  almanac demo listener-profiles',
      ].join('\n'),
    )
    .action(async (pipeline: string, { keep }: { keep?: boolean }) => {
      const { readConfig } = await import('../../lib/config.js');
      const { upDetached } = await import('../../operator/stack/up.js');
      const { down } = await import('../../operator/stack/down.js');
      const { runDemo } = await import('../../operator/demo.js');
      const { requireDemo, runSmallDemo } = await import('../../operator/demo-small.js');
      const { renderDemoReport } = await import('../../operator/demo-report.js');
      if (pipeline !== AUDIENCE_INDEX) requireDemo(pipeline);
      const projectDirectory = io.projectDirectory();
      const config = readConfig(process.env, projectDirectory);
      const interrupted = new AbortController();
      const stop = (): void =>
        interrupted.abort(
          new AlmanacError('demo.interrupted', 'the demo was interrupted', { next: 'almanac demo goes on where it stopped' }),
        );
      process.once('SIGINT', stop);
      process.once('SIGTERM', stop);
      const up = await upDetached({ config, projectDirectory, tell: (line) => io.warn(line) });
      try {
        const running = keep === true || up === 'found';
        const tell = (line: string): void => io.warn(line);
        if (pipeline === AUDIENCE_INDEX) {
          const answer = await runDemo(await io.session(), interrupted.signal, tell, (day) => io.warn(renderDay(day)));
          io.print(answer, () => `\n${renderDemoReport(answer.report)}\n\n${whereNext(AUDIENCE_INDEX, '2011-11-15', 'udb', running)}`);
        } else {
          const answer = await runSmallDemo(await io.session(), pipeline, interrupted.signal, tell, (window) =>
            io.warn(renderWindow(window)),
          );
          const last = answer.windows.at(-1)?.window ?? '';
          io.print(answer, () => `\n${renderReport(answer.report)}\n\n${whereNext(pipeline, last, answer.dataset, running)}`);
        }
      } finally {
        await io.close();
        // A stack that was there before the demo is not the demo's to stop.
        if (keep !== true && up === 'started') await down(config.home);
      }
    });
}

function renderDay(day: DemoDay): string {
  if (!day.computed) return `${day.window}  accepted already, publication ${day.publication ?? '-'}`;
  const landed = day.landed === 0 ? 'idle day' : renderCount(day.landed, 'row');
  return `${day.window}  ${day.seconds.toFixed(2)} s  ${landed.padEnd(12)}  ${renderCount(day.memberships, 'membership')}, ${renderCount(day.reportRows, 'report row')}, publication ${day.publication ?? '-'}`;
}

function renderWindow({ window, computed, seconds, landed, quarantined, warned, publication }: SmallDemoWindow): string {
  if (!computed) return `${window}  accepted already, publication ${publication ?? '-'}`;
  const parts = [
    renderCount(landed, 'row'),
    `${quarantined} in quarantine`,
    ...(warned.length > 0 ? [`warned of ${warned.join(', ')}`] : []),
  ];
  return `${window}  ${seconds.toFixed(2)} s  ${parts.join(', ')}, publication ${publication ?? '-'}`;
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
