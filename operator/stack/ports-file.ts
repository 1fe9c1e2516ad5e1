import { readFileSync } from 'node:fs';
import path from 'node:path';
import { writeFileAtomically } from '../../lib/atomic-file';
import { cacheDirectory } from '../../lib/cache-directory';
import { acquireLock } from './lock';
import { choosePorts } from './ports';

/** The ports one would expect, in the order they are chosen. */
const USUAL = {
  temporal: 7233,
  postgres: 5433,
  temporalUi: 8233,
  temporalHttp: 7243,
  temporalMetrics: 7253,
  controlMetrics: 9464,
  computeMetrics: 9465,
  controlSdkMetrics: 9466,
  computeSdkMetrics: 9467,
} as const;

export type StackPorts = Readonly<Record<keyof typeof USUAL, number>>;

/** Every port of a stack, for those who prepare a `ports.json` of their own. */
export const PORT_NAMES = Object.keys(USUAL) as readonly (keyof StackPorts)[];

/** The ports of this home: as remembered where they are still free, else chosen anew and remembered. */
export async function stackPorts(home: string): Promise<StackPorts> {
  const file = path.join(home, 'ports.json');
  const ports = await choosePorts<keyof typeof USUAL>(USUAL, readRemembered(file), reservePort);
  writeFileAtomically(file, `${JSON.stringify(ports, undefined, 2)}\n`);
  return ports;
}

/** Only a convenience: unreadable is forgotten. */
function readRemembered(file: string): Partial<StackPorts> {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (typeof value !== 'object' || value === null) return {};
    return Object.fromEntries(Object.entries(value).filter(([, port]) => Number.isInteger(port) && port > 0 && port < 65536));
  } catch {
    return {};
  }
}

/**
 * Keeps a port for this process while it lives: of two stacks that start at once, both of which find the port free, one gets it.
 * A server that cannot bind would else be taken for ready while the other one's answers.
 */
function reservePort(port: number): boolean {
  const lock = acquireLock(path.join(cacheDirectory('ports'), String(port)));
  return !('holder' in lock) || lock.holder.pid === process.pid;
}
