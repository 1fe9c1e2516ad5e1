import type { Queryable } from '../lib/postgres';
import { MAIN_BRANCH, type RunAddress } from '../pipelines/run-id';
import { staleWindows, windowsBuiltOn, type AcceptedVersion, type StaleWindow } from '../pipelines/stale';
import { requirePipeline } from './names';
import type { OperatorSession } from './session';

/** Windows whose accepted set was built on rows that are no longer current, in the order to run them again. Throws `pipeline.unknown`. */
export async function listStale(session: Pick<OperatorSession, 'database' | 'project'>, pipeline?: string): Promise<StaleWindow[]> {
  if (pipeline !== undefined) await requirePipeline(session, pipeline);
  const stale = await findStale(session.database);
  return stale.filter((window) => pipeline === undefined || window.pipeline === pipeline);
}

/** The same without a look at the project. */
export async function findStale(database: Queryable): Promise<StaleWindow[]> {
  return staleWindows(await acceptedVersions(database), MAIN_BRANCH);
}

/** Accepted windows built on what this one accepts now: those a replacement of it may make stale. */
export async function builtOn(database: Queryable, address: RunAddress): Promise<RunAddress[]> {
  return windowsBuiltOn(await acceptedVersions(database), address, MAIN_BRANCH);
}

export function staleOf(stale: readonly StaleWindow[], { pipeline, branch, window }: RunAddress): StaleWindow | undefined {
  return stale.find((one) => one.pipeline === pipeline && one.branch === branch && one.window === window);
}

interface Row extends Omit<AcceptedVersion, 'inputs' | 'unread'> {
  readonly inputs: AcceptedVersion['inputs'] | null;
  readonly unread: readonly string[] | null;
}

/** The read model of the store: what `dataset reindex` rebuilds. A version that lost its row there has no inputs to judge. */
async function acceptedVersions(database: Queryable): Promise<AcceptedVersion[]> {
  const { rows } = await database.query<Row>(
    `select a.pipeline, a.branch, a.window_key as "window", a.dataset, a.version_window as "versionWindow", a.version, v.digest,
       (select jsonb_agg(jsonb_build_object('dataset', i.input_dataset, 'window', i.input_window, 'version', i.input_version, 'digest', i.input_digest)
          order by i.input_dataset, i.input_window)
        from almanac.version_input i where i.dataset = v.dataset and i.window_key = v.window_key and i.version = v.version) as inputs,
       (select jsonb_agg(r.path order by r.window_key, r.number) from almanac.replay r
        where r.dataset = v.dataset and (r.window_key = v.window_key or (v.bootstrap and r.window_key collate "C" < v.window_key))
          and not exists (select from almanac.version_source s where s.dataset = v.dataset and s.window_key = v.window_key and s.version = v.version and s.source = r.path)) as unread
     from almanac.accepted_version a join almanac.dataset_version v on v.dataset = a.dataset and v.window_key = a.version_window and v.version = a.version
     order by a.pipeline, a.branch, a.window_key, a.dataset`,
  );
  return rows.map(({ inputs, unread, ...row }) => ({ ...row, inputs: inputs ?? [], ...(unread === null ? {} : { unread }) }));
}
