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

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());
const wait = (ms: number): Promise<void> => jest.advanceTimersByTimeAsync(ms);
const SESSION = {} as EngineSession;

test('a stage is stopped by its timeout', async () => {
  await stopping(0.05, async (stop) => {
    await wait(49);
    expect(stop.signal.aborted).toBe(false);
    await wait(1);
    expect(stop.signal.aborted).toBe(true);
    expect(stop.reason()).toBe('timeout');
  });
});

test('a cancel stops it and is told apart from the timeout', async () => {
  await stopping(30, async (stop, cancel) => {
    cancel();
    expect(stop.signal.aborted).toBe(true);
    expect(stop.reason()).toBe('cancelled');
  });
});

test('a paused clock does not run, and goes on with what was left', async () => {
  await stopping(0.1, async (stop) => {
    await wait(60);
    stop.pause();
    await wait(200);
    stop.resume();
    stop.resume();
    await wait(39);
    expect(stop.reason()).toBeUndefined();
    await wait(1);
    expect(stop.reason()).toBe('timeout');
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
      await wait(100);
      expect(stop.reason()).toBe('timeout');
    });
  });
});

test('the wait for a place is not counted, nor that for a child in it; what is done in the place is', async () => {
  await stopping(0.1, async (stop) => {
    await leasedUntimed(busy, stop).place(stop.signal, async (engine) => {
      await engine.session({ memoryBytes: 1, threads: 1 }, stop.signal, () => Promise.resolve());
      expect(stop.reason()).toBeUndefined();
      await wait(100);
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
    await wait(50);
    expect(stop.reason()).toBe('timeout');
  });
});
