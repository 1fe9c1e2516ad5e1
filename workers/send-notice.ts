import { spawn } from 'node:child_process';
import type { CommandSpec, HookSpec, NoticeMessage, WebhookSpec } from '../pipelines/notify';

/** One try lasts at most so long. */
export const SEND_TIMEOUT_MS = 15_000;

export type Environment = Readonly<Record<string, string | undefined>>;

export interface SendContext {
  /** Where commands run: the project's. */
  readonly directory: string;
  readonly environment: Environment;
  readonly signal: AbortSignal;
}

/**
 * Gives one notice to one hook. Rejects, with a message that holds no secret, unless the hook took it: a 2xx answer, an exit code 0.
 */
export function sendNotice(hook: HookSpec, message: NoticeMessage, context: SendContext): Promise<void> {
  return hook.type === 'webhook' ? post(hook, message, context) : run(hook, message, context);
}

async function post(hook: WebhookSpec, message: NoticeMessage, { environment, signal }: SendContext): Promise<void> {
  const secret = (variable: string): string => {
    const value = environment[variable];
    if (!value) throw new Error(`the environment variable ${variable} is not set in the control worker`);
    return value;
  };
  const url = hook.url ?? secret(hook.urlFrom ?? '');
  const headers = Object.fromEntries(Object.entries(hook.headersFrom ?? {}).map(([header, variable]) => [header, secret(variable)]));
  let response: Response;
  try {
    response = await fetch(url, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json', 'idempotency-key': `almanac-notice-${message.id}` },
      body: JSON.stringify(message),
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(SEND_TIMEOUT_MS)]),
    });
  } catch (error) {
    // Messages of fetch may quote the address or a header, and those may be secret.
    throw new Error(`no answer (${causeOf(error)})`);
  }
  await response.body?.cancel();
  if (!response.ok) throw new Error(`it answered ${response.status}`);
}

function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string') return cause.code;
  return cause instanceof Error ? cause.name : 'unknown';
}

function run(hook: CommandSpec, message: NoticeMessage, { directory, environment, signal }: SendContext): Promise<void> {
  return new Promise((resolve, reject) => {
    const [program = '', ...args] = hook.run;
    const stop = AbortSignal.any([signal, AbortSignal.timeout(SEND_TIMEOUT_MS)]);
    // A group of its own, so that what the program started ends with it.
    const child = spawn(program, args, { cwd: directory, env: { ...environment }, detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
    const kill = (): void => {
      if (child.pid === undefined || child.exitCode !== null) return;
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    };
    stop.addEventListener('abort', kill, { once: true });
    child.once('error', (error: NodeJS.ErrnoException) =>
      reject(new Error(`${program} could not be started (${error.code ?? error.name})`)),
    );
    child.once('close', (code, killed) => {
      stop.removeEventListener('abort', kill);
      if (code === 0) resolve();
      else reject(new Error(stop.aborted ? `${program} did not end in time` : `${program} ended with ${code ?? killed}`));
    });
    // A program that does not read its input is none the worse for it.
    child.stdin.on('error', () => undefined);
    child.stdin.end(JSON.stringify(message));
  });
}
