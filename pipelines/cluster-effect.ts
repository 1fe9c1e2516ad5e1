/** What to do about a cluster that a run makes for itself, pure: as steps, clusters have no client token and are known by their name. */
export interface ClusterFacts {
  readonly cluster: string | null;
  /** When a request for it was last about to be sent whose answer is yes or unknown. */
  readonly sentAt: Date | null;
}

export interface ListedCluster {
  readonly id: string;
  readonly ended: boolean;
}

export type ClusterAction =
  | { readonly do: 'use'; readonly cluster: string }
  | { readonly do: 'adopt'; readonly cluster: string }
  | { readonly do: 'look'; readonly notBefore?: Date }
  | { readonly do: 'create' }
  /** It came to be and is over: the next one is needed. */
  | { readonly do: 'end'; readonly cluster: string };

/** `listing`: the clusters of its name, the oldest first; undefined before the first look. */
export function nextForCluster(
  facts: ClusterFacts,
  listing: { readonly at: Date; readonly clusters: readonly ListedCluster[] } | undefined,
  settleMs: number,
): ClusterAction {
  if (facts.cluster !== null) return { do: 'use', cluster: facts.cluster };
  if (listing === undefined) return { do: 'look' };
  const alive = listing.clusters.find(({ ended }) => !ended);
  // Another of the same name is one too many, which nobody has on record: it is swept.
  if (alive !== undefined) return { do: 'adopt', cluster: alive.id };
  const settled = facts.sentAt === null ? undefined : new Date(facts.sentAt.getTime() + settleMs);
  if (settled !== undefined && listing.at < settled) return { do: 'look', notBefore: settled };
  const over = listing.clusters.at(-1);
  return over === undefined ? { do: 'create' } : { do: 'end', cluster: over.id };
}
