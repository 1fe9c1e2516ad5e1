/** A fleet of a cluster as its settings have it. */
export interface PricedFleet {
  readonly onDemand: number;
  readonly spot: number;
  readonly instances: readonly { readonly weight: number; readonly pricePerHour?: number | undefined }[];
}

/**
 * What an hour of all fleets costs by the prices in the settings, each fleet by its first priced kind of instance; undefined when a fleet has none.
 * An estimate from above: spot capacity counts as much as capacity on demand.
 */
export function pricePerHour(fleets: readonly PricedFleet[]): number | undefined {
  let sum = 0;
  for (const { onDemand, spot, instances } of fleets) {
    const priced = instances.find((instance) => instance.pricePerHour !== undefined);
    if (priced?.pricePerHour === undefined) return undefined;
    sum += Math.ceil((onDemand + spot) / priced.weight) * priced.pricePerHour;
  }
  return sum;
}

/** What a stage cost that had a cluster of that price for so long. */
export function stageCost(perHour: number | undefined, seconds: number | undefined): number | undefined {
  return perHour === undefined || seconds === undefined ? undefined : (perHour * seconds) / 3600;
}
