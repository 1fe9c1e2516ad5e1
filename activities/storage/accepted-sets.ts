import type { Clock } from '../../lib/clock';
import { AlmanacError } from '../../pipelines/failures';
import type { RunRef, VersionRef } from '../../pipelines/types';
import type { Acceptance, DatasetStore } from './dataset-store';
import type { AcceptedSet } from './manifest';
import type { ObjectStore } from './object-store';
import { acceptedChain, acceptedFolder, acceptedPath, parseAcceptedPath } from './store-paths';

type AcceptedSets = Pick<DatasetStore, 'accepted' | 'generations' | 'acceptedWindows' | 'accept' | 'revoke'> & {
  /** Throws `run.fenced` for a generation that was revoked. */
  requireNotRevoked(run: RunRef): Promise<void>;
};
type WindowName = Pick<RunRef, 'pipeline' | 'branch' | 'window'>;

/**
 * What is current, as numbered entries put if absent: the highest is current, and writing the next number is the
 * compare-and-swap. Whoever loses a number reads again and is judged anew.
 */
export function createAcceptedSets(store: ObjectStore, clock: Clock, point: (name: string) => Promise<void>): AcceptedSets {
  async function entry(of: WindowName, sequence: number): Promise<AcceptedSet | undefined> {
    const body = await store.get(acceptedPath(of.pipeline, of.branch, of.window, sequence));
    return body && (JSON.parse(body.toString('utf8')) as AcceptedSet);
  }

  async function newest(of: WindowName): Promise<AcceptedSet | undefined> {
    const entries = await store.list(acceptedFolder(of.pipeline, of.branch, of.window));
    const highest = Math.max(0, ...entries.map(({ path }) => parseAcceptedPath(path)?.sequence ?? 0));
    return highest === 0 ? undefined : entry(of, highest);
  }

  async function put(next: AcceptedSet): Promise<boolean> {
    return store.putIfAbsent(
      acceptedPath(next.pipeline, next.branch, next.window, next.sequence),
      `${JSON.stringify(next, undefined, 2)}\n`,
    );
  }

  return {
    async accepted(pipeline, branch, window) {
      const current = await newest({ pipeline, branch, window });
      return current?.nothing ? undefined : current;
    },

    async generations(pipeline, branch, window) {
      const current = await newest({ pipeline, branch, window });
      return {
        accepted: current?.nothing ? undefined : current,
        highest: Math.max(0, current?.run.generation ?? 0, ...(current?.revoked ?? [])),
      };
    },

    async acceptedWindows(pipeline, branch) {
      const highest = new Map<string, number>();
      for (const { path } of await store.list(acceptedChain(pipeline, branch))) {
        const parsed = parseAcceptedPath(path);
        if (parsed) highest.set(parsed.window, Math.max(parsed.sequence, highest.get(parsed.window) ?? 0));
      }
      const windows: string[] = [];
      for (const [window, sequence] of highest) {
        const current = await entry({ pipeline, branch, window }, sequence);
        if (current && !current.nothing) windows.push(window);
      }
      return windows.sort();
    },

    async accept(next: Acceptance, expected: number) {
      for (;;) {
        const current = await newest(next);
        const { generation } = next.run;
        refuseRevoked(next.run, current);
        if (current && !current.nothing) {
          if (sameRun(current.run, next.run) && sameVersions(current.versions, next.versions)) return current;
          if (generation < current.run.generation) throw fenced(next.run, `generation ${current.run.generation} was accepted already`);
        }
        const since = current && !current.nothing ? current.since : 0;
        // Revocations since the caller looked change no version, so they are no conflict.
        if (expected < since || expected > (current?.sequence ?? 0)) throw conflict(next, expected, current);
        const sequence = (current?.sequence ?? 0) + 1;
        const set: AcceptedSet = {
          ...next,
          format: 1,
          sequence,
          since: sequence,
          revoked: current?.revoked ?? [],
          at: clock.now().toISOString(),
        };
        await point('accept.put');
        if (await put(set)) return set;
      }
    },

    async requireNotRevoked(run) {
      refuseRevoked(run, await newest(run));
    },

    async revoke(run) {
      for (;;) {
        const current = await newest(run);
        if (current?.revoked.includes(run.generation)) return;
        const sequence = (current?.sequence ?? 0) + 1;
        const revoked = [...(current?.revoked ?? []), run.generation].sort((a, b) => a - b);
        const { pipeline, branch, window } = run;
        const none = { format: 1, pipeline, branch, window, since: 0, run, versions: [], gates: {}, nothing: true } as const;
        const set: AcceptedSet = { ...(current ?? none), sequence, revoked, at: clock.now().toISOString() };
        await point('revoke.put');
        if (await put(set)) return;
      }
    },
  };
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

function conflict(next: Acceptance, expected: number, current: AcceptedSet | undefined): AlmanacError {
  const seen = expected === 0 ? 'nothing' : `set ${expected}`;
  const found = current ? `set ${current.since} of generation ${current.run.generation}` : 'nothing';
  return new AlmanacError('accept.conflict', `${runName(next)} was to replace ${seen}, but ${found} is current now.`, {
    next: `\`almanac show ${runName(next)}\` shows what is current; \`almanac run ${next.pipeline} --window ${next.window} --again\` makes a newer generation.`,
    details: { expected, current: current?.sequence ?? 0 },
  });
}
