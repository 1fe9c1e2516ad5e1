import { spawn } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { readConfig, type Config } from '../../lib/config';
import { packageRoot } from '../../lib/package-root';
import { AlmanacError } from '../../pipelines/failures';
import { down } from '../stack/down';
import { freePort } from '../stack/ports';
import { PORT_NAMES } from '../stack/ports-file';
import { superviseStack } from '../stack/up';
import { install } from './install';
import { demoPlaces, demoSettings, demoVariables, madeUpCredentials, shellText, strangersEnvironment, type DemoPlaces } from './places';
import { demoServices } from './services';

export interface DemoOnEmrOptions {
  readonly config: Pick<Config, 'home'>;
  readonly projectDirectory: string;
  /** What follows `almanac demo` where the demo itself runs. */
  readonly args: readonly string[];
  /** Whether the stack stays until `interrupted`, to look around. */
  readonly keep: boolean;
  readonly tell: (line: string) => void;
  /** Ends the demo in order. */
  readonly interrupted: AbortSignal;
}

/**
 * Runs a demo on Spark: sets up an S3 gateway and Spark, serves both on loopback with ports and credentials of the demo's own, and runs
 * `almanac demo` there as anyone would over a bucket and EMR. Answers with its exit code. Everything begins afresh, and whatever was
 * started is ended; what a killed demo left is ended by the next. Throws `demo.unready`, `demo.running`, and what a stack throws.
 */
export async function runDemoOnEmr(options: DemoOnEmrOptions): Promise<number> {
  const { config, projectDirectory, tell, interrupted } = options;
  const { program } = await install<{ program: string }>('versitygw.mjs', tell, interrupted);
  const { jobJar } = await install<{ jobJar: string }>('spark.mjs', tell, interrupted);
  const places = demoPlaces(config.home);
  const credentials = madeUpCredentials();
  const ports = { s3: await freePort(), emr: await freePort() };
  const environment = strangersEnvironment(process.env, credentials);
  const addresses = { s3: `http://127.0.0.1:${ports.s3}`, emr: `http://127.0.0.1:${ports.emr}` };
  const inside = { ...environment, ...demoVariables(places, addresses) };
  // Once they run, the servers outlive the stack that works with them.
  const starting = new AbortController();
  const giveUp = (): void => starting.abort();
  interrupted.addEventListener('abort', giveUp);
  const services = await superviseStack(
    {
      config: readConfig({ ALMANAC_HOME: places.services }, projectDirectory),
      ...{ projectDirectory, tell },
      // Called once nobody else is here, and what a killed demo left of these servers is ended.
      async processes() {
        await makePlaces(places, jobJar);
        await writeFile(places.environment, shellText(shown(inside, environment)), { mode: 0o600 });
        return { specs: demoServices({ places, credentials, ports, versitygw: program, environment }), external: [] };
      },
    },
    starting.signal,
  );
  interrupted.removeEventListener('abort', giveUp);
  if (services === 'found')
    throw new AlmanacError('demo.running', `another demo on EMR runs in ${places.services}`, {
      next: 'End it with Ctrl-C where it runs, or give this one a home of its own: ALMANAC_HOME=.almanac-other almanac demo --emr',
    });
  try {
    const code = await demo(options, inside);
    if (code === 0 && !options.keep) tell('Everything is stopped. To look around: npm run demo:emr -- --keep');
    if (options.keep && code === 0 && !interrupted.aborted) {
      tell(`Look around in another terminal, after: . ${places.environment}`);
      tell('Ctrl-C ends everything.');
      await new Promise((resolve) => interrupted.addEventListener('abort', resolve));
    }
    return code;
  } finally {
    try {
      await down(places.stack);
    } finally {
      await services.stop();
    }
  }
}

/** Begins afresh: of an earlier demo nothing stays, not even a stack that outlived it. */
async function makePlaces(places: DemoPlaces, jobJar: string): Promise<void> {
  await down(places.stack);
  await rm(places.root, { recursive: true, force: true });
  for (const folder of [places.bucket, places.stack]) await mkdir(folder, { recursive: true });
  await writeFile(places.settings, `${JSON.stringify(demoSettings(jobJar), undefined, 2)}\n`);
  const ports = await Promise.all(PORT_NAMES.map(async (name) => [name, await freePort()] as const));
  await writeFile(path.join(places.stack, 'ports.json'), JSON.stringify(Object.fromEntries(ports)));
}

/** What is ours of an environment. */
function shown(inside: NodeJS.ProcessEnv, without: NodeJS.ProcessEnv): Record<string, string> {
  const ours = Object.entries(inside).filter(([name]) => !(name in without) || name.startsWith('AWS_'));
  return Object.fromEntries(ours.map(([name, value = '']) => [name, value]));
}

/** `almanac demo` in a group of its own, so that a Ctrl-C reaches it once, from here. */
async function demo({ projectDirectory, args, keep, interrupted }: DemoOnEmrOptions, environment: NodeJS.ProcessEnv): Promise<number> {
  interrupted.throwIfAborted();
  const cli = path.join(packageRoot(), 'bin', 'almanac.js');
  const child = spawn(process.execPath, [cli, '--project', projectDirectory, 'demo', ...args, keep ? '--keep' : '--no-next'], {
    env: environment,
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const stop = (): void => void child.kill('SIGINT');
  interrupted.addEventListener('abort', stop);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve(code ?? 1));
    });
  } finally {
    interrupted.removeEventListener('abort', stop);
  }
}
