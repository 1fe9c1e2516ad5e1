import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { Engine, EngineSession } from '../activities/compute/engine';
import { recordReplay } from '../activities/storage/catalog';
import { listReplays, putReplay, type Replay } from '../activities/storage/replays';
import { AlmanacError } from '../pipelines/failures';
import { quoteText } from '../pipelines/quote-sql';
import { asideStatement, CHECKED, checkedStatement, countReplayQuery, nextInstantQuery, selectReplay } from '../pipelines/replay-sql';
import { MAIN_BRANCH } from '../pipelines/run-id';
import type { Window, WindowSpec } from '../pipelines/types';
import { parseWindow, windowOf } from '../pipelines/window';
import { requireReason } from './reason';
import { recordAction } from './runs/actions';
import type { OperatorSession } from './session';

export interface ReplayRequest {
  /** A dataset, or a landing source: then every dataset read from it. */
  readonly source: string;
  /** The window whose quarantine it is. */
  readonly window: string;
  readonly reason?: string | undefined;
  /** Says what would be replayed. */
  readonly dryRun?: boolean | undefined;
}

/** Rows that came back into one window. */
export interface ReplayedWindow {
  readonly pipeline: string;
  readonly dataset: string;
  /** The window the rows belong to. */
  readonly window: string;
  readonly rows: number;
  readonly reasons: Readonly<Record<string, number>>;
  /** `accepted`: the window is stale until it runs again. `not run`: its first run reads them. */
  readonly state: 'accepted' | 'not run';
  /** Where the rows lie; null in a dry run. */
  readonly replay: string | null;
  readonly next: string;
}

export interface ReplayAnswer {
  readonly source: string;
  readonly from: string;
  readonly dryRun: boolean;
  readonly windows: readonly ReplayedWindow[];
  /** Rows of the quarantine that an earlier replay brought back. */
  readonly before: number;
}

export type ReplayServices = Pick<OperatorSession, 'database' | 'store' | 'datasets' | 'clock' | 'project' | 'config'> & {
  readonly engine: Engine;
};

/** The version whose quarantine counts for a window. */
interface Origin {
  readonly pipeline: string;
  readonly dataset: string;
  readonly window: string;
  readonly version: string;
  readonly generation: number;
}

/** More tries than there can be people replaying into one window at once. */
const TRIES = 50;

/**
 * Adds the early and late rows of a window's quarantine to the windows they belong to, and has rows that checks put aside judged again in
 * their own, each row once whoever asks how often. The rows stay in quarantine, and are marked by the replay. Throws `quarantine.nothing`
 * when there are no such rows.
 */
export async function replayQuarantine(services: ReplayServices, request: ReplayRequest): Promise<ReplayAnswer> {
  const reason = request.reason === undefined ? undefined : requireReason(request.reason, 'quarantine replay');
  const origins = await originsOf(services, request);
  const windows: ReplayedWindow[] = [];
  let rows = 0;
  for (const origin of origins) {
    const quarantine = (await services.datasets.manifest(origin)).quarantine ?? { rows: {}, files: [] };
    if (quarantine.files.length === 0) continue;
    await using local = await services.store.localFiles(quarantine.files);
    const readable = quarantine.files.map((file) => local.path(file.path));
    const { memoryBytes, threads } = services.config.worker;
    const spec = (await services.project()).pipeline(origin.pipeline).spec.window;
    await services.engine.session({ memoryBytes, threads }, new AbortController().signal, async (session) => {
      const checked = quarantine.rows['check'] ?? 0;
      rows += checked;
      if (checked > 0) {
        await session.exec(checkedStatement(readable));
        const own = parseWindow(spec, origin.window);
        const replayed = await replayInto(services, session, origin, own, { ...request, reason, checked: true });
        if (replayed !== undefined) windows.push(replayed);
      }
      await session.exec(asideStatement(readable));
      const [counted] = await session.rows<{ rows: string }>('select count(*) as rows from aside');
      rows += Number(counted?.rows ?? 0);
      for await (const window of ownWindows(session, spec)) {
        const replayed = await replayInto(services, session, origin, window, { ...request, reason });
        if (replayed !== undefined) windows.push(replayed);
      }
    });
  }
  if (rows === 0) throw nothing(request);
  const now = rows - windows.reduce((sum, window) => sum + window.rows, 0);
  return { source: request.source, from: request.window, dryRun: request.dryRun === true, windows, before: now };
}

