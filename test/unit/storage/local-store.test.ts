import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { toAlmanacError } from '../../../activities/failure';
import { createLocalStore } from '../../../activities/storage/local-store';
import type { ObjectStore } from '../../../activities/storage/object-store';
import { storeContract } from '../../support/store-contract';
import { until } from '../../support/until';

let root: string;
let store: ObjectStore;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'almanac-store-'));
  store = createLocalStore(path.join(root, 'data'));
});
afterEach(() => rmSync(root, { recursive: true }));

storeContract(() => store);

test('lists objects only, unless asked for all that is there', async () => {
  await store.putIfAbsent('a/1', 'x');
  symlinkSync('nowhere', path.join(root, 'data', 'a', '2'));
  expect((await store.list('a/')).map(({ path: name }) => name)).toEqual(['a/1']);
  expect(await store.listAll('a/')).toMatchObject([{ path: 'a/1' }, { path: 'a/2', fault: 'it is a link to nothing' }]);
});

test('what is deleted while it is listed is in no list', async () => {
  const names = Array.from({ length: 300 }, (_, n) => `a/${n}`);
  await Promise.all(names.map((name) => store.putIfAbsent(name, 'x')));
  const deleting = Promise.all(names.map((name) => store.delete(name)));
  for (let n = 0; n < 5; n++) expect((await store.listAll('a')).filter(({ fault }) => fault !== undefined)).toEqual([]);
  await deleting;
});

test('a file where a folder must be is store.unwritable, until it is gone', async () => {
  const taken = path.join(root, 'data');
  writeFileSync(taken, '');
  for (const write of [() => store.scratch(), () => store.putIfAbsent('a/b', 'x')]) {
    const error = toAlmanacError(
      await write().then(
        () => undefined,
        (thrown: unknown) => thrown,
      ),
    );
    expect(error).toMatchObject({ code: 'store.unwritable', message: expect.stringContaining(taken) });
  }
  rmSync(taken);
  await expect(store.putIfAbsent('a/b', 'x')).resolves.toBe(true);
  writeFileSync(path.join(root, 'data', 'datasets'), '');
  const below = toAlmanacError(
    await store.putIfAbsent('datasets/d/x', 'x').then(
      () => undefined,
      (thrown: unknown) => thrown,
    ),
  );
  expect(below).toMatchObject({ code: 'store.unwritable', message: expect.stringContaining('datasets') });
});

test('takes emptied folders along when it deletes', async () => {
  await store.putIfAbsent('datasets/d/w/x.json', 'x');
  await store.delete('datasets/d/w/x.json');
  expect(readdirSync(path.join(root, 'data', 'datasets'))).toEqual([]);
  await expect(store.putIfAbsent('datasets/d/w/x.json', 'again')).resolves.toBe(true);
});

test('a symbolic link out of the root is refused, one within it is followed', async () => {
  mkdirSync(path.join(root, 'outside'));
  writeFileSync(path.join(root, 'outside', 'secret'), 's');
  await store.putIfAbsent('a/real', 'x');
  symlinkSync(path.join(root, 'outside'), path.join(root, 'data', 'out'));
  symlinkSync(path.join(root, 'data', 'a'), path.join(root, 'data', 'in'));
  for (const act of [
    () => store.get('out/secret'),
    () => store.putIfAbsent('out/new', 'x'),
    () => store.list('out'),
    () => store.list('out/deeper'),
    () => store.delete('out/secret'),
  ]) {
    await expect(act()).rejects.toMatchObject({ code: 'store.path' });
  }
  expect((await store.get('in/real'))?.toString()).toBe('x');
  expect(readdirSync(path.join(root, 'outside'))).toEqual(['secret']);
});

describe('an empty scratch folder', () => {
  const HOUR_MS = 3_600_000;
  const longAgo = new Date(Date.now() - 2 * HOUR_MS);
  const anHourAgo = new Date(Date.now() - HOUR_MS);
  afterEach(() => jest.useRealTimers());

  test('is removed once nobody touched it for long; a young one and one that holds a file stay', async () => {
    const [old, young, full] = [await store.scratch(), await store.scratch(), await store.scratch()];
    writeFileSync(path.join(full, 'part.parquet'), 'x');
    for (const folder of [old, full]) utimesSync(folder, longAgo, longAgo);
    expect(await store.removeEmptyScratch(anHourAgo)).toBe(1);
    expect(readdirSync(path.dirname(old)).sort()).toEqual([young, full].map((folder) => path.basename(folder)).sort());
  });

  test('stays young while the process that works in it lives, however long its query computes', async () => {
    jest.useFakeTimers({
      doNotFake: ['Date', 'setTimeout', 'clearTimeout', 'setImmediate', 'nextTick', 'queueMicrotask', 'performance', 'hrtime'],
    });
    const folder = await store.scratch();
    utimesSync(folder, longAgo, longAgo);
    jest.advanceTimersByTime(HOUR_MS / 2);
    await until('the folder is young again', () => statSync(folder).mtime > anHourAgo);
    expect(await store.removeEmptyScratch(anHourAgo)).toBe(0);
  });

  test('is nothing to look for in a store that has none', async () => {
    expect(await store.removeEmptyScratch(new Date())).toBe(0);
  });
});
