/**
 * Pure: what was built on rows that are no longer current. An accepted version is stale when one of its inputs has another digest
 * than the version its window accepts now, or when an input is stale itself. A rebuild with the same rows makes nothing stale.
 */

/** A version as its window accepts it, with what it was computed from. */
export interface AcceptedVersion {
  readonly pipeline: string;
  readonly branch: string;
  /** The window that accepts it. */
  readonly window: string;
  readonly dataset: string;
  /** The version's own window: a set may carry one from another. */
  readonly versionWindow: string;
  readonly version: string;
  readonly digest: string;
  readonly inputs: readonly VersionInput[];
  /** Replays into its window that it was read without. */
  readonly unread?: readonly string[];
}

export interface VersionInput {
  readonly dataset: string;
  readonly window: string;
  readonly version: string;
  /** Of the rows that were read; null when nobody knows it any more. */
  readonly digest: string | null;
}

/** An input whose window accepts other rows now. */
export interface ReplacedInput {
  readonly dataset: string;
  readonly window: string;
  readonly built: string;
  readonly current: string;
}

export interface StaleVersion {
  readonly dataset: string;
  /** The version's own window. */
  readonly window: string;
  readonly version: string;
  readonly replaced: readonly ReplacedInput[];
  /** Rows replayed into its window since: paths in the store. */
  readonly unread?: readonly string[];
  /** Inputs that are current, and stale themselves. */
  readonly stale: readonly Pick<VersionInput, 'dataset' | 'window'>[];
}

export interface StaleWindow {
  readonly pipeline: string;
  readonly branch: string;
  readonly window: string;
  readonly versions: readonly StaleVersion[];
}

/** Windows that hold a stale version, by pipeline and branch, oldest first: the order in which to run them again. */
export function staleWindows(accepted: readonly AcceptedVersion[], mainBranch: string): StaleWindow[] {
  const index = new Index(accepted, mainBranch);
  const replaced = new Map<AcceptedVersion, ReplacedInput[]>();
  for (const version of accepted) {
    const found = version.inputs.flatMap((input) => replacement(input, index.current(version, input)));
    if (found.length > 0 || isUnread(version)) replaced.set(version, found);
  }
  const reached = index.below([...replaced.keys()]);
  const windows = new Map<string, StaleWindow & { versions: StaleVersion[] }>();
  for (const version of accepted) {
    if (!replaced.has(version) && !reached.has(version)) continue;
    const { pipeline, branch, window } = version;
    const name = windowName(version);
    const stale = windows.get(name) ?? { pipeline, branch, window, versions: [] };
    windows.set(name, stale);
    stale.versions.push({
      dataset: version.dataset,
      window: version.versionWindow,
      version: version.version,
      replaced: replaced.get(version) ?? [],
      ...(isUnread(version) ? { unread: version.unread ?? [] } : {}),
      stale: version.inputs.filter((input) => isOneOf(index.current(version, input), replaced, reached)).map(nameOf),
    });
  }
  return [...windows.values()].sort(byPlace);
}

/** Why a window is stale, as part of a sentence. */
export function staleText({ versions }: StaleWindow): string {
  const unread = versions.filter(isUnread).map(({ dataset }) => dataset);
  if (unread.length > 0) return `rows of ${unread.join(' and ')} were replayed into it since`;
  const replaced = new Map(versions.flatMap((version) => version.replaced.map((input) => [placeOf(input), input] as const)));
  if (replaced.size > 0) {
    const inputs = [...replaced].map(([place, { built, current }]) => `${place} as ${short(built)}, which is ${short(current)} now`);
    return `built on ${inputs.join(' and ')}`;
  }
  return `built on ${[...new Set(versions.flatMap(({ stale }) => stale.map(placeOf)))].join(' and ')}, stale as well`;
}

/** The command that builds a stale window on what is current. */
export function rebuildCommand({ pipeline, window }: Pick<StaleWindow, 'pipeline' | 'window'>): string {
  return `almanac run ${pipeline} --window ${window} --again --reason …`;
}

