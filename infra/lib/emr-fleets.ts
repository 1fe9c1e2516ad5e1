/** Instances of a cluster, wherever it is described: of the first types that there are, each counting as one. */
export interface Fleet {
  readonly role: 'MASTER' | 'CORE' | 'TASK';
  readonly types: readonly string[];
  readonly onDemand: number;
  readonly spot: number;
}

export const FLEETS: readonly Fleet[] = [
  { role: 'MASTER', types: ['m7g.xlarge', 'm6g.xlarge'], onDemand: 1, spot: 0 },
  { role: 'CORE', types: ['r7g.xlarge', 'r6g.xlarge'], onDemand: 2, spot: 0 },
  // What holds no data may be taken away: its work is done again.
  { role: 'TASK', types: ['r7g.2xlarge', 'r6g.2xlarge', 'r7g.xlarge', 'r6g.xlarge'], onDemand: 0, spot: 4 },
];

/** Spot capacity that is not there after so long is had on demand. */
export const SPOT_TIMEOUT_MINUTES = 15;

/** Steps that one cluster runs beside each other. */
export const STEP_CONCURRENCY = 4;
