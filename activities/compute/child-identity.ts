import { readFileSync } from 'node:fs';
import type { ChildIdentity } from './engine';

interface ProcessState {
  /** R, S, D, T, Z… as in /proc/PID/stat. */
  readonly state: string;
  readonly startTicks: string;
}

function processState(pid: number): ProcessState | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The second field is the command in parentheses and may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', startTicks: fields[19] ?? '' };
}

/** The identity of a running process; `startTicks` is empty when the process is gone or the system has no /proc. */
export function childIdentity(pid: number): ChildIdentity {
  return { pid, startTicks: processState(pid)?.startTicks ?? '' };
}

/** True while exactly this process runs, frozen ones included; a zombie or a successor under the same pid does not count. */
export function isAlive(child: ChildIdentity): boolean {
  const now = processState(child.pid);
  return now !== undefined && now.startTicks === child.startTicks && now.state !== 'Z' && now.state !== 'X';
}
