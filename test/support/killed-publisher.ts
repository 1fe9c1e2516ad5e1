import { spawn } from 'node:child_process';
import path from 'node:path';
import type { PublisherOrder, PublisherReport } from './publisher-child';

export interface PublisherEnd {
  /** Points it passed, in order; the last is where it died. */
  readonly passed: readonly string[];
  readonly killed: boolean;
  readonly publication: number | undefined;
}

/** Runs one publisher in a process of its own and waits until it has died or is done. */
export function runPublisher(order: PublisherOrder): Promise<PublisherEnd> {
  const source = path.join(__dirname, 'publisher-child.ts');
  const script = `require(${JSON.stringify(require.resolve('jiti'))}).createJiti(${JSON.stringify(source)}).import(${JSON.stringify(source)})`;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    const passed: string[] = [];
    let publication: number | undefined;
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('message', (message: PublisherReport) => {
      if ('passed' in message) passed.push(message.passed);
      else publication = message.finished;
    });
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (signal === 'SIGKILL' || code === 0) resolve({ passed, killed: signal === 'SIGKILL', publication });
      else reject(new Error(`the publisher ended with ${signal ?? code}: ${stderr}`));
    });
    child.send(order);
  });
}
