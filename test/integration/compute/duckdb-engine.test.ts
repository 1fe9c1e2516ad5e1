import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isAlive } from '../../../activities/compute/child-identity';
import { createDuckDbEngine } from '../../../activities/compute/duckdb-engine';
import type { ChildIdentity, Engine, EngineSession } from '../../../activities/compute/engine';
import { until } from '../../support/until';

const LIMITS = { memoryBytes: 512e6, threads: 2 };
/** Runs for minutes on any machine, in memory of a few kilobytes. */
const ENDLESS = 'select sum(hash(a.range * b.range)) from range(10000000) a, range(1000000) b';
const forever = new AbortController().signal;

let scratch: string;
let engine: Engine;
const seen: ChildIdentity[] = [];

beforeEach(() => {
  scratch = mkdtempSync(path.join(tmpdir(), 'almanac-engine-'));
  engine = createDuckDbEngine({ scratch, maxChildren: 2 });
  seen.length = 0;
});

afterEach(async () => {
  await engine.close();
  expect(seen.filter(isAlive)).toEqual([]);
  expect(readdirSync(scratch)).toEqual([]);
  rmSync(scratch, { recursive: true });
});

function session<T>(
  body: (session: EngineSession) => Promise<T>,
  options: { limits?: typeof LIMITS; signal?: AbortSignal } = {},
): Promise<T> {
  return engine.session(options.limits ?? LIMITS, options.signal ?? forever, (leased) => {
    seen.push(leased.child);
    return body(leased);
  });
}

