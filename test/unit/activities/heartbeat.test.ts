import { MockActivityEnvironment } from '@temporalio/testing';
import { heartbeating } from '../../../activities/heartbeat';
import { until } from '../../support/until';

test('an activity that waits for something slow heartbeats while it waits, and not after', async () => {
  const environment = new MockActivityEnvironment();
  let beats = 0;
  environment.on('heartbeat', () => (beats += 1));
  const answer = await environment.run(() =>
    heartbeating(async () => {
      await until('it has heartbeated', () => beats > 0, 10_000);
      return 'done';
    }),
  );
  expect(answer).toBe('done');
  const after = beats;
  await new Promise((resolve) => setTimeout(resolve, 1000));
  expect(beats).toBe(after);
});
