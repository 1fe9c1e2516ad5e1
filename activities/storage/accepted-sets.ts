import type { Clock } from '../../lib/clock';
import { homeOf, homesOfMain, movedSince, type ChainHead } from '../../pipelines/chain-head';
import { AlmanacError } from '../../pipelines/failures';
import { MAIN_BRANCH } from '../../pipelines/run-id';
import type { RunRef, VersionRef } from '../../pipelines/types';
import type { ChainHeads } from './chain-heads';
import type { Acceptance, DatasetStore } from './dataset-store';
import type { AcceptedSet } from './manifest';
import type { ObjectStore } from './object-store';
import { acceptedChain, acceptedFolder, acceptedPath, parseAcceptedPath } from './store-paths';

type AcceptedSets = Pick<DatasetStore, 'accepted' | 'acceptedSets' | 'generations' | 'acceptedWindows' | 'accept' | 'revoke'> & {
  /** Throws `run.fenced` for a generation that was revoked. */
  requireNotRevoked(run: RunRef): Promise<void>;
};
/** Windows asked for at once. */
const WINDOWS_AT_ONCE = 16;

type WindowName = Pick<RunRef, 'pipeline' | 'branch' | 'window'>;

/**
 * What is current, as numbered entries put if absent: the highest is current, and writing the next number is the
 * compare-and-swap. Whoever loses a number reads again and is judged anew. Whose entries those are says the head of the chain; the set
 * that is handed out names the branch that was asked for.
 */
export function createAcceptedSets(
  store: ObjectStore,
  clock: Clock,
  heads: ChainHeads,
  point: (name: string) => Promise<void>,
): AcceptedSets {
  async function entry(of: WindowName, sequence: number): Promise<AcceptedSet | undefined> {
    const body = await store.get(acceptedPath(of.pipeline, of.branch, of.window, sequence));
    return body && (JSON.parse(body.toString('utf8')) as AcceptedSet);
  }

  /** Of those kept under this very name. */
  async function newest(of: WindowName): Promise<AcceptedSet | undefined> {
    const entries = await store.list(acceptedFolder(of.pipeline, of.branch, of.window));
    const highest = Math.max(0, ...entries.map(({ path }) => parseAcceptedPath(path)?.sequence ?? 0));
    return highest === 0 ? undefined : entry(of, highest);
  }

  async function put(home: string, next: AcceptedSet): Promise<boolean> {
    return store.putIfAbsent(acceptedPath(next.pipeline, home, next.window, next.sequence), `${JSON.stringify(next, undefined, 2)}\n`);
  }

  function home(head: ChainHead, { pipeline, branch, window }: WindowName): WindowName {
    return { pipeline, branch: homeOf(head, branch, window), window };
  }

  async function current(of: WindowName): Promise<AcceptedSet | undefined> {
    const set = await newest(home(await heads.read(of.pipeline), of));
    return set && { ...set, branch: of.branch };
  }

  async function windowsOf(pipeline: string, branch: string, keeps: (window: string) => boolean): Promise<string[]> {
    const highest = new Map<string, number>();
    for (const { path } of await store.list(acceptedChain(pipeline, branch))) {
      const parsed = parseAcceptedPath(path);
      if (parsed && keeps(parsed.window)) highest.set(parsed.window, Math.max(parsed.sequence, highest.get(parsed.window) ?? 0));
    }
    const windows: string[] = [];
    for (const [window, sequence] of highest) {
      const set = await entry({ pipeline, branch, window }, sequence);
      if (set && !set.nothing) windows.push(window);
    }
    return windows;
  }

  return {
    async accepted(pipeline, branch, window) {
      const set = await current({ pipeline, branch, window });
      return set?.nothing ? undefined : set;
    },

    async acceptedSets(pipeline, branch, windows) {
      const head = await heads.read(pipeline);
      const sets = new Map<string, AcceptedSet>();
      for (let at = 0; at < windows.length; at += WINDOWS_AT_ONCE) {
        const some = windows.slice(at, at + WINDOWS_AT_ONCE).map((window) => newest(home(head, { pipeline, branch, window })));
        for (const set of await Promise.all(some)) if (set && !set.nothing) sets.set(set.window, { ...set, branch });
      }
      return sets;
    },

    async generations(pipeline, branch, window) {
      const head = await heads.read(pipeline);
      const at = home(head, { pipeline, branch, window });
      const names = new Set([at.branch, ...(branch === MAIN_BRANCH ? homesOfMain(head) : [branch])]);
      const known = new Map<string, AcceptedSet | undefined>();
      for (const name of names) known.set(name, await newest({ pipeline, branch: name, window }));
      const set = known.get(at.branch);
      const generations = [...known.values()].flatMap((one) => (one === undefined ? [] : [one.run.generation, ...one.revoked]));
      return { accepted: set === undefined || set.nothing ? undefined : { ...set, branch }, highest: Math.max(0, ...generations) };
    },

    async acceptedWindows(pipeline, branch) {
      const head = await heads.read(pipeline);
      const windows: string[] = [];
      for (const name of new Set([branch, ...homesOfMain(head)]))
        windows.push(...(await windowsOf(pipeline, name, (window) => homeOf(head, branch, window) === name)));
      return windows.sort();
    },

    async accept(next: Acceptance, { claimedUnder }: { readonly claimedUnder?: number } = {}) {
      const before = await heads.settled(next.pipeline);
      const under = claimedUnder ?? before.number;
      requireHead(before, next.run, under);
      const at = home(before, next).branch;
      for (;;) {
        const set = await newest({ ...next, branch: at });
        const { generation } = next.run;
        refuseRevoked(next.run, set);
        let accepted = set;
        if (!set || set.nothing || !sameRun(set.run, next.run) || !sameVersions(set.versions, next.versions)) {
          if (set && !set.nothing && generation < set.run.generation)
            throw fenced(next.run, `generation ${set.run.generation} was accepted already`);
          // Above what `main` has: once it is promoted, the numbers of a window go on rising.
          const sequence = Math.max(set?.sequence ?? 0, next.over ?? 0) + 1;
          accepted = { ...next, format: 1, sequence, since: sequence, revoked: set?.revoked ?? [], at: clock.now().toISOString() };
          await point('accept.put');
          if (!(await put(at, accepted))) continue;
        }
        // A promoter who looked before the put finds its intent withdrawn, or was faster: then this came too late.
        requireHead(await heads.settled(next.pipeline), next.run, under);
        if (accepted) return { ...accepted, branch: next.branch };
      }
    },

    async requireNotRevoked(run) {
      refuseRevoked(run, await newest(run));
      const at = home(await heads.read(run.pipeline), run);
      if (at.branch !== run.branch) refuseRevoked(run, await newest(at));
    },

    async revoke(run) {
      const at = home(await heads.read(run.pipeline), run);
      for (;;) {
        const set = await newest(at);
        if (set?.revoked.includes(run.generation)) return;
        const sequence = (set?.sequence ?? 0) + 1;
        const revoked = [...(set?.revoked ?? []), run.generation].sort((a, b) => a - b);
        const { pipeline, branch, window } = run;
        const none = { format: 1, pipeline, branch, window, since: 0, run, versions: [], gates: {}, nothing: true } as const;
        await point('revoke.put');
        if (await put(at.branch, { ...(set ?? none), sequence, revoked, at: clock.now().toISOString() })) return;
      }
    },
  };
}

