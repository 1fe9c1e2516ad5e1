import { Option, type Command } from 'commander';
import type { Hooks } from '../../pipelines/notify';
import type { Role } from '../../workers/main';
import type { CliIo } from '../io';

export function registerWorkerCommand(program: Command, io: CliIo): void {
  program
    .command('worker')
    .description('run one worker process in the foreground (almanac up runs both)')
    .addOption(
      new Option('--role <role>', 'control: workflows and short activities; compute: stages')
        .choices(['control', 'compute'])
        .makeOptionMandatory(),
    )
    .addHelpText('after', '\nExample:\n  almanac worker --role compute')
    .action(async (options: { role: Role }) => {
      const { readConfig } = await import('../../lib/config.js');
      const { stackEnvironment } = await import('../../operator/stack/environment.js');
      const { runWorker } = await import('../../workers/main.js');
      const config = readConfig(process.env, io.projectDirectory());
      const stop = new AbortController();
      const end = (): void => stop.abort();
      process.once('SIGINT', end);
      process.once('SIGTERM', end);
      const ready = (metrics: string | undefined): void =>
        io.warn(`almanac worker ${options.role} is ready${metrics === undefined ? '' : `; metrics on ${metrics}`}`);
      const { createClock } = await import('../../operator/schedules/clock.js');
      const { createBackfills } = await import('../../operator/backfills/step.js');
      const session = options.role === 'control' ? await io.session() : undefined;
      const operator = session === undefined ? undefined : { ...createClock(session), ...createBackfills(session) };
      const hooks = async (): Promise<{ directory: string; hooks: Hooks }> =>
        (await import('../../operator/project.js')).loadProject(io.projectDirectory());
      await runWorker(options.role, config, stackEnvironment(config), stop.signal, ready, operator, hooks);
    });
}
