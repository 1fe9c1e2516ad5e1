import { eachOf } from '../../../lib/each-of';

test('does each item once, never more at a time than asked for', async () => {
  const done: number[] = [];
  let now = 0;
  let most = 0;
  await eachOf([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
    most = Math.max(most, ++now);
    await new Promise((resolve) => setImmediate(resolve));
    now -= 1;
    done.push(item);
  });
  expect(done.sort()).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect(most).toBe(3);
});

test('begins nothing after a failure, and throws it once what was begun is over', async () => {
  const begun: number[] = [];
  let over = false;
  await expect(
    eachOf([1, 2, 3, 4], 2, async (item) => {
      begun.push(item);
      if (item === 1) throw new Error('the first');
      await new Promise((resolve) => setTimeout(resolve, 20));
      over = true;
    }),
  ).rejects.toThrow('the first');
  expect(begun).toEqual([1, 2]);
  expect(over).toBe(true);
});
