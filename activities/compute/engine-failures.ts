import { readFileSync } from 'node:fs';
import { AlmanacError } from '../../pipelines/failures';
import { ChildEnded, StatementFailed, type ChildEnd } from './child';
import type { SessionLimits, StatementLabel } from './engine';

const DISK_FULL = /no space left on device|max_temp_directory_size|disk quota exceeded|file too large|could not write all bytes/i;
const OUT_OF_MEMORY = /^Out of Memory Error|failed to allocate|could not allocate|bad_alloc|heap out of memory/i;
/** The instance or the machine failed, not the statement: a fresh child may succeed. */
const BROKEN = /^(FATAL|INTERNAL) Error|input\/output error|stale file handle|too many open files/i;

/** A file or folder of the session itself, by DuckDB's words or Node's; what a text may not open is refused before. */
const UNWRITABLE =
  /permission denied|read-only file system|operation not permitted|not a directory|^(EACCES|EPERM|EROFS|ENOTDIR|EEXIST): /i;

/** What a confined session refuses; the first group is what the statement reached for. */
const FORBIDDEN =
  /^Permission Error: (?:Cannot access (?:file|directory) ("[\s\S]*") - file system operations|Loading external extensions)/;
const LOCKED = /^(?:Invalid Input|Permission) Error: Cannot change configuration option ("[^"]*")/;

/** These tell of a statement, its names or its files, never of a value in a row. */
const ABOUT_STATEMENT =
  /^(Binder|Catalog|Parser|Syntax|Permission|IO|Out of Memory|Not implemented|Dependency|INTERNAL|FATAL|INTERRUPT) Error/;
const LONE_NUMBER = /(?<![\w.])[-+]?\d[\d.,:eE+-]*/g;

/** What was true when a failure happened. */
export interface FailureScene {
  readonly limits: SessionLimits;
  readonly label?: StatementLabel;
  /** True when the kernel has killed a process for memory since the session began. */
  readonly kernelKilled: boolean;
}

/** Maps what a child answered, or that it ended, to a failure with a code; anything else is returned as it is. */
export function engineFailure(error: unknown, scene: FailureScene): unknown {
  if (error instanceof StatementFailed) return statementFailure(error, scene);
  if (error instanceof ChildEnded) return endFailure(error.end, scene);
  return error;
}

function statementFailure(error: StatementFailed, { limits, label }: FailureScene): AlmanacError {
  const located = locate(error.message, label);
  const text = limits.maskValues === true ? withoutQuotedValues(located.text) : located.text;
  const { line } = located;
  const place = label ? `${label.name}${line === undefined ? '' : ` line ${line}`}: ` : '';
  const details = { ...(label && { statement: label.name }), ...(line !== undefined && { line }), duckdb: text };
  // The temp directory's limit is reported as an Out of Memory Error, so disk goes first.
  if (DISK_FULL.test(error.message)) {
    return new AlmanacError('engine.disk', `${place}the disk is full: ${firstLine(text)}`, {
      next: 'Free space on the disk of ALMANAC_HOME (`almanac dataset gc --older-than 0s` deletes at once what no run and no table uses), then retry the stage.',
      details,
    });
  }
  if (OUT_OF_MEMORY.test(error.message)) return memoryFailure(`${place}${firstLine(text)}`, limits, details);
  const forbidden = forbiddenThing(text);
  if (forbidden !== undefined) {
    const where = label ? ` from ${label.name}${line === undefined ? '' : ` line ${line}`}` : '';
    return new AlmanacError('engine.forbidden', `${place}a stage may not ${forbidden}; it sees only the datasets it reads.`, {
      next: `Take it${where}: land the data, ingest them into a dataset and read that; then retry the stage.`,
      details,
    });
  }
  if (UNWRITABLE.test(firstLine(error.message)) && /^(IO Error|E[A-Z]+: )/.test(error.message)) {
    return new AlmanacError('store.unwritable', `${place}Almanac cannot work in its folders: ${firstLine(text)}`, {
      next: 'Give the user of the workers the file or folder the message names (`almanac doctor` looks again), then retry the stage.',
      details,
    });
  }
  if (BROKEN.test(error.message)) {
    return new AlmanacError('engine.lost', `${place}DuckDB failed: ${firstLine(text)}`, {
      next: 'Retry the stage; if it stays, look at the disk and the log of the worker.',
      details,
    });
  }
  const next = label
    ? `Correct ${label.name}${line === undefined ? '' : ` at line ${line}`}, then retry the stage.`
    : 'Correct the SQL the message shows, then retry the stage.';
  return new AlmanacError('engine.sql', `${place}${text}`, { next, details });
}

