import type { Command } from 'commander';
import type { PublicationView } from '../../operator/publications';
import { formatRun } from '../../pipelines/run-id';
import type { CliIo } from '../io';
import { renderTable } from '../render';
import { wholeNumber } from '../whole-number';

export function registerPublishCommands(program: Command, io: CliIo): void {
  const publish = program
    .command('publish')
    .description('what is live, from which accepted set, and putting an earlier publication back')
    .addHelpText('after', '\nExamples:\n  almanac publish list\n  almanac publish restore 17 --reason "wrong prices in 18"');
  publish
    .command('list')
    .description('publications, newest first')
    .option('--pipeline <id>', 'only of this pipeline')
    .option('--all', 'also those whose tables are gone: collected, failed, superseded')
    .option('--limit <n>', 'at most this many', '20')
    .addHelpText('after', '\nExamples:\n  almanac publish list\n  almanac publish list --pipeline audience-index --all --json')
    .action(async (options: { pipeline?: string; all?: boolean; limit: string }) => {
      const filter = { ...options, limit: wholeNumber('--limit', options.limit, { minimum: 1 }) };
      const { listPublications } = await import('../../operator/publications.js');
      const views = await listPublications(await io.session(), filter);
      io.print(views, () => renderPublications(views));
    });
  publish
    .command('restore <publication>')
    .description('put an earlier publication back; the newer one stays away until a new accepted set or another restore')
    .requiredOption('--reason <text>', 'recorded with the publication')
    .addHelpText('after', '\nExample:\n  almanac publish restore 17 --reason "wrong prices in 18"')
    .action(async (publication: string, options: { reason: string }) => {
      const number = wholeNumber('the publication', publication, { minimum: 1, next: 'almanac publish list shows the numbers' });
      const { restorePublication } = await import('../../operator/publications.js');
      const session = await io.session();
      const answer = await restorePublication(session, {
        publication: number,
        reason: options.reason,
        who: session.config.actor,
      });
      io.print(answer, () =>
        answer.did === 'nothing'
          ? `publication ${answer.live} of ${answer.pipeline} is live already; nothing to do`
          : `publication ${answer.live} of ${answer.pipeline} is live, replacing ${answer.replaced ?? 'nothing'}`,
      );
    });
}

function renderPublications(views: readonly PublicationView[]): string {
  if (views.length === 0) return 'nothing was published yet';
  return renderTable(views, [
    { title: 'ID', value: (view) => view.id, align: 'right' },
    { title: 'STATE', value: (view) => view.state },
    { title: 'RUN', value: (view) => `${formatRun(view.run)}#${view.run.generation}` },
    { title: 'SET', value: (view) => view.acceptedSequence, align: 'right' },
    {
      title: 'GATES',
      value: (view) =>
        Object.entries(view.gates)
          .map(([id, { status }]) => `${id} ${status}`)
          .join(', '),
    },
    { title: 'LIVE SINCE', value: (view) => view.flippedAt?.slice(0, 19).concat('Z') },
    { title: 'REPLACED', value: (view) => view.replaced ?? undefined, align: 'right' },
    {
      title: 'ROWS',
      value: (view) =>
        Object.entries(view.tables ?? {})
          .map(([table, { rows }]) => `${table} ${rows}`)
          .join(', '),
    },
    {
      title: 'RESTORE',
      value: ({ lastRestore }) =>
        lastRestore === null ? undefined : `${lastRestore.event} by ${lastRestore.who}: ${lastRestore.reason ?? ''}`,
    },
  ]);
}
