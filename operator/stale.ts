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
  return staleWindows(await builtOnThese(database, SUSPECTS), MAIN_BRANCH);
}

/** Accepted windows built on what this one accepts now: those a replacement of it may make stale. */
export async function builtOn(database: Queryable, address: RunAddress): Promise<RunAddress[]> {
  const { pipeline, branch, window } = address;
  return windowsBuiltOn(await builtOnThese(database, OF_WINDOW, [pipeline, branch, window]), address, MAIN_BRANCH);
}

export function staleOf(stale: readonly StaleWindow[], { pipeline, branch, window }: RunAddress): StaleWindow | undefined {
  return stale.find((one) => one.pipeline === pipeline && one.branch === branch && one.window === window);
}

interface Row extends Omit<AcceptedVersion, 'inputs' | 'unread'> {
  readonly inputs: AcceptedVersion['inputs'] | null;
  readonly unread: readonly string[] | null;
}

/** SQL: accepted versions computed from a place, a dataset in a window; `where` may ask more of the input `i`. */
const readersOf = (place: string, where = ''): string =>
  `(select a.pipeline, a.branch, a.window_key, a.dataset
    from almanac.version_input i join almanac.accepted_version a on a.dataset = i.dataset and a.version_window = i.window_key and a.version = i.version
    where i.input_dataset = ${place}.dataset and i.input_window = ${place}.window_key ${where} offset 0)`;

/** SQL: a replay that a version was read without. */
const UNREAD = `not exists (
  select from almanac.version_source s where s.dataset = v.dataset and s.window_key = v.window_key and s.version = v.version and s.source = r.path)`;

/**
 * SQL: versions that are stale for a reason of their own. Whoever read other rows than its window accepts now read them from an earlier
 * set of it that had others, before a skip changed the set, or across branches; so nothing but readers of such windows has to be looked at.
 */
const SUSPECTS = `
  select readers.* from (
    select was.* from almanac.accepted_set s, lateral (
      select a.dataset, a.window_key, v.digest
      from almanac.accepted_version a join almanac.dataset_version v on v.dataset = a.dataset and v.window_key = a.version_window and v.version = a.version
      where (a.pipeline, a.branch, a.window_key) = (s.pipeline, s.branch, s.window_key) offset 0) was
    where (s.sequence > 1 and not s.same_rows) or s.tainted or s.branch <> 'main') replaced, lateral ${readersOf('replaced', 'and i.input_digest <> replaced.digest')} readers
  union
  select a.pipeline, a.branch, a.window_key, a.dataset
  from almanac.replay r join almanac.dataset_version v on v.dataset = r.dataset and v.window_key = r.window_key
  join almanac.accepted_version a on a.dataset = v.dataset and a.version_window = v.window_key and a.version = v.version where ${UNREAD}
  union
  select a.pipeline, a.branch, a.window_key, a.dataset
  from almanac.replay r join almanac.dataset_version v on v.dataset = r.dataset and v.bootstrap and r.window_key collate "C" < v.window_key
  join almanac.accepted_version a on a.dataset = v.dataset and a.version_window = v.window_key and a.version = v.version where ${UNREAD}`;

/** SQL: what one window accepts. */
const OF_WINDOW = `
  select pipeline, branch, window_key, dataset from almanac.accepted_version where (pipeline, branch, window_key) = ($1, $2, $3)`;

/**
 * From the read model of the store, which `dataset reindex` rebuilds: the versions that `these` selects, all that was built on them,
 * and what is current of their inputs. Every step is a look into an index (`offset 0` keeps the planner from joining whole tables), so
 * that it takes as long as the answer is, whatever the ledger holds. A version that lost its row has no inputs to judge.
 */
async function builtOnThese(database: Queryable, these: string, values: readonly string[] = []): Promise<AcceptedVersion[]> {
  const { rows } = await database.query<Row>(
    `with recursive these as (${these}),
     reached as (
       select * from these
       union
       select readers.* from reached, lateral ${readersOf('reached')} readers),
     place as (
       select dataset, window_key from reached
       union
       select inputs.* from reached r, lateral (
         select i.input_dataset, i.input_window
         from almanac.accepted_version a join almanac.version_input i on i.dataset = a.dataset and i.window_key = a.version_window and i.version = a.version
         where (a.pipeline, a.branch, a.window_key, a.dataset) = (r.pipeline, r.branch, r.window_key, r.dataset) offset 0) inputs)
     select accepted.* from place, lateral (
       select a.pipeline, a.branch, a.window_key as "window", a.dataset, a.version_window as "versionWindow", a.version, v.digest,
         (select jsonb_agg(jsonb_build_object('dataset', i.input_dataset, 'window', i.input_window, 'version', i.input_version, 'digest', i.input_digest)
            order by i.input_dataset, i.input_window)
          from almanac.version_input i where i.dataset = v.dataset and i.window_key = v.window_key and i.version = v.version) as inputs,
         (select jsonb_agg(r.path order by r.window_key, r.number) from almanac.replay r
          where r.dataset = v.dataset and (r.window_key = v.window_key or (v.bootstrap and r.window_key collate "C" < v.window_key)) and ${UNREAD}) as unread
       from almanac.accepted_version a join almanac.dataset_version v on v.dataset = a.dataset and v.window_key = a.version_window and v.version = a.version
       where a.dataset = place.dataset and a.window_key = place.window_key offset 0) accepted
     order by pipeline, branch, "window", dataset`,
    [...values],
  );
  return rows.map(({ inputs, unread, ...row }) => ({ ...row, inputs: inputs ?? [], ...(unread === null ? {} : { unread }) }));
}
