import type { OperatorSession, SessionOptions } from '../operator/session';

/** What a command sees of the terminal and of the services. Commands never write to stdout or stderr themselves. */
export interface CliIo {
  readonly json: boolean;
  /** The one result of a command: `data` as JSON with `--json`, else what `render` returns. */
  print(data: unknown, render: () => string): void;
  /** A line of progress or advice on stderr; never part of the result. */
  warn(line: string): void;
  /** The command printed its result, yet ends with `code`: a run that is held, a doctor that found something. */
  exitWith(code: number): void;
  /** The directory of `--project`, else where one stands. */
  projectDirectory(): string;
  /** Opens the services on first use; the frame closes them when the command ends. Throws `stack.down` among others. */
  session(options?: SessionOptions): Promise<OperatorSession>;
  /** Closes the session early, for a command that stops the services itself. */
  close(): Promise<void>;
}

export interface CliStreams {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

export interface CliIoOptions {
  readonly streams: CliStreams;
  readonly json: () => boolean;
  readonly projectDirectory: () => string;
  readonly openSession: (projectDirectory: string, options?: SessionOptions) => Promise<OperatorSession>;
}

/** The frame's side of a CliIo: it also closes what the command opened. */
export interface ClosableCliIo extends CliIo {
  readonly exitCode: number;
  close(): Promise<void>;
}

export function createIo(options: CliIoOptions): ClosableCliIo {
  let session: Promise<OperatorSession> | undefined;
  let exitCode = 0;
  return {
    get json() {
      return options.json();
    },
    print(data, render) {
      options.streams.stdout.write(withNewline(options.json() ? JSON.stringify(data, jsonValue, 2) : render()));
    },
    warn(line) {
      options.streams.stderr.write(withNewline(line));
    },
    exitWith(code) {
      exitCode = code;
    },
    get exitCode() {
      return exitCode;
    },
    projectDirectory: () => options.projectDirectory(),
    session(how) {
      session ??= options.openSession(options.projectDirectory(), how);
      return session;
    },
    async close() {
      const opened = await session?.catch(() => undefined);
      session = undefined;
      await opened?.close();
    },
  };
}

/** JSON has no bigint; counts beyond 2^53 travel as text. */
function jsonValue(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

function withNewline(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}
