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
  /** Of one try. Default: {@link SEND_TIMEOUT_MS}. */
  readonly timeoutMs?: number;
}

/**
 * Gives one notice to one hook. Rejects, with a message that holds no secret, unless the hook took it: a 2xx answer, an exit code 0.
 */
export async function sendNotice(hook: HookSpec, message: NoticeMessage, context: SendContext): Promise<void> {
  // A timer that this call holds: a signal of `AbortSignal.timeout` inside `AbortSignal.any` may be collected before it fires.
  const stop = new AbortController();
  const late = setTimeout(
    () => stop.abort(Object.assign(new Error('no answer in time'), { name: 'TimeoutError' })),
    context.timeoutMs ?? SEND_TIMEOUT_MS,
  );
  const end = (): void => stop.abort();
  context.signal.addEventListener('abort', end);
  if (context.signal.aborted) end();
  try {
    await (hook.type === 'webhook' ? post(hook, message, context, stop.signal) : run(hook, message, context, stop.signal));
  } finally {
    clearTimeout(late);
    context.signal.removeEventListener('abort', end);
  }
}

async function post(hook: WebhookSpec, message: NoticeMessage, { environment }: SendContext, signal: AbortSignal): Promise<void> {
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
      signal,
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

function run(hook: CommandSpec, message: NoticeMessage, { directory, environment }: SendContext, stop: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const [program = '', ...args] = hook.run;
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
