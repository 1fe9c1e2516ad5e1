import { pino, type Logger as PinoLogger } from 'pino';
import type { Config } from './config';

/** Structured log of a process: one JSON object a line; run, stage and attempt as fields of their own. */
export type Logger = PinoLogger;

/** Fields that may hold a secret, whatever object they come in. */
const SECRETS = ['password', 'apiKey', 'databaseUrl', 'connectionString', '*.password', '*.apiKey', '*.databaseUrl', '*.connectionString'];

/** Writes to stdout; `bindings` (the role of a worker, say) are on every line. */
export function createLogger(config: Pick<Config, 'logLevel'>, bindings: Readonly<Record<string, unknown>>): Logger {
  return pino({
    level: config.logLevel,
    base: { pid: process.pid, ...bindings },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: SECRETS, censor: '***' },
  });
}
