import type { Config } from '../../lib/config';
import { AlmanacError } from '../../pipelines/failures';
import { isRunning } from './process-identity';
import { readStackState } from './stack-state';

/** Where the services are that every process of Almanac works with. */
export interface StackEnvironment {
  readonly databaseUrl: string;
  readonly temporalAddress: string;
}

/**
 * External services as configured, the rest from the stack that runs in `config.home`. Throws `stack.down` when an embedded one is
 * needed and no supervisor lives, `config.invalid` when the running stack uses external services the environment does not name.
 */
export function stackEnvironment(config: Pick<Config, 'home' | 'databaseUrl' | 'temporal'>): StackEnvironment {
  const external = config.temporal.external?.address;
  if (config.databaseUrl !== undefined && external !== undefined) return { databaseUrl: config.databaseUrl, temporalAddress: external };
  const state = readStackState(config.home);
  if (!state || !isRunning(state.supervisor)) {
    throw new AlmanacError('stack.down', `no stack is running in ${config.home}`, {
      next: 'almanac up --detach',
      details: { home: config.home },
    });
  }
  return {
    databaseUrl: config.databaseUrl ?? state.databaseUrl ?? missing('DATABASE_URL', 'Postgres'),
    temporalAddress: external ?? state.temporalAddress ?? missing('TEMPORAL_ADDRESS', 'Temporal'),
  };
}

function missing(variable: string, service: string): never {
  throw new AlmanacError('config.invalid', `the running stack was started with an external ${service}, but ${variable} is not set here`, {
    next: `set ${variable} as it was for almanac up, or: almanac down && almanac up --detach`,
    details: { variable },
  });
}
