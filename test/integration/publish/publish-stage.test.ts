import { EventEmitter, once } from 'node:events';
import { createPublishStage, publishStage } from '../../../activities/publish/publish-stage';
import { migrate } from '../../../lib/migrate';
import type { DatasetSpec, PlanStage, PublishSpec } from '../../../pipelines/types';
import {
  createPublishing,
  DATASETS,
  day,
  PIPELINE,
  stampedRows,
  TABLES,
  type Publishing,
  type PublishingOptions,
} from '../../support/publishing';
import { testDatabase, type TestDatabase } from '../../support/postgres';

interface Rig extends AsyncDisposable {
  readonly database: TestDatabase;
  readonly publishing: Publishing;
}

async function open(options: Omit<PublishingOptions, 'databaseUrl'> = {}): Promise<Rig> {
  const database = await testDatabase();
  await migrate(database.pool);
  const publishing = createPublishing({ databaseUrl: database.url, ...options });
  return {
    database,
    publishing,
    async [Symbol.asyncDispose]() {
      await publishing[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

async function stamps({ database }: Rig): Promise<unknown[]> {
  const { rows } = await database.pool.query<{ stamp: number }>(
    'select distinct stamp from (select stamp from audience_index union all select stamp from audience_segments union all select stamp from audience_pixels) t order by 1',
  );
  return rows.map(({ stamp }) => stamp);
}

async function states({ database }: Rig): Promise<string[]> {
  return (await database.pool.query<{ state: string }>('select state from almanac.publication order by id')).rows.map(({ state }) => state);
}

async function partitions({ database }: Rig): Promise<number> {
  const { rows } = await database.pool.query<{ n: number }>(
    `select count(*)::int as n from pg_class c join pg_namespace s on s.oid = c.relnamespace where s.nspname = 'almanac_live' and relkind = 'r'`,
  );
  return rows[0]?.n ?? -1;
}

/** Another publish stage than the rig's, as a changed declaration would make it. */
function changed(
  rig: Publishing,
  tables: PublishSpec['tables'],
  datasets: Readonly<Record<string, DatasetSpec>> = DATASETS,
): Pick<Parameters<Publishing['context']>[1] & object, 'plan' | 'stage'> {
  const plan = rig.plan();
  const stage: PlanStage = {
    ...plan.stages[0],
    id: 'publish',
    kind: 'publish',
    needs: [],
    timeoutSeconds: 600,
    hash: 'changed',
    spec: { kind: 'publish', mode: 'newest', tables },
  };
  return { plan: { ...plan, datasets, stages: [stage] }, stage };
}

describe('a publication', () => {
  it('moves three tables in one flip and replaces them by the next window', async () => {
    await using rig = await open();
    const { publishing } = rig;
    const flips: [string, number][] = [];
    const body = createPublishStage({ flipped: (pipeline, seconds) => flips.push([pipeline, seconds]) });

    const first = await publishing.publish(body, await publishing.accept(day(0), stampedRows(1)));
    expect(first).toMatchObject({ publication: 1, rowsOut: 53 });
    expect(first.bytesOut).toBeGreaterThan(0);
    expect(await stamps(rig)).toEqual([1]);

    await publishing.publish(body, await publishing.accept(day(1), stampedRows(2)));
    expect(await stamps(rig)).toEqual([2]);
    expect(publishing.logged.at(-1)).toMatch(
      /^publication 2 is live, replacing 1: audience_index 40 rows, audience_segments 8 rows, audience_pixels 5 rows; flip 0\.\d{3} s, lock wait 0\.000 s$/,
    );
    expect(flips.map(([pipeline]) => pipeline)).toEqual([PIPELINE, PIPELINE]);
    const { rows } = await rig.database.pool.query('select state, previous, window_key, gates, audit from almanac.publication order by id');
    expect(rows).toMatchObject([
      { state: 'retired', window_key: day(0) },
      { state: 'live', previous: 1, window_key: day(1), gates: { judge: { status: 'PASS' } }, audit: { audience_index: { rows: 40 } } },
    ]);
  });

  it('is keyed, indexed and analyzed', async () => {
    await using rig = await open();
    await rig.publishing.publish(publishStage, await rig.publishing.accept(day(0), stampedRows(1)));
    const indexes = await rig.database.pool.query(
      `select indexdef from pg_indexes where schemaname = 'almanac_live' and tablename = 'audience_index_p1' order by indexdef`,
    );
    expect(indexes.rows.map(({ indexdef }: { indexdef: string }) => indexdef.replace(/^.* USING /, ''))).toEqual([
      'btree (segment_id)',
      'btree (almanac_publication, pixel_id, segment_id)',
    ]);
    const analyzed = await rig.database.pool.query(`select distinct tablename from pg_stats where schemaname = 'almanac_live' order by 1`);
    expect(analyzed.rows.map(({ tablename }: { tablename: string }) => tablename)).toEqual(
      expect.arrayContaining(['audience_index', 'audience_index_p1', 'audience_pixels', 'audience_segments']),
    );
  });

  it('is adopted when the same accepted set comes again, and computes nothing', async () => {
    await using rig = await open();
    const accepted = await rig.publishing.accept(day(0), stampedRows(1));
    await rig.publishing.publish(publishStage, accepted);
    const again = await rig.publishing.publish(publishStage, accepted, { attempt: 2 });
    expect(again).toMatchObject({ publication: 1, adopted: true, rowsOut: 53, bytesOut: 0 });
    expect(await states(rig)).toEqual(['live']);
  });

  it('keeps grants, dependent views and prepared statements of its readers', async () => {
    await using rig = await open();
    const role = `reader_${Date.now()}`;
    const reader = await rig.database.pool.connect();
    try {
      await rig.publishing.publish(publishStage, await rig.publishing.accept(day(0), stampedRows(1)));
      await rig.database.pool.query(
        `create role ${role}; grant select on audience_index to ${role}; create view dependent as select max(stamp) as stamp from audience_index`,
      );
      await reader.query(`set role ${role}`);
      const prepared = { name: 'newest', text: 'select max(stamp) as stamp from audience_index' };
      expect((await reader.query(prepared)).rows).toEqual([{ stamp: 1 }]);
      await rig.publishing.publish(publishStage, await rig.publishing.accept(day(1), stampedRows(2)));
      expect((await reader.query(prepared)).rows).toEqual([{ stamp: 2 }]);
      expect((await rig.database.pool.query('select stamp from dependent')).rows).toEqual([{ stamp: 2 }]);
    } finally {
      reader.release(true);
      await rig.database.pool.query(`drop owned by ${role}; drop role ${role}`);
    }
  });
});

describe('mode newest', () => {
  it('never lets an older window replace a newer', async () => {
    await using rig = await open();
    const older = await rig.publishing.accept(day(0), stampedRows(1));
    await rig.publishing.publish(publishStage, await rig.publishing.accept(day(1), stampedRows(2)));
    const output = await rig.publishing.publish(publishStage, older);
    expect(output).toMatchObject({ publication: 2, rowsOut: 0 });
    expect(await states(rig)).toEqual(['live', 'superseded']);
    expect(await stamps(rig)).toEqual([2]);
    expect(rig.publishing.logged.at(-1)).toBe(`publication 2 is superseded: publication 1 of window ${day(1)} is live`);
  });

  it('notices a newer window that goes live while it loads', async () => {
    await using rig = await open();
    const older = await rig.publishing.accept(day(0), stampedRows(1));
    const newer = await rig.publishing.accept(day(1), stampedRows(2));
    let overtaken = false;
    const point = async (name: string): Promise<void> => {
      if (name !== 'views-widened' || overtaken) return;
      overtaken = true;
      await rig.publishing.publish(publishStage, newer);
    };
    await rig.publishing.publish(publishStage, older, { point });
    expect(await states(rig)).toEqual(['superseded', 'live']);
    expect(await stamps(rig)).toEqual([2]);
    expect(await partitions(rig)).toBe(3);
  });

  it('moves the pointer only from where it stood: a newer window that goes live within the flip stays', async () => {
    await using rig = await open();
    const older = await rig.publishing.accept(day(0), stampedRows(1));
    const newer = await rig.publishing.accept(day(1), stampedRows(2));
    let overtaken = false;
    const point = async (name: string): Promise<void> => {
      if (name !== 'flip-fenced' || overtaken) return;
      overtaken = true;
      await rig.publishing.publish(publishStage, newer);
    };
    await rig.publishing.publish(publishStage, older, { point });
    expect(await states(rig)).toEqual(['superseded', 'live']);
    expect(await stamps(rig)).toEqual([2]);
  });

  it('replaces a window by its own next generation', async () => {
    await using rig = await open();
    await rig.publishing.publish(publishStage, await rig.publishing.accept(day(0), stampedRows(1), 1));
    await rig.publishing.publish(publishStage, await rig.publishing.accept(day(0), stampedRows(2), 2));
    expect(await stamps(rig)).toEqual([2]);
    expect(await states(rig)).toEqual(['retired', 'live']);
  });
});

describe('the fence', () => {
  it('refuses the flip of a zombie: a newer generation was claimed while it loaded', async () => {
    await using rig = await open();
    await rig.publishing.publish(publishStage, await rig.publishing.accept(day(0), stampedRows(1)));
    const zombie = await rig.publishing.accept(day(1), stampedRows(2));
    const point = async (name: string): Promise<void> => {
      if (name === 'attached')
        await rig.database.pool.query(
          `insert into almanac.run select pipeline, window_key, branch, 2, 'claimed', 'other', plan_hash, pins, bootstrap, origin, matrix, verb, who, reason, temporal_run_id, failure, proof, claimed_at, started_at, changed_at from almanac.run where window_key = $1`,
          [day(1)],
        );
    };
    await expect(rig.publishing.publish(publishStage, zombie, { point })).rejects.toMatchObject({
      code: 'publish.fenced',
      message: expect.stringContaining('generation 2 was claimed since') as string,
    });
    expect(await stamps(rig)).toEqual([1]);
  });

  it.each(['cancelled', 'abandoned', 'lost', 'succeeded'])('refuses a run that is %s', async (state) => {
    await using rig = await open();
    const accepted = await rig.publishing.accept(day(0), stampedRows(1));
    await rig.database.pool.query('update almanac.run set state = $1', [state]);
    await expect(rig.publishing.publish(publishStage, accepted)).rejects.toMatchObject({
      code: 'publish.fenced',
      message: expect.stringContaining(`it is ${state}`) as string,
    });
    expect(await states(rig)).toEqual([]);
  });

  it('lets the later of two racing publishers win, and tells the other', async () => {
    await using rig = await open();
    const accepted = await rig.publishing.accept(day(0), stampedRows(1));
    let taken: unknown;
    const point = async (name: string): Promise<void> => {
      if (name === 'copied:audience_segments') taken = await rig.publishing.publish(publishStage, accepted, { attempt: 2 });
    };
    await expect(rig.publishing.publish(publishStage, accepted, { attempt: 1, point })).rejects.toMatchObject({ code: 'publish.fenced' });
    expect(taken).toMatchObject({ publication: 1 });
    expect(await stamps(rig)).toEqual([1]);
    expect(await partitions(rig)).toBe(3);
    const late = rig.publishing.publish(publishStage, accepted, { attempt: 1 });
    await expect(late).resolves.toMatchObject({ publication: 1, adopted: true });
  });

  it('gives one publication to publishers that start together', async () => {
    await using rig = await open();
    const accepted = await rig.publishing.accept(day(0), stampedRows(1));
    const results = await Promise.allSettled([1, 2, 3, 4].map(() => rig.publishing.publish(publishStage, accepted)));
    const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
    expect(refused.length).toBeLessThan(4);
    for (const reason of refused) expect(reason).toMatchObject({ code: 'publish.fenced' });
    expect(await states(rig)).toEqual(['live']);
    expect(await stamps(rig)).toEqual([1]);
    expect(await partitions(rig)).toBe(3);
  });

  it('refuses the flip of a publisher whose session lives on after its publication was taken over', async () => {
    await using rig = await open();
    await rig.publishing.publish(publishStage, await rig.publishing.accept(day(0), stampedRows(1)));
    const zombie = await rig.publishing.accept(day(1), stampedRows(2));
    const point = async (name: string): Promise<void> => {
      if (name === 'views-widened')
        await rig.database.pool.query('update almanac.publication set fence = gen_random_uuid(), attempt = 2 where id = 2');
    };
    await expect(rig.publishing.publish(publishStage, zombie, { point })).rejects.toMatchObject({
      code: 'publish.fenced',
      message: expect.stringContaining('its fence was taken') as string,
    });
    expect(await stamps(rig)).toEqual([1]);
  });

  it('ends a publisher that froze within its flip, and flips in its place', async () => {
    await using rig = await open();
    const accepted = await rig.publishing.accept(day(0), stampedRows(1));
    const events = new EventEmitter();
    const frozen = once(events, 'frozen');
    const thawed = once(events, 'thawed');
    const point = async (name: string): Promise<void> => {
      if (name !== 'flip-moved') return;
      events.emit('frozen');
      await thawed;
    };
    const zombie = rig.publishing.publish(publishStage, accepted, { point });
    const refusal = expect(zombie).rejects.toMatchObject({ code: 'publish.fenced' });
    await frozen;
    await rig.publishing.publish(publishStage, accepted, { attempt: 2 });
    expect(await stamps(rig)).toEqual([1]);
    events.emit('thawed');
    await refusal;
    expect(await states(rig)).toEqual(['live']);
  });

  it('refuses an attempt that is late', async () => {
    await using rig = await open();
    const accepted = await rig.publishing.accept(day(0), stampedRows(1));
    const stopped = new AbortController();
    const stop = (name: string): Promise<void> => {
      if (name === 'loaded') stopped.abort(new Error('stopped by the test'));
      return Promise.resolve();
    };
    await expect(rig.publishing.publish(publishStage, accepted, { attempt: 2, point: stop, signal: stopped.signal })).rejects.toThrow(
      'stopped by the test',
    );
    await expect(rig.publishing.publish(publishStage, accepted, { attempt: 1 })).rejects.toMatchObject({
      code: 'publish.fenced',
      message: expect.stringContaining('attempt 2 took it over') as string,
    });
  });
});

describe('nothing goes live', () => {
  it('that is not accepted', async () => {
    await using rig = await open();
    const accepted = await rig.publishing.accept(day(0), stampedRows(1));
    const other = { ...accepted, run: { ...accepted.run, window: day(3) } };
    await expect(rig.publishing.publish(publishStage, other)).rejects.toMatchObject({
      code: 'publish.not-accepted',
      message: expect.stringContaining('has no accepted set') as string,
    });
    await rig.publishing.accept(day(0), stampedRows(2), 2);
    await expect(rig.publishing.publish(publishStage, accepted)).rejects.toMatchObject({
      code: 'publish.not-accepted',
      message: expect.stringContaining('is not in accepted set 2') as string,
    });
  });

  it('from a branch', async () => {
    await using rig = await open();
    const accepted = await rig.publishing.accept(day(0), stampedRows(1));
    await expect(rig.publishing.publish(publishStage, { ...accepted, run: { ...accepted.run, branch: 'repair' } })).resolves.toMatchObject({
      rowsOut: 0,
    });
    expect(await states(rig)).toEqual([]);
  });

  it('whose rows in Postgres are not the version’s', async () => {
    await using rig = await open();
    const accepted = await rig.publishing.accept(day(0), stampedRows(1));
    let tampered = false;
    const point = async (name: string): Promise<void> => {
      if (name !== 'analyzed:audience_pixels' || tampered) return;
      tampered = true;
      await rig.database.pool.query(`update almanac_live.audience_pixels_p1 set pixel_name = 'pixel O' where pixel_id = 0`);
    };
    await expect(rig.publishing.publish(publishStage, accepted, { point })).rejects.toMatchObject({
      code: 'publish.audit-failed',
      message: expect.stringContaining('live table audience_pixels of publication 1 has 5 rows') as string,
    });
    expect(await states(rig)).toEqual(['failed']);

    await rig.publishing.publish(publishStage, accepted, { attempt: 2, point });
    expect(await states(rig)).toEqual(['failed', 'live']);
    expect(await partitions(rig)).toBe(3);
  });

  it.each([
    ['repeated', 'select 1::BIGINT as pixel_id, range::VARCHAR as pixel_name, 1::BIGINT as stamp from range(2)', 'is not unique'],
    ['NULL', `select null::BIGINT as pixel_id, 'a' as pixel_name, 1::BIGINT as stamp`, 'is NULL in some row'],
  ])('with a key that is %s', async (_what, pixels, message) => {
    await using rig = await open();
    const accepted = await rig.publishing.accept(day(0), { ...stampedRows(1), pixels });
    await expect(rig.publishing.publish(publishStage, accepted)).rejects.toMatchObject({
      code: 'publish.key-invalid',
      message: `live table audience_pixels: the key (pixel_id) ${message} in dataset pixels`,
      next: `correct the SQL that writes pixels, or the key of audience_pixels; then almanac retry ${PIPELINE}/${day(0)} --stage publish --reason …`,
    });
    expect(await states(rig)).toEqual(['failed']);
  });

  it('for its rows, also when the ledger cannot note that it failed', async () => {
    await using rig = await open();
    const accepted = await rig.publishing.accept(day(0), {
      ...stampedRows(1),
      pixels: `select null::BIGINT as pixel_id, 'a' as pixel_name, 1::BIGINT as stamp`,
    });
    await rig.database.pool.query(
      `create function refuse() returns trigger language plpgsql as $$ begin raise 'the ledger is read-only'; end $$`,
    );
    await rig.database.pool.query(
      `create trigger refuse before insert on almanac.publication_event for each row when (new.event = 'failed') execute function refuse()`,
    );
    await expect(rig.publishing.publish(publishStage, accepted)).rejects.toMatchObject({ code: 'publish.key-invalid' });
    expect(rig.publishing.logged).toContainEqual('publication 1 could not be recorded as failed: the ledger is read-only');
  });

  it('from two publish stages of one pipeline', async () => {
    await using rig = await open();
    const accepted = await rig.publishing.accept(day(0), stampedRows(1));
    const plan = rig.publishing.plan();
    const [stage] = plan.stages;
    if (stage === undefined) throw new Error('no stage');
    await expect(
      rig.publishing.publish(publishStage, accepted, { plan: { ...plan, stages: [stage, { ...stage, id: 'second' }] } }),
    ).rejects.toMatchObject({ code: 'pipeline.invalid' });
  });
});

describe('names in Postgres', () => {
  it.each([
    ['table', 'create table public.audience_segments (id int)'],
    ['view', 'create view public.audience_segments as select 1 as id'],
    ['materialized view', 'create materialized view public.audience_segments as select 1 as id'],
    ['sequence', 'create sequence public.audience_segments'],
  ])('that a %s has are left alone', async (kind, create) => {
    await using rig = await open();
    await rig.database.pool.query(create);
    await expect(rig.publishing.publish(publishStage, await rig.publishing.accept(day(0), stampedRows(1)))).rejects.toMatchObject({
      code: 'publish.name-taken',
      message: `"public"."audience_segments" is a ${kind} that Almanac did not make`,
    });
    expect(await states(rig)).toEqual([]);
  });

  it('belong to the pipeline that published them first', async () => {
    await using rig = await open();
    await rig.publishing.publish(publishStage, await rig.publishing.accept(day(0), stampedRows(1)));
    await using other = createPublishing({ databaseUrl: rig.database.url, pipeline: 'other' });
    await expect(other.publish(publishStage, await other.accept(day(0), stampedRows(2)))).rejects.toMatchObject({
      code: 'publish.name-taken',
      message: `live table audience_index is published by pipeline ${PIPELINE}`,
    });
  });

  it('lie in the first schema of the default search_path', async () => {
    await using rig = await open();
    const name = new URL(rig.database.url).pathname.slice(1);
    await rig.database.pool.query(`create schema reports; alter database ${name} set search_path = reports, public`);
    await using publishing = createPublishing({ databaseUrl: rig.database.url });
    await publishing.publish(publishStage, await publishing.accept(day(0), stampedRows(1)));
    expect((await rig.database.pool.query('select count(*)::int as n from reports.audience_index')).rows).toEqual([{ n: 40 }]);
    await rig.database.pool.query(`drop schema reports cascade; alter database ${name} set search_path = reports`);
    await using nowhere = createPublishing({ databaseUrl: rig.database.url });
    await expect(nowhere.publish(publishStage, await nowhere.accept(day(1), stampedRows(2)))).rejects.toMatchObject({
      code: 'config.invalid',
    });
  });
});

describe('a changed declaration', () => {
  const pixels: DatasetSpec = {
    columns: { pixel_id: 'bigint', pixel_name: 'text', stamp: 'bigint', advertiser: 'text' },
    key: ['pixel_id'],
  };
  const wider = (stamp: number) => ({
    ...stampedRows(stamp),
    pixels: `select range as pixel_id, 'p' || range as pixel_name, ${stamp}::BIGINT as stamp, 'acme' as advertiser from range(5)`,
  });

  it('may append a column: earlier publications show NULL there', async () => {
    await using rig = await open();
    await rig.publishing.publish(publishStage, await rig.publishing.accept(day(0), stampedRows(1)));
    const more = changed(rig.publishing, TABLES, { ...DATASETS, pixels });
    let before: unknown;
    const point = async (name: string): Promise<void> => {
      if (name === 'views-widened') before = (await rig.database.pool.query('select distinct advertiser, stamp from audience_pixels')).rows;
    };
    await rig.publishing.publish(publishStage, await rig.publishing.accept(day(1), wider(2)), { ...more, point });
    expect(before).toEqual([{ advertiser: null, stamp: 1 }]);
    expect((await rig.database.pool.query('select distinct advertiser, stamp from audience_pixels')).rows).toEqual([
      { advertiser: 'acme', stamp: 2 },
    ]);
  });

  it.each([
    ['removes a column', { pixel_id: 'bigint', stamp: 'bigint' }, 'column pixel_name was removed'],
    ['changes a type', { pixel_id: 'bigint', pixel_name: 'bigint', stamp: 'bigint' }, 'column pixel_name was text and became bigint'],
    ['moves a column', { pixel_name: 'text', pixel_id: 'bigint', stamp: 'bigint' }, 'column pixel_name stands where pixel_id stood'],
  ] as const)('is refused when it %s', async (_what, columns, what) => {
    await using rig = await open();
    await rig.publishing.publish(publishStage, await rig.publishing.accept(day(0), stampedRows(1)));
    const more = changed(rig.publishing, TABLES, { ...DATASETS, pixels: { columns, key: ['pixel_id'] } });
    await expect(rig.publishing.publish(publishStage, await rig.publishing.accept(day(1), stampedRows(2)), more)).rejects.toMatchObject({
      code: 'publish.schema-changed',
      message: `live table audience_pixels: ${what}`,
      next: expect.stringContaining('publish under a new name such as audience_pixels_2') as string,
    });
    expect(await stamps(rig)).toEqual([1]);
  });

  it('may leave a table out only when its view is gone', async () => {
    await using rig = await open();
    await rig.publishing.publish(publishStage, await rig.publishing.accept(day(0), stampedRows(1)));
    const { audience_pixels: _left, ...fewer } = TABLES;
    const accepted = await rig.publishing.accept(day(1), stampedRows(2));
    await expect(rig.publishing.publish(publishStage, accepted, changed(rig.publishing, fewer))).rejects.toMatchObject({
      code: 'publish.schema-changed',
      next: 'declare it again, or move its readers and drop view "public"."audience_pixels", then retry',
    });
    await rig.database.pool.query('drop view audience_pixels');
    await rig.publishing.publish(publishStage, accepted, changed(rig.publishing, fewer));
    expect((await rig.database.pool.query('select distinct stamp from audience_index')).rows).toEqual([{ stamp: 2 }]);
  });
});

describe('a lock', () => {
  it('held too long is reported with who holds it, and nothing goes live', async () => {
    await using rig = await open();
    await rig.publishing.publish(publishStage, await rig.publishing.accept(day(0), stampedRows(1)));
    const holder = await rig.database.pool.connect();
    try {
      const { rows } = await holder
        .query<{ pid: number }>(
          'begin; select pg_backend_pid() as pid; lock table almanac_live.audience_index in share update exclusive mode',
        )
        .then((results) => (results as unknown as { rows: { pid: number }[] }[])[1] ?? { rows: [] });
      const pid = rows[0]?.pid ?? 0;
      const waits: number[] = [];
      const body = createPublishStage({ lockDeadlineMs: 300, waitedForLock: (_pipeline, seconds) => waits.push(seconds) });
      const accepted = await rig.publishing.accept(day(1), stampedRows(2));
      await expect(rig.publishing.publish(body, accepted)).rejects.toMatchObject({
        code: 'publish.locked',
        class: 'platform',
        message: expect.stringContaining(`pid ${pid} (almanac, idle in transaction since`) as string,
        next: `end them, for instance select pg_terminate_backend(${pid}); the stage retries by itself`,
        details: { blockingPids: [pid] },
      });
      expect(await stamps(rig)).toEqual([1]);
      await holder.query('rollback');
      await rig.publishing.publish(body, accepted, { attempt: 2 });
      expect(waits).toEqual([0]);
      expect(await stamps(rig)).toEqual([2]);
    } finally {
      holder.release(true);
    }
  });

  it('given up in time costs the publisher a wait, its readers nothing', async () => {
    await using rig = await open();
    await rig.publishing.publish(publishStage, await rig.publishing.accept(day(0), stampedRows(1)));
    const holder = await rig.database.pool.connect();
    await holder.query('begin; lock table almanac_live.audience_index in share update exclusive mode');
    const waits: number[] = [];
    const accepted = await rig.publishing.accept(day(1), stampedRows(2));
    const publishing = rig.publishing.publish(createPublishStage({ waitedForLock: (_pipeline, seconds) => waits.push(seconds) }), accepted);
    // Two waiting statements seen: one try met the timeout.
    const seen = new Set<string>();
    const deadline = Date.now() + 20_000;
    while (seen.size < 2) {
      const { rows } = await rig.database.pool.query<{ began: string }>(
        `select query_start::text as began from pg_stat_activity where application_name = 'almanac publish' and datname = current_database() and wait_event_type = 'Lock'`,
      );
      for (const { began } of rows) seen.add(began);
      if (Date.now() > deadline) throw new Error('the publisher did not wait for the lock twice within 20 s');
    }
    await holder.query('rollback');
    holder.release();
    await publishing;
    expect(waits[0]).toBeGreaterThan(0);
    expect(await stamps(rig)).toEqual([2]);
  });
});

it('stops at once when it is told to, with the reason it was given', async () => {
  await using rig = await open();
  const accepted = await rig.publishing.accept(day(0), stampedRows(1));
  const holder = await rig.database.pool.connect();
  await rig.publishing.publish(publishStage, accepted);
  await holder.query('begin; lock table almanac_live.audience_index in share update exclusive mode');
  const stop = new AbortController();
  const next = await rig.publishing.accept(day(1), stampedRows(2));
  const point = (name: string): Promise<void> => {
    if (name === 'loaded') setImmediate(() => stop.abort(new Error('stopped by the test')));
    return Promise.resolve();
  };
  try {
    await expect(rig.publishing.publish(publishStage, next, { signal: stop.signal, point })).rejects.toThrow('stopped by the test');
  } finally {
    await holder.query('rollback');
    holder.release();
  }
  expect(await stamps(rig)).toEqual([1]);
});
