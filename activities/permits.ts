import type pg from 'pg';
import type { Clock } from '../lib/clock';
import { transaction, type Queryable } from '../lib/postgres';
import { AlmanacError } from '../pipelines/failures';
import { lookAgainMs } from '../pipelines/pools';
import { retryCommand } from '../pipelines/run-id';
import type { PlanStage } from '../pipelines/types';
import type { Engine } from './compute/engine';
import { fenced } from './failure';
import type { AttemptOrder } from './ledger/attempts';
import { freePermits, lookForPermits, takePermits, type PermitAnswer, type PermitAsk } from './ledger/pools';

/** The permits of one attempt. */
export interface StagePermits {
  /**
   * Runs `body` while they are held. A stage that computes takes a place of its worker first, and only when its turn has come: who waits for
   * permits has no place, and who waits for a place has no permits, so that nobody who holds one of them waits for the other, and
   * everything that is held comes back. Only permits that a killed attempt of the stage left stay out meanwhile, since what it began
   * may still go on. Throws `pool.full` while it has to wait, `pool.too-small`, `pool.unknown`, and `run.fenced` for
   * a zombie.
   */
  holding<T>(engine: Engine, signal: AbortSignal, body: (engine: Engine) => Promise<T>): Promise<T>;
  /** Milliseconds it waited since the look of the try before. */
  waitedMs(): number;
  /** Closes the attempt and gives the permits back, both or neither. One that `goesOn` without them keeps its position, one declared lost gives nothing back. */
  closing(goesOn: boolean, database: Queryable, close: (client: Queryable) => Promise<boolean>): Promise<boolean>;
}

/** Undefined for a stage without a pool, which pays nothing. */
export function permitsOf(
  database: pg.Pool,
  clock: Clock,
  order: AttemptOrder,
  attempt: number,
  stage: PlanStage,
  computes: boolean,
): StagePermits | undefined {
  const { pool } = stage;
  if (pool === undefined) return undefined;
  const ask: PermitAsk = { run: order.run, claim: order.claim, stage: order.stage, epoch: order.epoch, attempt, pool, now: order.now };
  let waited = 0;
  let held = false;
  const settle = (answer: PermitAnswer): void => {
    if ('waitedMs' in answer) waited += answer.waitedMs;
    held = answer.state === 'held';
    requireTurn(ask, answer);
  };
  const take = async (): Promise<void> => settle(await takePermits(database, { ...ask, now: clock.now() }));
  return {
    async holding(engine, signal, body) {
      if (!computes) {
        await take();
        return body(engine);
      }
      settle(await lookForPermits(database, ask));
      return engine.place(signal, async (placed) => {
        await take();
        return body(placed);
      });
    },
    waitedMs: () => waited,
    async closing(goesOn, client, close) {
      if (goesOn && !held) return close(client);
      const both = async (one: Queryable): Promise<boolean> => {
        const closed = await close(one);
        if (closed) await freePermits(one, ask);
        return closed;
      };
      return client === database ? transaction(database, both) : both(client);
    },
  };
}

/** Returns when the permits are held, or would be for the asking. */
function requireTurn({ pool, run, stage }: PermitAsk, answer: PermitAnswer): void {
  switch (answer.state) {
    case 'held':
    case 'turn':
      return;
    case 'fenced':
      throw fenced(run);
    case 'unknown-pool':
      throw new AlmanacError('pool.unknown', `the ledger has no pool ${pool.name}, which stage ${stage} needs`, {
        next: `almanac schedule apply makes the pools of the project known; then: ${retryCommand(run, stage)}`,
      });
    case 'too-small': {
      const { size, declared, reason } = answer;
      const set = size === declared ? '' : `; declared are ${declared}${reason === null ? '' : `, an operator set ${size}: ${reason}`}`;
      throw new AlmanacError(
        'pool.too-small',
        `stage ${stage} asks for ${pool.permits} permits of pool ${pool.name}, which has ${size}${set}`,
        {
          next: `almanac pool set ${pool.name} --permits ${Math.max(declared, pool.permits)} --reason …, or let the stage ask for less; then: ${retryCommand(run, stage)}`,
          details: { pool: pool.name, permits: pool.permits, size, declared },
        },
      );
    }
    case 'waiting': {
      const { position, of, size, reason } = answer;
      const closed = size > 0 ? '' : `, which is closed${reason === null ? '' : `: ${reason}`}`;
      throw new AlmanacError(
        'pool.full',
        `stage ${stage} waits for ${pool.permits === 1 ? 'a permit' : `${pool.permits} permits`} of pool ${pool.name}${closed}`,
        {
          next: size > 0 ? `almanac pool show ${pool.name}` : `almanac pool set ${pool.name} --permits … --reason … opens it`,
          details: { pool: pool.name, permits: pool.permits, position, of, lookAgainMs: lookAgainMs(position, size) },
        },
      );
    }
  }
}
