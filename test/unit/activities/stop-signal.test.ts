import { MockActivityEnvironment } from '@temporalio/testing';
import type { Engine, EngineSession } from '../../../activities/compute/engine';
import { leasedUntimed, stopSignal, type StopSignal } from '../../../activities/stop-signal';

/** Runs `body` inside an activity with a stop signal of its own. */
async function stopping<T>(timeoutSeconds: number, body: (stop: StopSignal, cancel: () => void) => Promise<T>): Promise<T> {
  const environment = new MockActivityEnvironment();
  return environment.run(async () => {
    const stop = stopSignal(timeoutSeconds);
    try {
      return await body(stop, () => environment.cancel());
    } finally {
      stop.release();
    }
  });
}

function fired(stop: StopSignal): Promise<void> {
  return new Promise((resolve) => stop.signal.addEventListener('abort', () => resolve()));
}

/** Milliseconds until `work` settles. */
async function lasted(work: Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work;
  return performance.now() - begun;
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const SESSION = {} as EngineSession;

test('a stage is stopped by its timeout', async () => {
  await stopping(0.05, async (stop) => {
    await fired(stop);
    expect(stop.reason()).toBe('timeout');
  });
});

test('a cancel stops it and is told apart from the timeout', async () => {
  await stopping(30, async (stop, cancel) => {
    setTimeout(cancel, 10);
    await fired(stop);
    expect(stop.reason()).toBe('cancelled');
  });
});

test('a paused clock does not run, and goes on with what was left', async () => {
  await stopping(0.1, async (stop) => {
    stop.pause();
    await wait(200);
    expect(stop.reason()).toBeUndefined();
    stop.resume();
    stop.resume();
    expect(await lasted(fired(stop))).toBeLessThan(190);
  });
});

/** Waits for others before it does anything. */
const busy: Engine = {
  async session(_limits, _signal, body) {
    await wait(200);
    return body(SESSION);
  },
  async place(_signal, body) {
    await wait(200);
    return body(busy);
  },
  close: () => Promise.resolve(),
};

test('the wait for a child is not counted; what is done with it is', async () => {
  await stopping(0.1, async (stop) => {
    await leasedUntimed(busy, stop).session({ memoryBytes: 1, threads: 1 }, stop.signal, async (session) => {
      expect(session).toBe(SESSION);
      expect(stop.reason()).toBeUndefined();
      await fired(stop);
      expect(stop.reason()).toBe('timeout');
    });
  });
});

test('the wait for a place is not counted, nor that for a child in it; what is done in the place is', async () => {
  await stopping(0.1, async (stop) => {
    await leasedUntimed(busy, stop).place(stop.signal, async (engine) => {
      await engine.session({ memoryBytes: 1, threads: 1 }, stop.signal, () => Promise.resolve());
      expect(stop.reason()).toBeUndefined();
      await fired(stop);
      expect(stop.reason()).toBe('timeout');
    });
  });
});

test('a wait that fails sets the clock going again', async () => {
  const refused = (): Promise<never> => Promise.reject(new Error('the engine is closed'));
  const closed: Engine = { session: refused, place: refused, close: () => Promise.resolve() };
  await stopping(0.05, async (stop) => {
    await expect(
      leasedUntimed(closed, stop).session({ memoryBytes: 1, threads: 1 }, stop.signal, () => Promise.resolve()),
    ).rejects.toThrow();
    await fired(stop);
    expect(stop.reason()).toBe('timeout');
  });
});
