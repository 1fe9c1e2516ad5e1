import { Gauge, type Registry } from 'prom-client';

/** What the ledger says of EMR, read with its other figures. */
export interface EmrFigures {
  readonly emrSteps: readonly { readonly pipeline: string; readonly state: string; readonly steps: number }[];
  readonly emrClusters: readonly { readonly pipeline: string; readonly clusters: number }[];
}

/** Fields of the one reading. */
export const EMR_FIGURES = `
  (select coalesce(json_agg(f), '[]') from (
     select pipeline, state, count(*) as steps from almanac.effect where ended_at is null group by 1, 2) f) as "emrSteps",
  (select coalesce(json_agg(f), '[]') from (
     select pipeline, count(*) as clusters from almanac.emr_cluster where ended_at is null group by 1) f) as "emrClusters"`;

/** How many jobs and clusters are not over. */
export class EmrGauges {
  private readonly steps: Gauge<'pipeline' | 'state'>;
  private readonly clusters: Gauge<'pipeline'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.steps = new Gauge({
      ...{ name: 'almanac_emr_steps', labelNames: ['pipeline', 'state'] as const, registers },
      help: 'Jobs on EMR that are not over, by state; none is left where there are none.',
    });
    this.clusters = new Gauge({
      ...{ name: 'almanac_emr_clusters', labelNames: ['pipeline'] as const, registers },
      help: 'Clusters that runs made for themselves and that are not over.',
    });
  }

  /** Shows one reading; none is left of the one before. */
  show(figures: EmrFigures | undefined): void {
    this.steps.reset();
    this.clusters.reset();
    for (const { pipeline, state, steps } of figures?.emrSteps ?? []) this.steps.set({ pipeline, state }, steps);
    for (const { pipeline, clusters } of figures?.emrClusters ?? []) this.clusters.set({ pipeline }, clusters);
  }
}
