import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { packageRoot } from '../../lib/package-root';
import { AlmanacError } from '../../pipelines/failures';

/**
 * Runs a script of `bin` that makes ready what a machine lacks, and answers with the last line it prints, as JSON. `tell` hears what takes
 * long. Throws `demo.unready` with what is missing and the step that mends it.
 */
export async function install<T>(script: string, tell: (line: string) => void, signal: AbortSignal): Promise<T> {
  const child = spawn(process.execPath, [path.join(packageRoot(), 'bin', script)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
    killSignal: 'SIGTERM',
  });
  let out = '';
  let problem = `bin/${script} ended early`;
  let next = `node bin/${script}`;
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  createInterface(child.stderr).on('line', (line) => {
    const [, said, mend] = /^error \w+: (.*)$|^next: (.*)$/.exec(line) ?? [];
    if (said === undefined && mend === undefined) tell(line);
    problem = said ?? problem;
    next = mend ?? next;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  signal.throwIfAborted();
  if (code !== 0) throw new AlmanacError('demo.unready', `what the demo needs is not there: ${problem}`, { next, details: { script } });
  return JSON.parse(out.trimEnd().split('\n').at(-1) ?? '') as T;
}
