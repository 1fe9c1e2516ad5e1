import path from 'node:path';
import type { Command } from 'commander';
import { AlmanacError } from '../../pipelines/failures';
import type { CliIo } from '../io';
import { wholeNumber } from '../whole-number';

const PORT = 4588;

interface Options {
  readonly port: string;
  readonly stateDir?: string;
  readonly sparkSubmit?: string;
  readonly cores: string;
  readonly credentials?: string;
  readonly throttle?: string;
  readonly faults?: boolean;
}

export function registerEmrLocalCommand(program: Command, io: CliIo): void {
  program
    .command('emr-local')
    .description('serve EMR on this machine, over a real spark-submit: what the AWS SDK and the aws command ask of clusters and steps')
    .option('--port <n>', 'where to listen on 127.0.0.1; 0: any free port', String(PORT))
    .option('--state-dir <dir>', 'where clusters, steps and their logs are kept (default: emr-local in ALMANAC_HOME)')
    .option('--spark-submit <file>', 'the spark-submit that runs the steps (default: the one Almanac installs in your cache)')
    .option('--cores <n>', 'threads of each Spark', '2')
    .option('--credentials <file>', 'key pairs to take, a JSON list (default: those of the environment, else a pair made up once)')
    .option('--throttle <rate>', 'requests of one operation a second, and at once: 10 or 10:20 (default: no limit)')
    .option('--faults', 'take orders for faults at /faults, for tests')
    .addHelpText(
      'after',
      '\nIt runs until Ctrl-C, which ends every step. Clusters that had a step then are lost: TERMINATED_WITH_ERRORS.\n' +
        '\nExamples:\n  almanac emr-local\n  . .almanac/emr-local/environment.sh && aws emr list-clusters',
    )
    .action((options: Options) => serve(options, io));
}

async function serve(options: Options, io: CliIo): Promise<void> {
  const port = wholeNumber('--port', options.port, { maximum: 65_535 });
  const cores = wholeNumber('--cores', options.cores, { minimum: 1, maximum: 1024 });
  const { parseRate } = await import('../../operator/emr-local/throttle.js');
  const throttle = options.throttle === undefined ? undefined : parseRate(options.throttle);
  if (options.throttle !== undefined && throttle === undefined)
    throw new AlmanacError('run.usage', `--throttle "${options.throttle}" is not a rate`, {
      next: 'Give requests a second, and at once: --throttle 10:20',
    });
  const { readConfig } = await import('../../lib/config.js');
  const { home } = readConfig(process.env, io.projectDirectory());
  const stateDirectory = options.stateDir === undefined ? path.join(home, 'emr-local') : path.resolve(options.stateDir);
  const { openEmrLocal } = await import('../../operator/emr-local/open.js');
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  try {
    const opened = await openEmrLocal({
      stateDirectory,
      port,
      cores,
      faults: options.faults ?? false,
      environment: process.env,
      tell: (line) => io.warn(line),
      ...(options.sparkSubmit === undefined ? {} : { sparkSubmit: options.sparkSubmit }),
      ...(options.credentials === undefined ? {} : { credentialsFile: options.credentials }),
      ...(throttle === undefined ? {} : { throttle }),
    });
    const { close, ...told } = opened;
    io.print(told, () =>
      [
        `EMR is served at ${told.endpoint} (region ${told.region}, credentials: ${told.credentials})`,
        `clusters and logs are in ${told.stateDirectory}`,
        `use it: . ${told.environmentFile} && aws emr list-clusters`,
        ...(told.faults === null ? [] : [`faults are ordered at ${told.faults}`]),
      ].join('\n'),
    );
    if (!stop.signal.aborted) await new Promise((resolve) => stop.signal.addEventListener('abort', resolve));
    await close();
    io.warn('EMR is down');
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, onSignal);
  }
}
