import type { Command } from 'commander';
import type { Lease } from '../../activities/ledger/pools';
import type { PoolLine, PoolView } from '../../operator/pools';
import { formatRun } from '../../pipelines/run-id';
import type { CliIo } from '../io';
import { renderTable } from '../render';
import { wholeNumber } from '../whole-number';

export function registerPoolCommands(program: Command, io: CliIo): void {
  const pool = program
    .command('pool')
    .description('permits that stages of all pipelines share: how many there are, who holds them, who waits')
    .addHelpText('after', '\nExamples:\n  almanac pool list\n  almanac pool show warehouse');
  pool
    .command('list')
    .description('every pool with its permits, how many are out and how many stages wait')
    .addHelpText('after', '\nExample:\n  almanac pool list --json')
    .action(async () => {
      const { poolsOf } = await import('../../operator/pools.js');
      const pools = await poolsOf(await io.session());
      io.print(pools, () => renderPools(pools));
    });
  pool
    .command('show <name>')
    .description('who holds permits of a pool, since when, and who waits in which position')
    .addHelpText('after', '\nExample:\n  almanac pool show warehouse')
    .action(async (name: string) => {
      const { showPool } = await import('../../operator/pools.js');
      const shown = await showPool(await io.session(), name);
      io.print(shown, () => renderPool(shown));
    });
  pool
    .command('set <name>')
    .description('change how many permits a pool has, at once; what is out stays out')
    .requiredOption('--permits <n>', '0 closes the pool; as many as declared takes an earlier change back')
    .requiredOption('--reason <text>', 'recorded with the verb')
    .option('--force', 'also when stages ask for more: they are held when they come')
    .addHelpText('after', '\nExample:\n  almanac pool set warehouse --permits 2 --reason "it is being moved"')
    .action(async (name: string, options: { permits: string; reason: string; force?: true }) => {
      const permits = wholeNumber('--permits', options.permits);
      const { setPool } = await import('../../operator/pools.js');
      const shown = await setPool(await io.session(), name, { permits, reason: options.reason, force: options.force === true });
      io.print(shown, () => renderPool(shown));
    });
}

function sizeText({ permits, declared }: PoolLine | PoolView): string {
  return permits === declared ? String(permits) : `${permits} (declared ${declared})`;
}

function whyText({ reason, who, changedAt, undeclared }: PoolLine | PoolView): string {
  return [
    ...(reason === null ? [] : [`${reason} (${who ?? ''}, ${changedAt.slice(0, 16)}Z)`]),
    ...(undeclared ? ['the project does not declare it any more'] : []),
  ].join('; ');
}

function renderPools(pools: readonly PoolView[]): string {
  if (pools.length === 0) return 'the project declares no pool, and none is in use';
  return renderTable(pools, [
    { title: 'POOL', value: ({ name }) => name },
    { title: 'PERMITS', value: sizeText, align: 'right' },
    { title: 'OUT', value: ({ out }) => out, align: 'right' },
    { title: 'WAITING', value: ({ waiting }) => waiting, align: 'right' },
    { title: 'WHY', value: whyText },
  ]);
}

function renderPool(pool: PoolLine): string {
  const why = whyText(pool);
  const out = pool.holders.reduce((sum, { permits }) => sum + permits, 0);
  const run = (lease: Lease): string => formatRun(lease.run);
  const lines = [`pool ${pool.name}: ${sizeText(pool)} permits, ${out} out, ${pool.line.length} waiting${why === '' ? '' : `; ${why}`}`];
  if (pool.holders.length > 0)
    lines.push(
      '',
      renderTable(pool.holders, [
        { title: 'HELD BY', value: run },
        { title: 'STAGE', value: ({ stage }) => stage },
        { title: 'PERMITS', value: ({ permits }) => permits, align: 'right' },
        { title: 'SINCE', value: ({ since }) => since ?? '' },
      ]),
    );
  if (pool.line.length > 0)
    lines.push(
      '',
      renderTable(
        pool.line.map((lease, at) => ({ lease, position: at + 1 })),
        [
          { title: 'POSITION', value: ({ position }) => position, align: 'right' },
          { title: 'RUN', value: ({ lease }) => run(lease) },
          { title: 'STAGE', value: ({ lease }) => lease.stage },
          { title: 'PERMITS', value: ({ lease }) => lease.permits, align: 'right' },
          { title: 'ASKED', value: ({ lease }) => new Date(lease.askedAt).toISOString() },
          { title: '', value: ({ lease }) => noteOf(lease, pool) },
        ],
      ),
    );
  return lines.join('\n');
}

function noteOf({ lane, permits, present, placeSince }: Lease, pool: PoolLine): string {
  const notes = [
    ...(lane === 'backfill' ? ['backfill'] : []),
    ...(pool.permits === 0 ? ['the pool is closed'] : permits > pool.permits ? ['more than the pool has: it is held when it looks'] : []),
    ...(placeSince === null ? [] : [`its turn came ${placeSince}: it waits for a place`]),
    ...(present ? [] : [placeSince === null ? 'does not look: passed over until it does' : 'passed over until it has one']),
  ];
  return notes.join('; ');
}
