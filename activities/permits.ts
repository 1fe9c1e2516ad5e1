import type pg from 'pg';
import { transaction, type Queryable } from '../lib/postgres';
import { AlmanacError } from '../pipelines/failures';
import { lookAgainMs } from '../pipelines/pools';
import { retryCommand } from '../pipelines/run-id';
import type { PlanStage } from '../pipelines/types';
import { fenced } from './failure';
import type { AttemptEnd, AttemptOrder } from './ledger/attempts';
import { freePermits, takePermits, type PermitAnswer, type PermitAsk } from './ledger/pools';

/** The permits of one attempt. */
export interface StagePermits {
  /** Throws `pool.full` while it has to wait, `run.fenced` for a zombie, `pool.unknown`. */
  take(): Promise<void>;
  /** Milliseconds that `take` found it had waited since the look before. */
  waitedMs(): number;
  /** Closes the attempt and gives the permits back, both or neither; one that waits for them keeps its position, one declared lost gives nothing back. */
  closing(
    end: Pick<AttemptEnd, 'state' | 'failure'>,
    database: Queryable,
    close: (client: Queryable) => Promise<boolean>,
  ): Promise<boolean>;
}

/** Undefined for a stage without a pool, which pays nothing. */
export function permitsOf(database: pg.Pool, order: AttemptOrder, attempt: number, stage: PlanStage): StagePermits | undefined {
  const { pool } = stage;
  if (pool === undefined) return undefined;
  const ask: PermitAsk = { run: order.run, claim: order.claim, stage: order.stage, epoch: order.epoch, attempt, pool, now: order.now };
  let waited = 0;
  return {
    async take() {
      const answer = await takePermits(database, ask);
      if ('waitedMs' in answer) waited = answer.waitedMs;
      requireHeld(ask, answer);
    },
    waitedMs: () => waited,
    async closing(end, client, close) {
      if (end.state === 'waiting' && end.failure?.code === 'pool.full') return close(client);
      const both = async (one: Queryable): Promise<boolean> => {
        const closed = await close(one);
        if (closed) await freePermits(one, ask);
        return closed;
      };
      return client === database ? transaction(database, both) : both(client);
    },
  };
}

/** Returns when the permits are held. */
function requireHeld({ pool, run, stage }: PermitAsk, answer: PermitAnswer): void {
  switch (answer.state) {
    case 'held':
      return;
    case 'fenced':
      throw fenced(run);
    case 'unknown-pool':
      throw new AlmanacError('pool.unknown', `the ledger has no pool ${pool.name}, which stage ${stage} needs`, {
        next: `almanac schedule apply makes the pools of the project known; then: ${retryCommand(run, stage)}`,
      });
    case 'waiting': {
      const { position, of, size } = answer;
      throw new AlmanacError(
        'pool.full',
        `stage ${stage} waits for ${pool.permits === 1 ? 'a permit' : `${pool.permits} permits`} of pool ${pool.name}`,
        {
          next: `almanac pool show ${pool.name}`,
          details: { pool: pool.name, permits: pool.permits, position, of, lookAgainMs: lookAgainMs(position, size) },
        },
      );
    }
  }
}