/** DuckDB's sentence about a statement names identifiers; any other is about rows, and quotes them. */
export function withoutQuotedValues(text: string): string {
  if (ABOUT_STATEMENT.test(text)) return text;
  // The drawing of the statement comes last, so what a value holds does not pass for it.
  const drawing = text.lastIndexOf('\n\nLINE ');
  const sentence = drawing < 0 ? text : text.slice(0, drawing);
  const quoteless = unquoted(unquoted(sentence, "'"), '"');
  return firstLine(quoteless).replace(LONE_NUMBER, '…') + (drawing < 0 ? '' : text.slice(drawing));
}

/** Without what lies between the first and the last quote: a value may hold quotes and line ends itself, or be cut off. */
function unquoted(text: string, quote: string): string {
  const first = text.search(new RegExp(`(?<!\\w)${quote}`));
  if (first < 0) return text;
  const last = text.lastIndexOf(quote);
  return `${text.slice(0, first)}${quote}…${quote}${last > first ? text.slice(last + 1) : ''}`;
}

function forbiddenThing(text: string): string | undefined {
  const option = LOCKED.exec(text)?.[1];
  if (option !== undefined) return `change the setting ${option}`;
  const found = FORBIDDEN.exec(text);
  if (!found) return undefined;
  return found[1] === undefined ? 'load extensions' : `open ${found[1]}`;
}

function endFailure(end: ChildEnd, { limits, label, kernelKilled }: FailureScene): AlmanacError {
  const how = end.signal ? `by ${end.signal}` : `with exit code ${end.exitCode}`;
  const place = label ? `${label.name}: ` : '';
  const stderr = end.stderr.trim();
  const details = { ...(label && { statement: label.name }), ...(stderr && { stderr }) };
  if (!end.killed && ((end.signal === 'SIGKILL' && kernelKilled) || OUT_OF_MEMORY.test(stderr))) {
    return memoryFailure(`${place}the system killed the DuckDB process for memory`, limits, details);
  }
  return new AlmanacError('engine.lost', `${place}the DuckDB process ended ${how} before it answered`, {
    next: 'Retry the stage; nothing was written.',
    details,
  });
}

function memoryFailure(message: string, limits: SessionLimits, details: Record<string, unknown>): AlmanacError {
  const mebibytes = Math.round(limits.memoryBytes / 2 ** 20);
  const configured = Math.round((limits.configuredBytes ?? limits.memoryBytes) / 2 ** 20);
  return new AlmanacError('engine.memory', `${message} (limit ${mebibytes} MiB, ${limits.threads} threads)`, {
    next:
      `Raise ALMANAC_MEMORY, now ${configured}MiB, and start the workers anew (\`almanac down\`, \`almanac up\`), ` +
      `or declare the stage \`each: 'bucket'\` over more buckets; then retry it.`,
    details: { ...details, memoryBytes: limits.memoryBytes, threads: limits.threads },
  });
}

/** DuckDB counts lines of what it was sent; authors count those of their file. */
function locate(message: string, label: StatementLabel | undefined): { text: string; line?: number } {
  const text = message
    .replace(/^Failed to extract statements: /, '')
    .replace(/\s*Possible solutions:[\s\S]*$/, '')
    .trim();
  const found = /^LINE (\d+):/m.exec(text);
  if (!found) return { text };
  const line = Math.max(1, Number(found[1]) - (label?.linesBefore ?? 0));
  return { text: text.replace(found[0], `LINE ${line}:`), line };
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}

/** Processes the kernel has killed for memory since boot; 0 where the system does not say. */
export function kernelMemoryKills(): number {
  try {
    return Number(/^oom_kill (\d+)$/m.exec(readFileSync('/proc/vmstat', 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
