import pg from 'pg';
import { whileAlone } from '../../../lib/postgres';
import { testDatabase, type TestDatabase } from '../../support/postgres';

const LOCK = 4711;

let database: TestDatabase;
let small: pg.Pool;

beforeAll(async () => {
  database = await testDatabase();
  small = new pg.Pool({ ...database.pool.options, max: 2, connectionTimeoutMillis: 5000 });
});
afterAll(async () => {
  await small.end();
  await database[Symbol.asyncDispose]();
});

test('holders of different names do not wait for the connections that their bodies need', async () => {
  const inside: string[] = [];
  let enter = (): void => undefined;
  const all = new Promise<void>((resolve) => (enter = resolve));
  const names = ['a', 'b', 'c', 'd', 'e'];
  const done = names.map((name) =>
    whileAlone(small, LOCK, name, async () => {
      inside.push(name);
      if (inside.length === names.length) enter();
      await all;
      const { rows } = await small.query<{ name: string }>('select $1::text as name', [name]);
      return rows[0]?.name;
    }),
  );
  expect(await Promise.all(done)).toEqual(names);
});

test('who comes while another holds the name is told so at once; who comes after it runs, whatever became of the first', async () => {
  await whileAlone(small, LOCK, 'one', async () => {
    expect(await whileAlone(small, LOCK, 'one', () => Promise.resolve('ran'))).toBeUndefined();
  });
  await expect(whileAlone(small, LOCK, 'one', () => Promise.reject(new Error('it broke')))).rejects.toThrow('it broke');
  expect(await whileAlone(small, LOCK, 'one', () => Promise.resolve('ran'))).toBe('ran');
});
