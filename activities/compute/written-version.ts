import { combineDigests } from '../../pipelines/digest-sql';
import { columnsOf } from '../../pipelines/duckdb-sql';
import type { Profile } from '../../pipelines/profile-sql';
import type { DatasetSpec } from '../../pipelines/types';
import type { CandidateInput } from '../storage/dataset-store';

/** What is known of a version once all its files are written; the rest of a candidate is the stage's. */
export type WrittenVersion = Pick<CandidateInput, 'digest' | 'columns' | 'files'> &
  Partial<Pick<CandidateInput, 'buckets' | 'minKey' | 'maxKey' | 'profile' | 'pii'>>;

/** A version as measured, whatever engine did; `duplicateKeys` of a dataset with a key. Personal columns have no values. */
export function writtenVersion(
  dataset: DatasetSpec,
  measured: Pick<Profile, 'digest' | 'rows' | 'columns'>,
  files: WrittenVersion['files'],
  duplicateKeys: number | undefined,
): WrittenVersion {
  const { key, buckets, pii } = dataset;
  const columns = columnsOf(dataset);
  return {
    digest: combineDigests(columns, [measured.digest]),
    columns,
    files,
    ...(buckets && { buckets }),
    ...(pii && { pii }),
    ...(key &&
      measured.rows > 0 && {
        minKey: key.map((name) => measured.columns[name]?.min),
        maxKey: key.map((name) => measured.columns[name]?.max),
      }),
    profile: {
      columns: Object.fromEntries(
        Object.entries(measured.columns).map(([name, { nulls, min, max }]) => [
          name,
          pii?.includes(name) ? { nulls } : { nulls, min, max },
        ]),
      ),
      ...(duplicateKeys !== undefined && { duplicateKeys }),
    },
  };
}
