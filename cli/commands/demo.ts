import type { Command } from 'commander';
import type { DemoDay } from '../../operator/demo';
import { AlmanacError } from '../../pipelines/failures';
import type { CliIo } from '../io';
import { renderCount } from '../render';

export function registerDemoCommand(program: Command, io: CliIo): void {
  program
    .command('demo')
    .description('run forty days of real purchases through the audience index, and show what came out')
    .option('--keep', 'leave the stack running afterwards')
    .addHelpText('after', '\nExamples:\n  almanac demo\n  almanac demo --keep   then look around: almanac runs, almanac publish list')
    .action(async ({ keep }: { keep?: boolean }) => {
      const { readConfig } = await import('../../lib/config.js');
      const { upDetached } = await import('../../operator/stack/up.js');
      const { down } = await import('../../operator/stack/down.js');
      const { runDemo } = await import('../../operator/demo.js');
      const { renderDemoReport } = await import('../../operator/demo-report.js');
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
        const answer = await runDemo(
          await io.session(),
          interrupted.signal,
          (line) => io.warn(line),
          (day) => io.warn(renderDay(day)),
        );
        io.print(answer, () => `\n${renderDemoReport(answer.report)}\n\n${whereNext(keep === true || up === 'found')}`);
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

function whereNext(running: boolean): string {
  return [
    ...(running ? [] : ['The stack is stopped; its state is kept. Next: almanac up --detach, then']),
    ...(running ? ['The stack is running. Next:'] : []),
    '  almanac status                                       the processes and the database to query',
    '  almanac show audience-index/2011-11-15               one day, stage by stage',
    '  almanac publish list                                 what is live, and what was before',
    '  almanac dataset lineage udb@2011-11-15               which versions and files it came from',
    '  almanac check show audience-index/2011-11-15         how it was judged',
  ].join('\n');
}
