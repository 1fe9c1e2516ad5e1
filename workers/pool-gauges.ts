import { Gauge, type Registry } from 'prom-client';

/** What the ledger says of pools, read with its other figures. */
export interface PoolFigures {
  readonly pools: readonly {
    readonly pool: string;
    readonly permits: number;
    readonly held: number;
    readonly waiting: number;
    /** Unix seconds since when the longest waits; null when none does. */
    readonly since: number | null;
  }[];
}

/** A field of the one reading. */
export const POOL_FIGURES = `
  (select coalesce(json_agg(f), '[]') from (
     select p.name as pool, coalesce(p.permits, p.declared) as permits,
       coalesce(sum(l.permits) filter (where l.state = 'held'), 0) as held, count(*) filter (where l.state = 'waiting') as waiting,
       extract(epoch from min(l.asked_at) filter (where l.state = 'waiting')) as since
     from almanac.pool p left join almanac.lease l on l.pool = p.name group by p.name) f) as pools`;

/** How many permits there are, how many are out, how many stages wait for some and how long the first of them has. */
export class PoolGauges {
  private readonly permits: Gauge<'pool'>;
  private readonly held: Gauge<'pool'>;
  private readonly waiting: Gauge<'pool'>;
  private readonly oldestWait: Gauge<'pool'>;

  constructor(registry: Registry) {
    const labelNames = ['pool'] as const;
    const registers = [registry];
    this.permits = new Gauge({
      name: 'almanac_pool_permits',
      help: 'Permits of a pool, as declared or as an operator set them.',
      labelNames,
      registers,
    });
    this.held = new Gauge({
      ...{ name: 'almanac_pool_permits_held', labelNames, registers },
      help: 'Permits of a pool that are out; more than it has after it was made smaller.',
    });
    this.waiting = new Gauge({ name: 'almanac_pool_waiting', help: 'Stages that wait for permits of a pool.', labelNames, registers });
    this.oldestWait = new Gauge({
      ...{ name: 'almanac_pool_oldest_wait_seconds', labelNames, registers },
      help: 'For how long the longest waiting stage has waited for permits of a pool; 0 when none waits.',
    });
  }

  /** Shows one reading; none is left of the one before. */
  show(figures: PoolFigures | undefined, at: Date): void {
    for (const metric of [this.permits, this.held, this.waiting, this.oldestWait]) metric.reset();
    for (const { pool, permits, held, waiting, since } of figures?.pools ?? []) {
      this.permits.set({ pool }, permits);
      this.held.set({ pool }, held);
      this.waiting.set({ pool }, waiting);
      this.oldestWait.set({ pool }, since === null ? 0 : Math.max(0, at.getTime() / 1000 - since));
    }
  }
}
