import type { Command } from 'commander';
import type { noticesOf } from '../../operator/notices';
import type { CliIo } from '../io';
import { renderTable } from '../render';
import { wholeNumber } from '../whole-number';

export function registerNoticeCommands(program: Command, io: CliIo): void {
  program
    .command('notices [pipeline]')
    .description('what people were told: holds, failures, recoveries, deadlines; and what became of it at each hook')
    .option('--limit <n>', 'at most this many', '20')
    .addHelpText('after', '\nExample:\n  almanac notices audience-index --limit 5')
    .action(async (pipeline: string | undefined, options: { limit: string }) => {
      const limit = wholeNumber('--limit', options.limit, { minimum: 1 });
      const { noticesOf: read } = await import('../../operator/notices.js');
      const notices = await read(await io.session(), { pipeline, limit });
      io.print(notices, () => renderNotices(notices));
    });
}

function renderNotices(notices: Awaited<ReturnType<typeof noticesOf>>): string {
  if (notices.length === 0) return 'no notice';
  return renderTable(notices, [
    { title: 'AT', value: ({ at }) => `${at.slice(0, 19)}Z` },
    { title: 'KIND', value: ({ kind }) => kind },
    { title: 'WHAT', value: ({ text }) => text },
    {
      title: 'HOOKS',
      value: ({ deliveries }) =>
        deliveries.length === 0
          ? 'none'
          : deliveries
              .map(({ hook, state, tries, error }) => `${hook} ${state}${error === null ? '' : ` after ${tries}: ${error}`}`)
              .join(', '),
    },
  ]);
}