/** Throws `run.fenced` for a run whose window went to a branch since it was claimed, or whose branch is closed. */
function requireHead(head: ChainHead, run: RunRef, claimedUnder: number): void {
  if (run.branch === MAIN_BRANCH) {
    if (movedSince(head, run.window, claimedUnder))
      throw fenced(run, 'a branch was promoted since it was claimed, and it began from what was before');
    return;
  }
  const state = head.branches[run.branch]?.state ?? 'open';
  if (state !== 'open') throw fenced(run, `its branch was ${state}`);
}

function sameRun(a: RunRef, b: RunRef): boolean {
  return a.pipeline === b.pipeline && a.window === b.window && a.branch === b.branch && a.generation === b.generation;
}

function sameVersions(a: readonly VersionRef[], b: readonly VersionRef[]): boolean {
  const names = (versions: readonly VersionRef[]) => versions.map((v) => `${v.dataset}@${v.window}/${v.version}`).sort();
  const [left, right] = [names(a), names(b)];
  return left.length === right.length && left.every((name, index) => name === right[index]);
}

function runName({ pipeline, window, branch }: WindowName): string {
  return branch === 'main' ? `${pipeline}/${window}` : `${pipeline}/${window}~${branch}`;
}

function refuseRevoked(run: RunRef, current: AcceptedSet | undefined): void {
  if (current?.revoked.includes(run.generation)) throw fenced(run, `generation ${run.generation} was cancelled`);
}

function fenced(run: RunRef, why: string): AlmanacError {
  return new AlmanacError('run.fenced', `Generation ${run.generation} of ${runName(run)} may write nothing any more: ${why}.`, {
    next: `Nothing: what is current stays. \`almanac show ${runName(run)}\` shows it.`,
    details: { run },
  });
}