async function originsOf({ database }: ReplayServices, { source, window }: ReplayRequest): Promise<Origin[]> {
  const { rows } = await database.query<Origin>(
    `select distinct on (v.dataset) v.pipeline, v.dataset, v.window_key as "window", v.version, v.generation
     from almanac.dataset_version v
     left join almanac.accepted_version a on a.dataset = v.dataset and a.version_window = v.window_key and a.version = v.version and a.branch = $3
     where v.window_key = $2 and (v.branch = $3 or a.version is not null)
       and exists (select from almanac.quarantine q where q.dataset = v.dataset and q.window_key = v.window_key and q.reason in ('early', 'late', 'check'))
       and (v.dataset = $1 or exists (select from almanac.version_source s
         where s.dataset = v.dataset and s.window_key = v.window_key and s.version = v.version and s.source in ($1, 'landing/' || $1)))
     order by v.dataset, (a.version is not null) desc, v.written_at desc`,
    [source, window, MAIN_BRANCH],
  );
  if (rows.length === 0) throw nothing({ source, window });
  return rows;
}

/** Windows that rows of `aside` belong to, oldest first. */
async function* ownWindows(session: EngineSession, spec: WindowSpec): AsyncGenerator<Window> {
  for (let since: string | undefined; ;) {
    const [row] = await session.rows<{ at: string | null }>(nextInstantQuery(since));
    if (row?.at == null) return;
    const window = windowOf(spec, new Date(Math.floor(Number(row.at) / 1000)));
    yield window;
    since = window.end;
  }
}

async function replayInto(
  services: ReplayServices,
  session: EngineSession,
  origin: Origin,
  window: Window,
  request: ReplayRequest & { readonly checked?: true },
): Promise<ReplayedWindow | undefined> {
  const { store, database, clock, config } = services;
  const { pipeline, dataset } = origin;
  for (let tries = 0; tries < TRIES; tries++) {
    const replays = await listReplays(store, dataset, window.key);
    // The catalog may have lost one to a sender that died.
    for (const replay of replays) await recordReplay(database, replay);
    // What checks put aside of a version is replayed as a whole; the gate judges it anew, and what fails again is of another version.
    if (request.checked === true && replays.some(({ checked, from }) => checked === true && from.version === origin.version))
      return undefined;
    const others = replays.flatMap(({ checked, file }) => (checked === true ? [] : [file]));
    await using local = await store.localFiles(others);
    const paths = others.map((file) => local.path(file.path));
    const selection = request.checked === true ? CHECKED : selectReplay(window, paths);
    const counted = await session.rows<{ reason: string; rows: string }>(countReplayQuery(selection));
    if (counted.length === 0) return undefined;
    const reasons = Object.fromEntries(counted.map((one) => [one.reason, Number(one.rows)]));
    const rows = Object.values(reasons).reduce((sum, count) => sum + count, 0);
    const accepted = (await services.datasets.accepted(pipeline, MAIN_BRANCH, window.key)) !== undefined;
    const told = {
      pipeline,
      dataset,
      window: window.key,
      rows,
      reasons,
      state: accepted ? ('accepted' as const) : ('not run' as const),
      next: `almanac run ${pipeline} --window ${window.key}${accepted ? ' --again --reason …' : ''}`,
    };
    if (request.dryRun === true) return { ...told, replay: null };
    const replay = await writeReplay(services, session, selection, {
      dataset,
      window: window.key,
      number: (replays.at(-1)?.number ?? 0) + 1,
      rows,
      reasons,
      ...(request.checked === true ? { checked: true as const } : {}),
      from: { window: origin.window, version: origin.version },
      who: config.actor,
      ...(request.reason === undefined ? {} : { reason: request.reason }),
      at: clock.now().toISOString(),
    });
    // Somebody else took the number, and with it perhaps these rows.
    if (replay === undefined) continue;
    await recordReplay(database, replay);
    await recordAction(database, {
      run: { pipeline, window: origin.window, branch: MAIN_BRANCH, generation: origin.generation },
      verb: 'quarantine replay',
      who: config.actor,
      reason: request.reason,
      detail: { dataset, to: window.key, rows, replay: replay.file.path },
      now: clock.now(),
    });
    return { ...told, replay: replay.file.path };
  }
  throw new AlmanacError('quarantine.conflict', `${TRIES} others replayed into ${dataset}@${window.key} meanwhile`, {
    next: `almanac quarantine replay ${request.source} --window ${request.window} --to own-window`,
  });
}

async function writeReplay(
  { store }: ReplayServices,
  session: EngineSession,
  selection: string,
  replay: Parameters<typeof putReplay>[1],
): Promise<Replay | undefined> {
  const scratch = await store.scratch();
  try {
    const file = path.join(scratch, 'replay.parquet');
    await session.exec(`copy (${selection}) to ${quoteText(file)} (format parquet, compression zstd)`);
    return await putReplay(store, replay, file);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function nothing({ source, window }: Pick<ReplayRequest, 'source' | 'window'>): AlmanacError {
  return new AlmanacError(
    'quarantine.nothing',
    `the quarantine of ${source} in ${window} holds no early or late row, and none that a check put aside`,
    {
      next: `almanac quarantine list --source ${source} lists what is put aside`,
    },
  );
}
