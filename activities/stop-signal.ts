import { CancelledFailure, Context } from '@temporalio/activity';
import type { Engine } from './compute/engine';
import { HEARTBEAT_MS } from './heartbeat';
import { Stopped, type StopReason } from './stopped';

export interface StopSignal {
  readonly signal: AbortSignal;
  /** Why the signal fired; undefined while it has not. */
  reason(): StopReason | undefined;
  /** Stops the clock of the timeout; `resume` lets it go on. Either may be called twice. */
  pause(): void;
  resume(): void;
  release(): void;
}

/** Joins the operator's cancel, the stage's timeout and the loss of the order into one signal; heartbeats meanwhile. */
export function stopSignal(timeoutSeconds: number): StopSignal {
  const activity = Context.current();
  const controller = new AbortController();
  let reason: StopReason | undefined;
  const stop = (why: StopReason): void => {
    reason ??= why;
    controller.abort(new Stopped(why));
  };
  const cancelled = (): void => {
    const cause: unknown = activity.cancellationSignal.reason;
    stop(cause instanceof CancelledFailure && cause.message !== 'CANCELLED' ? 'lost' : 'cancelled');
  };
  if (activity.cancellationSignal.aborted) cancelled();
  activity.cancellationSignal.addEventListener('abort', cancelled);
  const beat = setInterval(() => activity.heartbeat(), HEARTBEAT_MS);
  let remainingMs = timeoutSeconds * 1000;
  let running: { readonly timer: NodeJS.Timeout; readonly since: number } | undefined;
  const pause = (): void => {
    if (running === undefined) return;
    clearTimeout(running.timer);
    remainingMs -= performance.now() - running.since;
    running = undefined;
  };
  const resume = (): void => {
    running ??= { timer: setTimeout(() => stop('timeout'), Math.max(0, remainingMs)), since: performance.now() };
  };
  resume();
  return {
    signal: controller.signal,
    reason: () => reason,
    pause,
    resume,
    release() {
      pause();
      clearInterval(beat);
      activity.cancellationSignal.removeEventListener('abort', cancelled);
    },
  };
}

/** The engine, with the wait for a place or a child outside the stage's timeout: that others compute is not the stage's fault. */
export function leasedUntimed(engine: Engine, stop: Pick<StopSignal, 'pause' | 'resume'>): Engine {
  return {
    async place(signal, body) {
      stop.pause();
      try {
        return await engine.place(signal, (placed) => {
          stop.resume();
          return body(leasedUntimed(placed, stop));
        });
      } finally {
        stop.resume();
      }
    },
    async session(limits, signal, body) {
      stop.pause();
      try {
        return await engine.session(limits, signal, (session) => {
          stop.resume();
          return body(session);
        });
      } finally {
        stop.resume();
      }
    },
    close: () => engine.close(),
  };
}
