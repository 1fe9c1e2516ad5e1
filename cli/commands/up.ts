import type { Command } from 'commander';
import { AlmanacError, failureInfo } from '../../pipelines/failures';
import type { SupervisorReport } from '../../operator/stack/up';
import type { CliIo } from '../io';
import { printStatus } from './status';

export function registerUpCommands(program: Command, io: CliIo): void {
  program
    .command('up')
    .description('start the stack: Temporal, Postgres and the workers, unless the environment names external ones')
    .option('--detach', 'return when everything runs, and leave it running')
    .addHelpText(
      'after',
      '\nExamples:\n  almanac up --detach\n  TEMPORAL_ADDRESS=cluster:7233 DATABASE_URL=postgres://u@db/almanac almanac up',
    )
    .action(async ({ detach }: { detach?: boolean }) => {
      if (detach) await detached(io);
      else await foreground(io);
    });
}

async function detached(io: CliIo): Promise<void> {
  const { readConfig } = await import('../../lib/config.js');
  const { upDetached } = await import('../../operator/stack/up.js');
  const projectDirectory = io.projectDirectory();
  const config = readConfig(process.env, projectDirectory);
  const result = await upDetached({ config, projectDirectory, tell: (line) => io.warn(line) });
  if (result === 'found') io.warn('the stack is up already');
  await printStatus(io, config);
}

/** This process is the supervisor until a signal ends it: the first in order, the second at once. */
async function foreground(io: CliIo): Promise<void> {
  const { readConfig } = await import('../../lib/config.js');
  const { superviseStack } = await import('../../operator/stack/up.js');
  const projectDirectory = io.projectDirectory();
  const stop = new AbortController();
  let kill = (): void => undefined;
  const onSignal = (): void => {
    if (stop.signal.aborted) kill();
    stop.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  try {
    const config = readConfig(process.env, projectDirectory);
    const stack = await superviseStack({ config, projectDirectory, tell: (line) => io.warn(line) }, stop.signal);
    report({ result: stack === 'found' ? 'found' : 'started' });
    if (stack === 'found') {
      io.warn('the stack is up already');
      await printStatus(io, config);
      return;
    }
    kill = () => stack.kill();
    await printStatus(io, config);
    await aborted(stop.signal);
    await stack.stop();
    io.warn('the stack is down');
  } catch (error) {
    if (error instanceof AlmanacError) report({ failure: failureInfo(error) });
    // Ctrl-C before everything ran is an answer, not a failure.
    if (!stop.signal.aborted) throw error;
    io.warn('the stack is down');
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, onSignal);
  }
}

/** To the `up --detach` that started us, if it is still there. */
function report(message: SupervisorReport): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    // A signal handler alone does not keep the process; the children do, and this timer where there are none.
    const timer = setInterval(() => undefined, 2 ** 30);
    signal.addEventListener('abort', () => {
      clearInterval(timer);
      resolve();
    });
  });
}
