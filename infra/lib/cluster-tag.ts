/**
 * The tag, with the deployment's name as its value, that every cluster Almanac starts carries, and all that EMR makes for it. Policies
 * grant by it, so that one deployment cannot touch the clusters of another.
 */
export const CLUSTER_TAG = 'almanac';
