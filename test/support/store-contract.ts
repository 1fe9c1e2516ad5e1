/** What every object store promises, whatever is behind it. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import type { ObjectStore } from '../../activities/storage/object-store';

/** Declares the tests; `store` answers with an empty store of the test that runs. */
export function storeContract(store: () => ObjectStore): void {
  test('an object is put once: of twenty writers one wins, and its bytes stay', async () => {
    const won = await Promise.all(Array.from({ length: 20 }, (_, n) => store().putIfAbsent('a/b/c.json', `writer ${n}`)));
    expect(won.filter(Boolean)).toHaveLength(1);
    expect((await store().get('a/b/c.json'))?.toString()).toBe(`writer ${won.indexOf(true)}`);
    expect(await store().putIfAbsent('a/b/c.json', 'late')).toBe(false);
    expect(await store().list('scratch')).toEqual([]);
  });

  test('a file is adopted once, by moving it; the loser keeps its file', async () => {
    const scratch = await store().scratch();
    const files = ['one', 'two'].map((body) => {
      const file = path.join(scratch, body);
      writeFileSync(file, body);
      return file;
    });
    const won = await store().adoptFile(files[0] ?? '', 'data/x.parquet');
    const lost = await store().adoptFile(files[1] ?? '', 'data/x.parquet');
    expect([won, lost]).toEqual([true, false]);
    expect(readdirSync(scratch)).toEqual(['two']);
    expect((await store().get('data/x.parquet'))?.toString()).toBe('one');
  });

  test('of files that are adopted under one name at once one wins', async () => {
    const scratch = await store().scratch();
    const files = Array.from({ length: 6 }, (_, n) => path.join(scratch, String(n)));
    for (const file of files) writeFileSync(file, file);
    const won = await Promise.all(files.map((file) => store().adoptFile(file, 'data/x.parquet')));
    expect(won.filter(Boolean)).toHaveLength(1);
    expect((await store().get('data/x.parquet'))?.toString()).toBe(files[won.indexOf(true)]);
  });

  test('lists what is below a prefix, sorted, with sizes; a missing prefix holds nothing', async () => {
    await store().putIfAbsent('a/2', 'xx');
    await store().putIfAbsent('a/1/z', 'x');
    await store().putIfAbsent('ab/3', 'x');
    const listed = [
      ['a/1/z', 1],
      ['a/2', 2],
    ];
    for (const prefix of ['a', 'a/']) {
      expect((await store().list(prefix)).map(({ path: name, bytes }) => [name, bytes])).toEqual(listed);
      expect((await store().listAll(prefix)).map(({ path: name, bytes }) => [name, bytes])).toEqual(listed);
    }
    expect(await store().list('nothing')).toEqual([]);
    expect(await store().get('nothing/here')).toBeUndefined();
    expect(await store().get('a/2/below-a-file')).toBeUndefined();
  });

  test('deletes once or twice, after which the name is free', async () => {
    await store().putIfAbsent('datasets/d/w/x.json', 'x');
    await store().delete('datasets/d/w/x.json');
    await store().delete('datasets/d/w/x.json');
    expect(await store().list('datasets')).toEqual([]);
    await expect(store().putIfAbsent('datasets/d/w/x.json', 'again')).resolves.toBe(true);
  });

  test('gives objects as files of this machine, with the endings of their names, and as streams', async () => {
    const bodies = new Map(['landing/a/dt=2026-03-10/x [1].csv.gz', 'landing/ä/x.csv.gz', 'data/empty'].map((name) => [name, name]));
    bodies.set('data/empty', '');
    for (const [name, body] of bodies) await store().putIfAbsent(name, body);
    await using local = await store().localFiles([...bodies.keys()].map((name) => ({ path: name })));
    for (const [name, body] of bodies) {
      expect(readFileSync(local.path(name), 'utf8')).toBe(body);
      expect(path.extname(local.path(name))).toBe(path.extname(name));
      expect(await text(await store().read(name))).toBe(body);
    }
  });

  test('gives no stream to whoever does not want it any more', async () => {
    await store().putIfAbsent('data/x', 'rows');
    const reason = new Error('cancelled by an operator');
    await expect(store().read('data/x', AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(await text(await store().read('data/x', new AbortController().signal))).toBe('rows');
  });

  test('gives one object to many at once, held to the hash on record', async () => {
    await store().putIfAbsent('data/x', 'rows');
    const file = { path: 'data/x', sha256: createHash('sha256').update('rows').digest('hex') };
    const all = await Promise.all(Array.from({ length: 8 }, () => store().localFiles([file])));
    for (const local of all) {
      expect(readFileSync(local.path('data/x'), 'utf8')).toBe('rows');
      await local[Symbol.asyncDispose]();
    }
  });

  test.each(['../x', 'a/../../x', '/etc/hostname', 'a//b', './a', 'a/.', '', 'a\0b', 'a\\..\\b'])(
    'the path %j leaves the root and is refused',
    async (name) => {
      const scratch = await store().scratch();
      for (const act of [
        () => store().putIfAbsent(name, 'x'),
        () => store().get(name),
        () => store().read(name),
        () => store().delete(name),
        () => store().adoptFile(path.join(scratch, 'x'), name),
      ]) {
        await expect(act()).rejects.toMatchObject({ code: 'store.path', class: 'user' });
      }
      expect(() => store().place(name)).toThrow(expect.objectContaining({ code: 'store.path' }));
    },
  );

  test('writers and a sweeper of one folder do not trip over each other', async () => {
    const names = Array.from({ length: 60 }, (_, n) => `datasets/d/w/${n}.json`);
    await Promise.all(
      names.map(async (name) => {
        expect(await store().putIfAbsent(name, 'x')).toBe(true);
        await store().delete(name);
      }),
    );
    expect(await store().list('datasets')).toEqual([]);
  });

  test('an empty scratch folder goes once nobody touched it for long', async () => {
    const folder = await store().scratch();
    expect(await store().removeEmptyScratch(new Date(Date.now() - 3_600_000))).toBe(0);
    expect(await store().removeEmptyScratch(new Date(Date.now() + 3_600_000))).toBe(1);
    expect(() => readdirSync(folder)).toThrow('ENOENT');
  });
}
