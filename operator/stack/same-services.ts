import { maskUrl, type Config } from '../../lib/config';
import { AlmanacError } from '../../pipelines/failures';
import type { StackState } from './stack-state';

/**
 * Whether the running stack works with the services the environment names. Throws `stack.other-services`: its verbs would go to one
 * and its workers to the other. A database is compared without its password.
 */
export function requireSameServices(config: Pick<Config, 'home' | 'databaseUrl' | 'temporal'>, state: StackState | undefined): void {
  if (state === undefined) return;
  const running = {
    TEMPORAL_ADDRESS: state.temporalAddress === undefined ? state.processes.find(({ name }) => name === 'temporal')?.address : undefined,
    DATABASE_URL: state.externalDatabase,
  };
  const wanted = {
    TEMPORAL_ADDRESS: config.temporal.external?.address,
    DATABASE_URL: config.databaseUrl === undefined ? undefined : maskUrl(config.databaseUrl),
  };
  for (const variable of ['TEMPORAL_ADDRESS', 'DATABASE_URL'] as const) {
    if (running[variable] === wanted[variable]) continue;
    const said = (value: string | undefined): string => value ?? 'a server of its own';
    const mend = running[variable] === undefined ? `unset ${variable}` : `set ${variable} to the one it runs with`;
    throw new AlmanacError(
      'stack.other-services',
      `the stack in ${config.home} is up with ${said(running[variable])}, and ${variable} ${wanted[variable] === undefined ? 'is not set' : `names ${wanted[variable]}`}`,
      { next: `${mend}; or: almanac down && almanac up --detach`, details: { variable } },
    );
  }
}
