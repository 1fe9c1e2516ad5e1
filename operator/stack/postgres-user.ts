import { spawnSync } from 'node:child_process';
import { chownSync, lstatSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { AlmanacError } from '../../pipelines/failures';

/** The system account Postgres runs as when we are root, which it refuses to be; it exists on every Linux. */
const NOBODY = 65534;

/** How to start a program of Postgres: what stands before it, as whom, and who must own its data. */
export interface PostgresUser {
  readonly prefix: readonly string[];
  readonly identity: { readonly uid?: number; readonly gid?: number };
  readonly owner: number | undefined;
}

/**
 * Chooses the user. As root: `nobody`; where that account cannot reach the programs or the data (a clone below a closed home), root under
 * another name, in a user namespace. Throws `stack.postgres-user` when neither is possible.
 */
export function choosePostgresUser(program: string, dataDirectory: string, unshare = 'unshare'): PostgresUser {
  if (process.getuid?.() !== 0) return { prefix: [], identity: {}, owner: undefined };
  const asNobody: PostgresUser = { prefix: [], identity: { uid: NOBODY, gid: NOBODY }, owner: NOBODY };
  const parent = path.dirname(dataDirectory);
  if (succeeds(asNobody, ['/bin/sh', '-c', '"$1" --version && cd "$2"', 'sh', program, parent])) return asNobody;
  const mapped: PostgresUser = {
    prefix: [unshare, '--user', `--map-user=${NOBODY}`, `--map-group=${NOBODY}`, '--'],
    identity: {},
    owner: 0,
  };
  if (succeeds(mapped, [program, '--version'])) return mapped;
  const closed = firstClosed(program) ?? firstClosed(parent) ?? parent;
  throw new AlmanacError('stack.postgres-user', `Postgres does not run as root, and the user nobody cannot pass ${closed}`, {
    next: `chmod o+x ${closed}, or put the clone and ALMANAC_HOME elsewhere, or run as another user than root`,
    details: { directory: closed },
  });
}

/** The command line for `program` as that user. */
export function asUser(user: PostgresUser, program: string, args: readonly string[]): { command: string; args: readonly string[] } {
  const [command, ...rest] = [...user.prefix, program, ...args];
  return { command: command ?? program, args: rest };
}

/** Gives the data to the user; a whole tree only when its root belongs to someone else. */
export function ensureOwner(dataDirectory: string, user: PostgresUser): void {
  const { owner } = user;
  if (owner === undefined || statSync(dataDirectory).uid === owner) return;
  const give = (file: string): void => {
    if (lstatSync(file).isDirectory()) for (const name of readdirSync(file)) give(path.join(file, name));
    chownSync(file, owner, owner);
  };
  give(dataDirectory);
}

function succeeds(user: PostgresUser, line: readonly [string, ...string[]]): boolean {
  const { command, args } = asUser(user, line[0], line.slice(1));
  return spawnSync(command, args, { ...user.identity, cwd: '/', stdio: 'ignore' }).status === 0;
}

/** The topmost directory on the way to `file` that others may not pass. */
function firstClosed(file: string): string | undefined {
  const above: string[] = [];
  for (let directory = file; directory !== path.dirname(directory); directory = path.dirname(directory)) above.unshift(directory);
  return above.find((directory) => (statSync(directory).mode & 0o001) === 0);
}
