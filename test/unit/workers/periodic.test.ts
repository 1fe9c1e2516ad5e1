import { periodically } from '../../../workers/periodic';

test('a failure is told and the work goes on; an abort ends the pause at once', async () => {
  const stop = new AbortController();
  const failures: unknown[] = [];
  let times = 0;
  const work = async (): Promise<void> => {
    times += 1;
    if (times === 1) throw new Error('the store is away');
    setImmediate(() => stop.abort());
  };
  // The second pause would last an hour.
  await Promise.all([
    periodically(1, stop.signal, work, (error) => failures.push(error)),
    periodically(
      3_600_000,
      stop.signal,
      () => Promise.resolve(),
      (error) => failures.push(error),
    ),
  ]);
  expect(times).toBe(2);
  expect(failures).toEqual([new Error('the store is away')]);
});
