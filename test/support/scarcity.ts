import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Something there is too little of, until {@link relieve}; its scope ends it altogether. */
export interface Scarcity extends Disposable {
  relieve(): void;
}

const isRoot = process.getuid?.() === 0;

/** Ways to run out of disk in a directory: a small file system, for who may mount one, and a limit on the size of files, for everybody. */
export const DISK_SHORTAGES: readonly (readonly [string, (directory: string, worker: number) => Scarcity])[] = [
  ...(isRoot ? [['the disk is full', smallDisk] as const] : []),
  ['files may not grow', smallFiles],
];

/** A file system of one megabyte over the directory, empty at first. */
function smallDisk(directory: string): Scarcity {
  mkdirSync(directory, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=777', 'tmpfs', directory]);
  return {
    relieve: () => void execFileSync('mount', ['-o', 'remount,size=1g', directory]),
    [Symbol.dispose]: () => void execFileSync('umount', ['--lazy', directory]),
  };
}

/** The worker and its children may write no file beyond half a megabyte: they get EFBIG, as others get ENOSPC. */
function smallFiles(_directory: string, worker: number): Scarcity {
  const limit = (size: string): void => {
    for (const pid of [worker, ...childrenOf(worker)]) execFileSync('prlimit', ['--pid', String(pid), `--fsize=${size}:unlimited`]);
  };
  limit('500000');
  return { relieve: () => limit('unlimited'), [Symbol.dispose]: () => undefined };
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}

interface MemoryController {
  /** Where groups are made. */
  readonly root: string;
  readonly limit: string;
}

function memoryController(): MemoryController | undefined {
  if (!isRoot) return undefined;
  const first = '/sys/fs/cgroup/memory';
  if (existsSync(path.join(first, 'memory.limit_in_bytes'))) return { root: first, limit: 'memory.limit_in_bytes' };
  const second = '/sys/fs/cgroup';
  const enabled = path.join(second, 'cgroup.subtree_control');
  return existsSync(enabled) && readFileSync(enabled, 'utf8').includes('memory') ? { root: second, limit: 'memory.max' } : undefined;
}

/** Ways to have the kernel kill the worker's children for memory: a control group, for who may make one. */
export const MEMORY_SHORTAGES: readonly (readonly [string, (worker: number) => Scarcity])[] = [memoryController()].flatMap((controller) =>
  controller === undefined ? [] : [['the kernel kills it', (worker: number) => memoryCage(controller, worker)] as const],
);

const CAGE_BYTES = 200e6;
const WATCH_MS = 10;

/** Children, also those to come, are put into a group of too little memory; the worker itself stays out of it. */
function memoryCage({ root, limit }: MemoryController, worker: number): Scarcity {
  const cage = path.join(root, `almanac-test-${process.pid}`);
  mkdirSync(cage);
  writeFileSync(path.join(cage, limit), String(CAGE_BYTES));
  const moveTo = (group: string, pid: number): void => {
    try {
      writeFileSync(path.join(group, 'cgroup.procs'), String(pid));
    } catch (error) {
      // It ended meanwhile.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  };
  const watch = setInterval(() => childrenOf(worker).forEach((pid) => moveTo(cage, pid)), WATCH_MS);
  return {
    relieve() {
      clearInterval(watch);
      childrenOf(worker).forEach((pid) => moveTo(root, pid));
      rmdirSync(cage);
    },
    [Symbol.dispose]: () => clearInterval(watch),
  };
}
