import { installPools, listPools, readLeases, setPermits, type Lease, type PoolRow } from '../activities/ledger/pools';
import { editDistance } from '../lib/nearest';
import { AlmanacError } from '../pipelines/failures';
import { MAX_PERMITS, usersAbove } from '../pipelines/pool-rules';
import { formatRun } from '../pipelines/run-id';
import type { Plan, RunRef } from '../pipelines/types';
import type { PermitWait } from '../pipelines/why';
import { requireReason } from './reason';
import type { OperatorSession } from './session';

export interface KnownPool extends PoolRow {
  /** The project does not declare it any more: what still needs it by an older plan is served as before. */
  readonly undeclared: boolean;
}

/** A pool with what is out of it and how many stages wait. */
export interface PoolView extends KnownPool {
  /** Permits that are out. */
  readonly out: number;
  /** Stages that wait. */
  readonly waiting: number;
}

/** A pool with all that hold, longest first, and all that wait, in the order in which they would be served. */
export interface PoolLine extends KnownPool {
  readonly holders: readonly Lease[];
  readonly line: readonly Lease[];
}

/** Makes the pools of the project known to the ledger before a plan that needs one runs; a plan without pools costs nothing. */
export async function installPoolsOf(session: OperatorSession, ...plans: readonly Plan[]): Promise<void> {
  if (!plans.some(({ stages }) => stages.some(({ pool }) => pool !== undefined))) return;
  await installPools(session.database, (await session.project()).pools, session.clock.now());
}

/** Every pool the project declares or the ledger knows, by name. */
export async function poolsOf(session: OperatorSession): Promise<PoolView[]> {
  const now = session.clock.now();
  return Promise.all(
    (await knownPools(session)).map(async (row) => {
      const { held, waiting } = await readLeases(session.database, row.name, now);
      return { ...row, out: permitsIn(held), waiting: waiting.length };
    }),
  );
}

/** Throws `pool.unknown`. */
export async function showPool(session: OperatorSession, name: string): Promise<PoolLine> {
  const row = await findPool(session, name);
  const { held, waiting } = await readLeases(session.database, name, session.clock.now());
  return { ...row, holders: held, line: waiting };
}

export interface PoolSetting {
  readonly permits: number;
  readonly reason: string;
  /** Makes the pool smaller than stages need all the same. */
  readonly force: boolean;
}

/**
 * Sets how many permits a pool has from now on; as many as declared takes back what was set before. Nothing that is out is taken away:
 * a smaller pool lends again once enough came back. 0 closes it, and stages wait. Throws `pool.unknown`, `pool.too-small` for stages that ask for more
 * and would be held, `run.usage`, `reason.missing`.
 */
export async function setPool(session: OperatorSession, name: string, { permits, reason, force }: PoolSetting): Promise<PoolLine> {
  const said = requireReason(reason, 'pool set');
  if (permits > MAX_PERMITS)
    throw new AlmanacError('run.usage', `a pool has at most ${MAX_PERMITS} permits, not ${permits}`, { next: 'give a smaller number' });
  const { declared } = await findPool(session, name);
  if (permits > 0 && !force) await requireEnough(session, name, permits);
  const { database, clock, config } = session;
  await installPools(database, { [name]: declared }, clock.now());
  await setPermits(database, name, permits === declared ? null : permits, { who: config.actor, reason: said, now: clock.now() });
  return showPool(session, name);
}

/** Of stages the project declares, and of those that wait now, whatever plan they follow. */
async function requireEnough(session: OperatorSession, name: string, permits: number): Promise<void> {
  const project = await session.project();
  const { waiting } = await readLeases(session.database, name, session.clock.now());
  const specs = [...project.pipelines.values()].map(({ spec }) => spec);
  const needs = new Map(usersAbove(name, permits, specs).map((user) => [user.stage, user.permits]));
  for (const lease of waiting) if (lease.permits > permits) needs.set(`${formatRun(lease.run)} ${lease.stage}`, lease.permits);
  if (needs.size === 0) return;
  const most = Math.max(...needs.values());
  throw new AlmanacError(
    'pool.too-small',
    `with ${permits} permits pool ${name} would be too small for ${[...needs].map(([stage, count]) => `${stage} (${count})`).join(', ')}`,
    {
      next: `--permits ${most} is the least they need; --permits 0 closes the pool and lets them wait; with --force they are held when they come`,
      details: { pool: name, permits, stages: Object.fromEntries(needs) },
    },
  );
}

/** Where the stages of a run are in the lines of pools, also while one of them looks. A plan without pools costs nothing. */
export async function permitWaits(session: OperatorSession, run: RunRef, plan: Plan): Promise<PermitWait[]> {
  const names = new Set(plan.stages.flatMap(({ pool }) => pool?.name ?? []));
  if (names.size === 0) return [];
  const pools = (await listPools(session.database)).filter(({ name }) => names.has(name));
  const waits = await Promise.all(
    pools.map(async ({ name, permits: size }) => {
      const { held, waiting } = await readLeases(session.database, name, session.clock.now());
      const holders = held.map(({ run: of, stage, since }) => ({ run: formatRun(of), stage, since: since ?? '' }));
      return waiting.flatMap(({ run: of, stage, permits, askedAt, placeSince }, at) =>
        formatRun(of) === formatRun(run) && of.generation === run.generation
          ? [
              {
                ...{ stage, pool: name, permits, size, position: at + 1, of: waiting.length, placeSince, holders },
                since: new Date(askedAt).toISOString(),
              },
            ]
          : [],
      );
    }),
  );
  return waits.flat();
}

function permitsIn(leases: readonly Lease[]): number {
  return leases.reduce((sum, { permits }) => sum + permits, 0);
}

async function findPool(session: OperatorSession, name: string): Promise<KnownPool> {
  const known = await knownPools(session);
  const found = known.find((pool) => pool.name === name);
  if (found !== undefined) return found;
  const names = known.map((pool) => pool.name).sort((a, b) => editDistance(name, a) - editDistance(name, b));
  throw new AlmanacError(
    'pool.unknown',
    `there is no pool ${JSON.stringify(name)}${names.length === 0 ? '' : `; there are ${names.join(', ')}`}`,
    {
      next:
        names.length === 0
          ? 'declare it in almanac.config.ts: pools: { NAME: 4 }'
          : 'use one of these, or declare it under pools in almanac.config.ts',
      details: { pool: name, known: names },
    },
  );
}

/** As the project declares them now; those it does not declare any more are as they were. */
async function knownPools({ database, clock, ...session }: OperatorSession): Promise<KnownPool[]> {
  const [{ pools }, rows] = await Promise.all([session.project(), listPools(database)]);
  const known = new Map(rows.map((row) => [row.name, { ...row, undeclared: true }]));
  for (const [name, declared] of Object.entries(pools)) {
    const row = known.get(name);
    const fresh = { name, declared, permits: declared, reason: null, who: null, changedAt: clock.now().toISOString() };
    known.set(name, {
      ...(row === undefined ? fresh : { ...row, declared, permits: row.permits === row.declared ? declared : row.permits }),
      undeclared: false,
    });
  }
  return [...known.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
