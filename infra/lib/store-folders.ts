/** Top-level folders of the object store (activities/storage/store-paths.ts): a policy names each, so that a new one is a decision. */

/** What others write and Almanac only reads. */
export const SOURCE_FOLDERS = ['landing', 'reference'] as const;

/** What Almanac writes; a test holds it to the paths that the code spells. */
export const STORE_FOLDERS = ['accepted', 'datasets', 'heads', 'histories', 'probes', 'quarantine', 'replays'] as const;

/** Where the jars of the Spark job are put with each release: nodes of clusters and workers with EMR read them, only whoever deploys writes them. */
export const JOB_FOLDER = 'jobs';

/** Where the store begins in its bucket: `ALMANAC_DATA=s3://BUCKET/PREFIX`. */
export const STORE_PREFIX = 'almanac';
