import type { Command } from 'commander';
import type { CollectionReport } from '../../activities/storage/collection';
import type { DatasetDiff } from '../../operator/dataset-diff';
import type { Lineage, LineageVersion } from '../../operator/dataset-lineage';
import type { DatasetView, VersionView } from '../../operator/datasets';
import type { CliIo } from '../io';
import { renderBytes, renderCount, renderTable } from '../render';
import { duration } from '../duration';
import { wholeNumber } from '../whole-number';

const DIGITS = 12;
const MINUTE = 60_000;

export function registerDatasetCommands(program: Command, io: CliIo): void {
  const dataset = program
    .command('dataset')
    .description('versions of datasets: what there is, where it came from, how two differ')
    .addHelpText(
      'after',
      '\nExamples:\n  almanac dataset list\n  almanac dataset versions udb\n  almanac dataset diff udb@2011-11-01 udb@2011-11-02',
    );
  dataset
    .command('list')
    .description('datasets that have a version, with the newest accepted one')
    .addHelpText('after', '\nExample:\n  almanac dataset list --json')
    .action(async () => {
      const { listDatasets } = await import('../../operator/datasets.js');
      const views = await listDatasets(await io.session());
      io.print(views, () => renderDatasets(views));
    });
  dataset
    .command('versions <dataset>')
    .description('versions of a dataset, newest window first')
    .option('--window <key>', 'only of this window')
    .option('--limit <n>', 'at most this many', '30')
    .addHelpText('after', '\nExamples:\n  almanac dataset versions udb\n  almanac dataset versions udb --window 2011-11-02 --json')
    .action(async (name: string, options: { window?: string; limit: string }) => {
      const filter = { ...options, limit: wholeNumber('--limit', options.limit, { minimum: 1 }) };
      const { listVersions } = await import('../../operator/datasets.js');
      const views = await listVersions(await io.session(), name, filter);
      io.print(views, () => renderVersions(name, views));
    });
  dataset
    .command('diff <left> <right>')
    .description('what differs between two versions, each DATASET@WINDOW[~BRANCH][#VERSION]')
    .option('--samples <n>', 'rows shown of each kind of difference', '5')
    .addHelpText(
      'after',
      '\nExamples:\n  almanac dataset diff udb@2011-11-01 udb@2011-11-02\n  almanac dataset diff report@2011-11-02#3f2a report@2011-11-02 --json',
    )
    .action(async (left: string, right: string, options: { samples: string }) => {
      const [{ diffVersions }, { parseVersionAddress }, { createScratchEngine }] = await Promise.all([
        import('../../operator/dataset-diff.js'),
        import('../../operator/dataset-names.js'),
        import('../../operator/scratch-engine.js'),
      ]);
      const addresses = [parseVersionAddress(left), parseVersionAddress(right)] as const;
      const samples = wholeNumber('--samples', options.samples);
      const session = await io.session();
      await using scratch = createScratchEngine();
      const diff = await diffVersions({ ...session, engine: scratch.engine }, ...addresses, samples);
      io.print(diff, () => renderDiff(diff));
    });
  dataset
    .command('lineage <version>')
    .description('what a version, DATASET@WINDOW[~BRANCH][#VERSION], was computed from, and what from it')
    .option('--depth <n>', 'steps to follow each way', '3')
    .addHelpText(
      'after',
      '\nExamples:\n  almanac dataset lineage report@2011-11-02\n  almanac dataset lineage udb@2011-11-02 --depth 1 --json',
    )
    .action(async (address: string, options: { depth: string }) => {
      const [{ lineageOf }, { parseVersionAddress }] = await Promise.all([
        import('../../operator/dataset-lineage.js'),
        import('../../operator/dataset-names.js'),
      ]);
      const parsed = parseVersionAddress(address);
      const depth = wholeNumber('--depth', options.depth);
      const lineage = await lineageOf(await io.session(), parsed, depth);
      io.print(lineage, () => renderLineage(lineage));
    });
  dataset
    .command('gc')
    .description('remove state beyond retention, unaccepted versions and litter; a first call marks, a later one deletes')
    .option('--wait <minutes>', 'how long something must have been marked before it is deleted (60; 0 with --older-than)')
    .option('--older-than <age>', 'frees room now: all that is unused and older than 0s, 30m, 12h or 7d, in one call')
    .option('--dry-run', 'say what would be done, do nothing')
    .addHelpText('after', '\nExamples:\n  almanac dataset gc --dry-run\n  almanac dataset gc --older-than 0s\n  almanac dataset gc --json')
    .action(async (options: { wait?: string; olderThan?: string; dryRun?: boolean }) => {
      const { collectDatasets, freeRoom } = await import('../../operator/dataset-collection.js');
      const wait = options.wait === undefined ? {} : { wait: wholeNumber('--wait', options.wait) * MINUTE };
      const age = options.olderThan === undefined ? undefined : duration('--older-than', options.olderThan);
      const how = { ...wait, dryRun: options.dryRun === true };
      const report = age === undefined ? await collectDatasets(await io.session(), how) : await freeRoom(await io.session(), age, how);
      io.print(report, () => renderCollection(report, options.dryRun === true));
    });
  dataset
    .command('reindex')
    .description('rebuild the catalog in the control database from the object store')
    .addHelpText('after', '\nExample:\n  almanac dataset reindex')
    .action(async () => {
      const { reindexDatasets } = await import('../../operator/datasets.js');
      const counts = await reindexDatasets(await io.session());
      io.print(
        counts,
        () => `the catalog holds ${renderCount(counts.versions, 'version')} and ${renderCount(counts.windows, 'accepted window')}`,
      );
    });
}

