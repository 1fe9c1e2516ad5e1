/**
 * The head of a chain: whose accepted sets are current. Pure. A branch is the chain rebuilt from a window on under another name; once
 * it is promoted, `main` is made of its sets from that window on. Every change is the next number.
 */
import { MAIN_BRANCH } from './run-id';

export type BranchState = 'open' | 'promoted' | 'discarded';

export interface ChainBranch {
  /** Its first window; before it the branch reads `main`. */
  readonly from: string;
  readonly state: BranchState;
  /** Number of the head that brought it into this state. */
  readonly at: number;
}

/** From this window on `main` is made of the sets of a branch. */
export interface HeadSegment {
  readonly from: string;
  readonly branch: string;
  /** Number of the head that promoted it. */
  readonly at: number;
}

export interface ChainHead {
  readonly format: 1;
  readonly pipeline: string;
  readonly number: number;
  readonly branches: Readonly<Record<string, ChainBranch>>;
  /** Earliest window first. Windows before the first are made of the sets that `main` accepted itself. */
  readonly segments: readonly HeadSegment[];
  /** Somebody is about to promote this branch; whoever accepts a set meanwhile withdraws it. */
  readonly promoting?: string;
}

/** The head of a chain that was never forked. */
export function firstHead(pipeline: string): ChainHead {
  return { format: 1, pipeline, number: 0, branches: {}, segments: [] };
}

/** The branch among whose sets the one of this window is, as somebody on `branch` sees it. */
export function homeOf(head: ChainHead, branch: string, window: string): string {
  const own = head.branches[branch];
  if (branch !== MAIN_BRANCH && (own === undefined || window >= own.from)) return branch;
  return head.segments.findLast(({ from }) => from <= window)?.branch ?? MAIN_BRANCH;
}

/** The branch on which a set kept among those of `home` is current; undefined when it is on none. */
export function standsOn(head: ChainHead, home: string, window: string): string | undefined {
  if (homeOf(head, MAIN_BRANCH, window) === home) return MAIN_BRANCH;
  if (home === MAIN_BRANCH) return undefined;
  const own = head.branches[home];
  return own === undefined || own.state === 'open' ? home : undefined;
}

/** Everybody among whose sets those of `main` ever were. */
export function homesOfMain(head: ChainHead): string[] {
  const promoted = Object.entries(head.branches).filter(([, { state }]) => state === 'promoted');
  return [MAIN_BRANCH, ...promoted.map(([name]) => name)];
}

/** Whether the window of `main` was given to a branch after the head of that number. */
export function movedSince(head: ChainHead, window: string, number: number): boolean {
  return head.segments.some(({ from, at }) => from <= window && at > number);
}

/** The name of the next branch. */
export function nextBranch(head: ChainHead): string {
  return `b${Object.keys(head.branches).length + 1}`;
}

export function openBranch(head: ChainHead): string | undefined {
  return Object.entries(head.branches).find(([, { state }]) => state === 'open')?.[0];
}

export function withBranch(head: ChainHead, branch: string, from: string): ChainHead {
  return change(head, branch, { from, state: 'open' });
}

export function withIntent(head: ChainHead, branch: string): ChainHead {
  return { ...next(head), promoting: branch };
}

export function withoutIntent(head: ChainHead): ChainHead {
  return next(head);
}

/** The one step: from its first window on, `main` is made of the sets of the branch. */
export function withPromoted(head: ChainHead, branch: string): ChainHead {
  const promoted = change(head, branch, { state: 'promoted' });
  const from = promoted.branches[branch]?.from ?? '';
  const segments = [...head.segments.filter((segment) => segment.from < from), { from, branch, at: promoted.number }];
  return { ...promoted, segments };
}

export function withDiscarded(head: ChainHead, branch: string): ChainHead {
  return change(head, branch, { state: 'discarded' });
}

function change(head: ChainHead, branch: string, made: Partial<ChainBranch>): ChainHead {
  const number = head.number + 1;
  const own = head.branches[branch] ?? { from: '', state: 'open' as const, at: number };
  return { ...next(head), branches: { ...head.branches, [branch]: { ...own, ...made, at: number } } };
}

function next({ promoting: _withdrawn, ...head }: ChainHead): ChainHead {
  return { ...head, number: head.number + 1 };
}