/** Waits until the first child has computed for a fifth of a second: its query runs. */
async function busy(): Promise<void> {
  await until('a session has begun', () => seen.length > 0);
  const ticks = (): number => {
    const stat = readFileSync(`/proc/${seen[0]?.pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[11]);
  };
  const begun = ticks();
  await until('the query runs', () => ticks() >= begun + 20);
}

/** Settles the session as data, so that a test may look at the failure. */
async function failure(work: Promise<unknown>): Promise<Record<string, unknown>> {
  return work.then(
    () => ({ code: 'none' }),
    (error: Error) => ({ ...error, message: error.message }),
  );
}

describe('a session', () => {
  test('answers rows as JSON: big numbers as strings, instants in UTC', async () => {
    const rows = await session((s) =>
      s.rows(`select 9007199254740993 as big, 1::integer as small, 1.50::decimal(9, 2) as exact, 0.5::double as real, null::text as nothing,
        timestamp '2026-11-20 01:02:03.004' as at, timestamp '1969-12-31 23:59:59.999999' as fine, timestamptz '2026-01-01 01:00:00+01' as zoned, date '2026-11-20' as day`),
    );
    expect(rows).toEqual([
      {
        big: '9007199254740993',
        small: 1,
        exact: '1.50',
        real: 0.5,
        nothing: null,
        at: '2026-11-20T01:02:03.004Z',
        fine: '1969-12-31T23:59:59.999999Z',
        zoned: '2026-01-01T00:00:00.000Z',
        day: '2026-11-20',
      },
    ]);
  });

  test('returns at most the rows asked for', async () => {
    const rows = await session((s) => s.rows('select range as n from range(100000)', 3));
    expect(rows).toHaveLength(3);
  });

  test('reports seconds, cpu and the peak memory of this lease only', async () => {
    const heavy = await session(async (s) => {
      await s.exec('create table t as select hash(range)::text as v from range(5000000)');
      return s.usage();
    });
    const light = await session(async (s) => {
      await s.exec('select 1');
      return s.usage();
    });
    expect(seen[0]).toEqual(seen[1]);
    expect(heavy.cpuSeconds).toBeGreaterThan(0);
    expect(heavy.seconds).toBeGreaterThan(light.seconds);
    expect(heavy.peakMemoryBytes).toBeGreaterThan(light.peakMemoryBytes + 50e6);
  });

  test('finds nothing of the lease before it: no tables, no settings, no files', async () => {
    const first = await session(async (s) => {
      await s.exec("create table leftover as select 1; set threads = 1; set TimeZone = 'Asia/Tokyo'");
      return s.child;
    });
    const [settings] = await session((s) =>
      s.rows(
        "select current_setting('threads')::text as threads, current_setting('TimeZone') as zone, (select count(*) from duckdb_tables()) as tables",
      ),
    );
    expect(seen[1]).toEqual(first);
    expect(settings).toEqual({ threads: '2', zone: 'UTC', tables: '0' });
  });

  test('computes in the place that is kept for it, one after another; those without wait for its end, and may give up', async () => {
    const single = createDuckDbEngine({ scratch, maxChildren: 1 });
    const order: string[] = [];
    const one = (of: Engine, name: string): Promise<void> =>
      of.session(LIMITS, forever, async (s) => {
        await s.exec('select 1');
        order.push(name);
      });
    const impatient = new AbortController();
    let other: Promise<void> = Promise.resolve();
    await single.place(forever, async (placed) => {
      other = one(single, 'other');
      const gaveUp = failure(single.place(impatient.signal, () => Promise.resolve()));
      await one(placed, 'first');
      await one(placed, 'second');
      impatient.abort(new Error('no longer wanted'));
      expect(await gaveUp).toMatchObject({ message: 'no longer wanted' });
    });
    await other;
    expect(order).toEqual(['first', 'second', 'other']);
    await single.close();
  });

  test('in a kept place that another one computes in takes a place of its own', async () => {
    await engine.place(forever, (placed) =>
      placed.session(LIMITS, forever, () => placed.session(LIMITS, forever, (s) => s.exec('select 1'))),
    );
  });

  test('waits its turn when all children are leased, and gives up its turn when aborted', async () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const holders = [session(() => gate), session(() => gate)];
    const impatient = new AbortController();
    const waiting = failure(session((s) => s.exec('select 1'), { signal: impatient.signal }));
    impatient.abort(new Error('no longer wanted'));
    expect(await waiting).toMatchObject({ message: 'no longer wanted' });
    const third = session((s) => s.rows('select 1::integer as one'));
    release();
    await Promise.all(holders);
    expect(await third).toEqual([{ one: 1 }]);
  });
});

describe('a statement that fails', () => {
  test("names the author's file and line, whatever was put around the text", async () => {
    const text = 'select 1 as one,\n  no_such_column\nfrom range(3)';
    const error = await failure(session((s) => s.exec(`create table out as\n${text}`, { name: 'update-udb.sql', linesBefore: 1 })));
    expect(error).toMatchObject({ code: 'engine.sql', details: { statement: 'update-udb.sql', line: 2 } });
    expect(error.message).toContain('update-udb.sql line 2: Binder Error');
    expect(error.message).toContain('no_such_column');
    expect(error.next).toContain('update-udb.sql at line 2');
  });

  test('is engine.memory when the limit is too small, and the next lease works', async () => {
    const greedy = (s: EngineSession): Promise<unknown> => s.rows('select list(hash(range)::text) as all from range(20000000)', 1);
    const error = await failure(session(greedy, { limits: { memoryBytes: 100e6, threads: 2 } }));
    expect(error).toMatchObject({ code: 'engine.memory', details: { memoryBytes: 100e6 } });
    expect(await session((s) => s.rows('select 1::integer as one'))).toEqual([{ one: 1 }]);
  });

  test('is engine.disk when there is no room to spill', async () => {
    const error = await failure(
      session(
        async (s) => {
          await s.exec("set max_temp_directory_size = '10MB'");
          await s.exec('create table t as select hash(range)::text as v from range(20000000)');
        },
        { limits: { memoryBytes: 100e6, threads: 2 } },
      ),
    );
    expect(error).toMatchObject({ code: 'engine.disk' });
  });

  test('is engine.disk when the disk is full under a file it writes', async () => {
    const error = await failure(session((s) => s.exec("copy (select range from range(1000000)) to '/dev/full' (format csv)")));
    expect(error).toMatchObject({ code: 'engine.disk' });
  });

  test('installs and loads no extension from elsewhere', async () => {
    const error = await failure(session((s) => s.exec('load httpfs')));
    expect(error).toMatchObject({ code: 'engine.sql' });
  });
});

describe('a confined session', () => {
  let inside: string;
  beforeEach(() => {
    inside = path.join(scratch, 'inside');
    mkdirSync(path.join(inside, 'out'), { recursive: true });
    mkdirSync(path.join(inside, 'out-of-it'));
    for (const name of ['mine.csv', 'other.csv', 'out-of-it/x.csv']) writeFileSync(path.join(inside, name), 'a\n1\n');
  });
  afterEach(() => rmSync(inside, { recursive: true }));

  const file = (name: string): string => `'${path.join(inside, name)}'`;
  const confined = (sql: string): Promise<Record<string, unknown>> =>
    failure(
      session(async (s) => {
        await s.confine({ files: [path.join(inside, 'mine.csv')], folders: [path.join(inside, 'out')] });
        await s.exec(sql, { name: 'report.sql' });
      }),
    );

  test.each<[string, () => string]>([
    ['read a file of the host', () => "from read_text('/etc/passwd')"],
    ['read its own environment', () => "from read_text('/proc/self/environ')"],
    ['read by a bare name', () => `from ${file('other.csv')}`],
    ['read CSV beside its inputs', () => `from read_csv(${file('other.csv')})`],
    ['read past its folder', () => `from read_csv(${file('out/../other.csv')})`],
    ['read a namesake of its folder', () => `from read_csv(${file('out-of-it/x.csv')})`],
    ['sniff', () => `from sniff_csv(${file('other.csv')})`],
    ['list a folder', () => "from glob('/etc/*')"],
    ['read over the net', () => "from read_parquet('s3://bucket/x.parquet')"],
    ['write beside its folder', () => `copy (select 1) to ${file('stolen.csv')}`],
    ['write over its inputs', () => `copy (select 1) to ${file('mine.csv')}`],
    ['attach a database', () => `attach ${file('x.db')}`],
    ['export', () => `export database ${file('dump')}`],
    ['install an extension', () => 'install httpfs'],
    ['load an extension', () => 'load httpfs'],
    ['open itself again', () => 'set enable_external_access = true'],
    ['widen its memory', () => "set memory_limit = '100GB'"],
    ['forget its limits', () => 'reset allowed_directories'],
  ])('cannot %s', async (_what, sql) => {
    const error = await confined(sql());
    expect(error).toMatchObject({ code: 'engine.forbidden', message: expect.stringMatching(/^report\.sql.*: a stage may not /) });
    expect(error['next']).toContain('report.sql');
  });

  test('has no function that tells the environment', async () => {
    expect(await confined("select getenv('HOME')")).toMatchObject({ code: 'engine.sql' });
  });

  test('reads its inputs, writes and reads its folder, and spills', async () => {
    await session(
      async (s) => {
        await s.confine({ files: [path.join(inside, 'mine.csv')], folders: [path.join(inside, 'out')] });
        await s.exec(`copy (from read_csv(${file('mine.csv')})) to ${file('out/a.parquet')}`);
        expect(await s.rows(`select a::integer as a from read_parquet(${file('out/a.parquet')})`)).toEqual([{ a: 1 }]);
        await s.exec('create table t as select hash(range)::text as v from range(4000000)');
        expect(await s.rows('select count(distinct v)::integer as n from t')).toEqual([{ n: 4000000 }]);
      },
      { limits: { memoryBytes: 100e6, threads: 2 } },
    );
  });

  test('leaves the next lease of its child open', async () => {
    await confined('select 1');
    expect(await session((s) => s.rows(`from ${file('other.csv')}`))).toHaveLength(1);
    expect(seen[1]).toEqual(seen[0]);
  });
});

describe('an abort', () => {
  test('stops the running query and throws its own reason; the child serves on', async () => {
    const cancel = new AbortController();
    const work = failure(session((s) => s.exec(ENDLESS), { signal: cancel.signal }));
    await busy();
    cancel.abort(new Error('cancelled by anna'));
    expect(await work).toMatchObject({ message: 'cancelled by anna' });
    // The same child: it answered before the five seconds after which a child is killed.
    await session((s) => s.exec('select 1'));
    expect(seen[1]).toEqual(seen[0]);
  });

  test('that comes before the statement has begun is not lost', async () => {
    for (let i = 0; i < 20; i++) {
      const cancel = new AbortController();
      const work = failure(
        session(
          (s) => {
            const running = s.exec(ENDLESS);
            // From before the child has read the statement to after DuckDB has begun it.
            setTimeout(() => cancel.abort(new Error('at once')), i / 4);
            return running;
          },
          { signal: cancel.signal },
        ),
      );
      expect(await work).toMatchObject({ message: 'at once' });
      // Nor does it outlive its lease: the next one of the same child is not interrupted.
      expect(await session((s) => s.rows('select count(*)::integer as n from range(1000000)'))).toEqual([{ n: 1000000 }]);
    }
  });

  test('kills a frozen child after five seconds, and it is dead when the session throws', async () => {
    const cancel = new AbortController();
    const work = failure(session((s) => s.exec(ENDLESS), { signal: cancel.signal }));
    await busy();
    const child = seen[0] as ChildIdentity;
    process.kill(child.pid, 'SIGSTOP');
    expect(isAlive(child)).toBe(true);
    const aborted = performance.now();
    cancel.abort(new Error('cancelled'));
    expect(await work).toMatchObject({ message: 'cancelled' });
    expect(performance.now() - aborted).toBeGreaterThan(4_500);
    expect(isAlive(child)).toBe(false);
    expect(await session((s) => s.rows('select 1::integer as one'))).toEqual([{ one: 1 }]);
  }, 30_000);
});

describe('a child that dies', () => {
  test('in the middle of a query is engine.lost, not a hang, and another takes its place', async () => {
    const work = failure(session((s) => s.exec(ENDLESS, { name: 'report.sql' })));
    await busy();
    process.kill((seen[0] as ChildIdentity).pid, 'SIGKILL');
    const error = await work;
    expect(error).toMatchObject({ code: 'engine.lost', details: { statement: 'report.sql' } });
    expect(error.message).toContain('SIGKILL');
    expect(await session((s) => s.rows('select 1::integer as one'))).toEqual([{ one: 1 }]);
    expect(seen[1]?.pid).not.toBe(seen[0]?.pid);
  });

  test('while idle is replaced unseen', async () => {
    await session((s) => s.exec('select 1'));
    const child = seen[0] as ChildIdentity;
    process.kill(child.pid, 'SIGKILL');
    await until('the idle child is gone', () => !isAlive(child));
    expect(await session((s) => s.rows('select 1::integer as one'))).toEqual([{ one: 1 }]);
  });
});

describe('the end', () => {
  test('close kills children in the middle of a query', async () => {
    const work = failure(session((s) => s.exec(ENDLESS)));
    await busy();
    await engine.close();
    expect(isAlive(seen[0] as ChildIdentity)).toBe(false);
    expect(await work).toMatchObject({ code: 'engine.lost' });
  });

  test('of the parent ends its children too, running queries and all, and their litter is swept', async () => {
    const jiti = require.resolve('jiti');
    const enginePath = require.resolve('../../../activities/compute/duckdb-engine');
    const script = path.join(scratch, 'parent.cjs');
    writeFileSync(
      script,
      `
      const { createDuckDbEngine } = require(${JSON.stringify(jiti)}).createJiti(__filename)(${JSON.stringify(enginePath)});
      const engine = createDuckDbEngine({ scratch: ${JSON.stringify(scratch)}, maxChildren: 1 });
      engine.session({ memoryBytes: 5e8, threads: 2 }, new AbortController().signal, (s) => {
        console.log(JSON.stringify(s.child));
        return s.exec(${JSON.stringify(ENDLESS)});
      });`,
    );
    const parent = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const orphan = JSON.parse(line.toString()) as ChildIdentity;
    seen.push(orphan);
    await busy();
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    await until('the orphan is gone', () => !isAlive(orphan));
    rmSync(script);
    mkdirSync(path.join(scratch, 'someone-elses'));
    const next = createDuckDbEngine({ scratch, maxChildren: 1 });
    expect(existsSync(path.join(scratch, 'someone-elses'))).toBe(true);
    await next.close();
    rmSync(path.join(scratch, 'someone-elses'), { recursive: true });
  }, 30_000);
});
