/** What a project's own code threw while it was loaded, as a failure that names file and line. */
import { realpathSync } from 'node:fs';
import path from 'node:path';
import { AlmanacError, CODES, type FailureCode } from '../pipelines/failures';

interface Place {
  /** Relative to the project. */
  readonly file: string;
  readonly line?: number;
}

/** A declaration's own failure keeps its code; anything else a project throws is `project.invalid`. */
export function loadFailure(error: unknown, root: string, config: string): AlmanacError {
  const thrown = partsOf(error);
  // A project reached by a link is named by its real path in some messages.
  const roots = [root, realpathSync(root)].map((directory) => `${directory}${path.sep}`);
  const place = placeIn(`${thrown.message}\n${thrown.stack}`, roots) ?? { file: path.relative(root, config) };
  const at = place.line === undefined ? place.file : `${place.file}:${place.line}`;
  const details = { directory: root, ...place };
  if (thrown.code !== undefined) {
    return new AlmanacError(thrown.code, `${thrown.message} (${at})`, {
      next: thrown.next,
      details: { ...thrown.details, ...details },
      cause: error,
    });
  }
  const [reason = ''] = thrown.message.split('\n');
  return new AlmanacError(
    'project.invalid',
    `The project in ${root} cannot be loaded: ${at}: ${roots.reduce((text, prefix) => text.replaceAll(prefix, ''), reason)}`,
    {
      next: `Correct ${at}.`,
      details,
      cause: error,
    },
  );
}

interface Thrown {
  readonly message: string;
  readonly stack: string;
  readonly next: string;
  readonly details: Readonly<Record<string, unknown>>;
  /** Set for an AlmanacError, also one of another copy of this package: classes differ between copies, names do not. */
  readonly code?: FailureCode;
}

function partsOf(error: unknown): Thrown {
  if (typeof error !== 'object' || error === null) return { message: String(error), stack: '', next: '', details: {} };
  const { name, message, stack, code, next, details } = error as Readonly<Record<string, unknown>>;
  const parts = {
    message: typeof message === 'string' && message !== '' ? message : String(name),
    stack: typeof stack === 'string' ? stack : '',
    next: typeof next === 'string' ? next : '',
    details: typeof details === 'object' && details !== null ? (details as Readonly<Record<string, unknown>>) : {},
  };
  return name === 'AlmanacError' && isCode(code) ? { ...parts, code } : parts;
}

function isCode(code: unknown): code is FailureCode {
  return typeof code === 'string' && Object.hasOwn(CODES, code);
}

/** The first place in a message or stack that is a file of the project itself, not of what it has installed. */
function placeIn(text: string, roots: readonly string[]): Place | undefined {
  const prefix = roots.map((root) => root.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|');
  for (const match of text.matchAll(new RegExp(`(?:${prefix})([^\\n:()]+?\\.[cm]?[jt]s)(?::(\\d+))?(?=[:)\\s]|$)`, 'g'))) {
    const [, file = '', line] = match;
    if (!file.includes('node_modules')) return line === undefined ? { file } : { file, line: Number(line) };
  }
  return undefined;
}
