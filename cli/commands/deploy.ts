import type { Command } from 'commander';
import type { Build } from '../../operator/builds';
import type { CliIo } from '../io';
import { renderTable } from '../render';

export function registerDeployCommands(program: Command, io: CliIo): void {
  const deploy = program
    .command('deploy')
    .description('builds that run side by side, where workers are started with ALMANAC_BUILD')
    .addHelpText('after', '\nExamples:\n  almanac deploy builds\n  almanac deploy route 2026-11-21');
  deploy
    .command('builds')
    .description('builds whose workers polled, and the open runs pinned to each')
    .addHelpText('after', '\nExample:\n  almanac deploy builds')
    .action(async () => {
      const { listBuilds } = await import('../../operator/builds.js');
      const builds = await listBuilds(await io.session());
      io.print(builds, () => renderBuilds(builds));
    });
  deploy
    .command('route')
    .argument('<build>', 'as its workers name it in ALMANAC_BUILD')
    .description('send new runs to a build; clock and backfills go on with it, open runs stay with theirs')
    .addHelpText('after', '\nExample:\n  almanac deploy route 2026-11-21')
    .action(async (build: string) => {
      const { routeToBuild } = await import('../../operator/builds.js');
      await routeToBuild(await io.session(), build);
      io.print({ build, current: true }, () => `new runs go to build ${build}`);
    });
  deploy
    .command('retire')
    .argument('<build>', 'as its workers named it in ALMANAC_BUILD')
    .description('forget a build; refused while open runs are pinned to it')
    .addHelpText('after', '\nExample:\n  almanac deploy retire 2026-11-14')
    .action(async (build: string) => {
      const { retireBuild } = await import('../../operator/builds.js');
      await retireBuild(await io.session(), build);
      io.print({ build, retired: true }, () => `build ${build} is retired`);
    });
}

function renderBuilds(builds: readonly Build[]): string {
  if (builds.length === 0) return 'workers are upgraded in place: none was started with ALMANAC_BUILD';
  return renderTable(builds, [
    { title: 'BUILD', value: ({ build }) => build },
    { title: 'NEW RUNS', value: ({ current }) => (current ? 'yes' : 'no') },
    { title: 'OPEN RUNS', value: ({ openRuns }) => openRuns.length, align: 'right' },
    { title: 'DRAINED', value: ({ drained }) => (drained === undefined ? '' : drained ? 'yes' : 'not yet') },
    { title: 'FIRST OF THEM', value: ({ openRuns }) => openRuns.slice(0, 3).join(', ') },
  ]);
}