function renderDatasets(views: readonly DatasetView[]): string {
  if (views.length === 0) return 'no dataset has a version yet';
  return renderTable(views, [
    { title: 'DATASET', value: (view) => view.dataset },
    { title: 'PIPELINE', value: (view) => view.pipeline },
    { title: 'ACCEPTED', value: (view) => view.acceptedWindows, align: 'right' },
    { title: 'NEWEST', value: (view) => view.newestWindow ?? undefined },
    { title: 'ROWS', value: (view) => view.rows?.toLocaleString('en-US'), align: 'right' },
    { title: 'SIZE', value: (view) => (view.bytes === null ? undefined : renderBytes(view.bytes)), align: 'right' },
    { title: 'VERSIONS', value: (view) => view.versions, align: 'right' },
    { title: 'STORED', value: (view) => renderBytes(view.storedBytes), align: 'right' },
  ]);
}

function renderVersions(dataset: string, views: readonly VersionView[]): string {
  if (views.length === 0) return `${dataset} has no such version`;
  return renderTable(views, [
    { title: 'WINDOW', value: (view) => view.window },
    { title: 'VERSION', value: (view) => view.version.slice(0, DIGITS) },
    { title: 'STATE', value: (view) => `${view.state}${view.tainted ? ', tainted' : ''}` },
    { title: 'ROWS', value: (view) => view.rows.toLocaleString('en-US'), align: 'right' },
    { title: 'SIZE', value: (view) => renderBytes(view.bytes), align: 'right' },
    { title: 'WRITTEN BY', value: (view) => `${view.run} ${view.stage}${view.bootstrap ? ' (bootstrap)' : ''}` },
    { title: 'WRITTEN AT', value: (view) => `${view.writtenAt.slice(0, 19)}Z` },
  ]);
}

function renderDiff(diff: DatasetDiff): string {
  const side = ({ dataset, window, version, rows }: DatasetDiff['left']): string =>
    `${dataset}@${window}#${version.slice(0, DIGITS)} (${renderCount(rows, 'row')})`;
  if (diff.equal) return `${side(diff.left)} and ${side(diff.right)} hold the same rows`;
  const shown = (row: Readonly<Record<string, unknown>> | null): string =>
    row === null
      ? ''
      : Object.entries(row)
          .map(([name, value]) => `${name}=${String(value)}`)
          .join(' ');
  const lines = diff.samples.flatMap(({ state, left, right }) => {
    if (state === 'only-left') return [`- ${shown(left)}`];
    return state === 'only-right' ? [`+ ${shown(right)}`] : [`~ ${shown(left)}`, `  ${shown(right)}`];
  });
  const changed = diff.key.length > 0 ? `, ${diff.changed} changed by ${diff.key.join(', ')}` : '';
  return [
    `- ${side(diff.left)}`,
    `+ ${side(diff.right)}`,
    `${diff.onlyLeft} only in the first, ${diff.onlyRight} only in the second${changed}`,
    ...lines,
  ].join('\n');
}

function renderLineage({ version, upstream, sources, downstream }: Lineage): string {
  const line = ({ depth, dataset, window, version: name, run, stage, tainted, stale }: LineageVersion): string =>
    `${'  '.repeat(depth)}${dataset}@${window}#${name.slice(0, DIGITS)}  ${run === null ? 'no longer in the store' : `${run} ${stage ?? ''}`}${tainted ? ', tainted' : ''}${stale ? ', stale' : ''}`;
  return [
    `${version.dataset}@${version.window}#${version.version.slice(0, DIGITS)}  ${version.run} ${version.stage}${version.tainted ? ', tainted' : ''}${version.stale === null ? '' : ', stale'}`,
    ...(version.stale?.replaced ?? []).map(
      ({ dataset, window, built, current }) =>
        `  its input ${dataset}@${window} was ${built.slice(0, DIGITS)}, and is ${current.slice(0, DIGITS)} now`,
    ),
    'computed from',
    ...(upstream.length === 0 ? ['  nothing but files'] : upstream.map(line)),
    'read from',
    ...(sources.length === 0
      ? ['  no file within this depth']
      : sources.map(({ source, dataset, window }) => `  ${source} for ${dataset}@${window}`)),
    'used by',
    ...(downstream.length === 0 ? ['  nothing'] : downstream.map(line)),
  ].join('\n');
}

function renderCollection({ deleted, marked, deletedBytes }: CollectionReport, dryRun: boolean): string {
  const did = dryRun ? 'would delete' : 'deleted';
  const lines = [
    ...deleted.map(({ what, reason }) => `${did} ${what} (${reason})`),
    ...marked.map(({ what, reason }) => `unused ${what} (${reason})`),
    `${did} ${renderCount(deleted.length, 'item')}, ${renderBytes(deletedBytes)}; ${renderCount(marked.length, 'item')} unused since less than the wait`,
  ];
  return lines.join('\n');
}
