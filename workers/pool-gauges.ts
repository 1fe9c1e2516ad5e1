import { Gauge, type Registry } from 'prom-client';

/** What the ledger says of pools, read with its other figures. */
export interface PoolFigures {
  readonly pools: readonly { readonly pool: string; readonly permits: number; readonly held: number; readonly waiting: number }[];
}

/** A field of the one reading. */
export const POOL_FIGURES = `
  (select coalesce(json_agg(f), '[]') from (
     select p.name as pool, coalesce(p.permits, p.declared) as permits,
       coalesce(sum(l.permits) filter (where l.state = 'held'), 0) as held, count(*) filter (where l.state = 'waiting') as waiting
     from almanac.pool p left join almanac.lease l on l.pool = p.name group by p.name) f) as pools`;

/** How many permits there are, how many are out, and how many stages wait for some. */
export class PoolGauges {
  private readonly permits: Gauge<'pool'>;
  private readonly held: Gauge<'pool'>;
  private readonly waiting: Gauge<'pool'>;

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
  }

  /** Shows one reading; none is left of the one before. */
  show(figures: PoolFigures | undefined): void {
    for (const metric of [this.permits, this.held, this.waiting]) metric.reset();
    for (const { pool, permits, held, waiting } of figures?.pools ?? []) {
      this.permits.set({ pool }, permits);
      this.held.set({ pool }, held);
      this.waiting.set({ pool }, waiting);
    }
  }
}