/** Accepted windows that were built, directly or through others, on what a window accepts now; oldest first. */
export function windowsBuiltOn(
  accepted: readonly AcceptedVersion[],
  of: Pick<AcceptedVersion, 'pipeline' | 'branch' | 'window'>,
  mainBranch: string,
): Pick<AcceptedVersion, 'pipeline' | 'branch' | 'window'>[] {
  const own = accepted.filter((version) => windowName(version) === windowName(of));
  const windows = new Map<string, Pick<AcceptedVersion, 'pipeline' | 'branch' | 'window'>>();
  for (const version of new Index(accepted, mainBranch).below(own)) {
    const { pipeline, branch, window } = version;
    if (windowName(version) !== windowName(of)) windows.set(windowName(version), { pipeline, branch, window });
  }
  return [...windows.values()].sort(byPlace);
}

/** Who reads what, by dataset and window. */
class Index {
  private readonly versions = new Map<string, AcceptedVersion[]>();
  private readonly readers = new Map<AcceptedVersion, AcceptedVersion[]>();

  constructor(
    accepted: readonly AcceptedVersion[],
    private readonly mainBranch: string,
  ) {
    for (const version of accepted) push(this.versions, placeOf(version), version);
    for (const version of accepted) {
      for (const input of version.inputs) {
        const read = this.current(version, input);
        if (read !== undefined) push(this.readers, read, version);
      }
    }
  }

  /** What the input's window accepts now: on the reader's own branch, else on the one it was forked from; of another pipeline, on its main one. */
  current(reader: AcceptedVersion, input: VersionInput): AcceptedVersion | undefined {
    const found = this.versions.get(placeOf(input)) ?? [];
    return (
      found.find(({ pipeline, branch }) => pipeline === reader.pipeline && branch === reader.branch) ??
      found.find(({ branch }) => branch === this.mainBranch)
    );
  }

  /** Everything computed from these, directly or through others. */
  below(from: readonly AcceptedVersion[]): ReadonlySet<AcceptedVersion> {
    const reached = new Set<AcceptedVersion>();
    const waiting = [...from];
    for (let version = waiting.pop(); version !== undefined; version = waiting.pop()) {
      for (const reader of this.readers.get(version) ?? []) {
        if (reached.has(reader)) continue;
        reached.add(reader);
        waiting.push(reader);
      }
    }
    return reached;
  }
}

function isUnread({ unread }: Pick<AcceptedVersion, 'unread'>): boolean {
  return unread !== undefined && unread.length > 0;
}

function replacement(input: VersionInput, current: AcceptedVersion | undefined): ReplacedInput[] {
  if (current === undefined || input.digest === null || current.digest === input.digest) return [];
  return [{ ...nameOf(input), built: input.digest, current: current.digest }];
}

function isOneOf(
  version: AcceptedVersion | undefined,
  replaced: ReadonlyMap<AcceptedVersion, unknown>,
  reached: ReadonlySet<AcceptedVersion>,
): boolean {
  return version !== undefined && (replaced.has(version) || reached.has(version));
}

function nameOf({ dataset, window }: Pick<VersionInput, 'dataset' | 'window'>): Pick<VersionInput, 'dataset' | 'window'> {
  return { dataset, window };
}

function placeOf({ dataset, window }: Pick<VersionInput, 'dataset' | 'window'>): string {
  return `${dataset}@${window}`;
}

function short(digest: string): string {
  return digest.slice(0, 12);
}

function windowName({ pipeline, branch, window }: Pick<AcceptedVersion, 'pipeline' | 'branch' | 'window'>): string {
  return `${pipeline}/${window}~${branch}`;
}

function byPlace<T extends Pick<AcceptedVersion, 'pipeline' | 'branch' | 'window'>>(a: T, b: T): number {
  const [left, right] = [a, b].map(({ pipeline, branch, window }) => [pipeline, branch, window].join('\u0000'));
  return (left ?? '') < (right ?? '') ? -1 : 1;
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
