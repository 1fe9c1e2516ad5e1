import { publishStage } from '../../../activities/publish/publish-stage';
import { systemClock } from '../../../lib/clock';
import { migrate } from '../../../lib/migrate';
import { packageRoot } from '../../../lib/package-root';
import { loadProject } from '../../../operator/project';
import { listPublications, restorePublication, type RestoreAnswer } from '../../../operator/publications';
import { createPublishing, day, PIPELINE, stampedRows, TABLES, type AcceptedRun, type Publishing } from '../../support/publishing';
import { ownPostgres, type OwnPostgres } from '../../support/own-postgres';
import type { TestDatabase } from '../../support/postgres';

/** This repository's own. */
const project = (): ReturnType<typeof loadProject> => loadProject(packageRoot());

/** What is collected depends on the transactions of the whole server. */
let server: OwnPostgres;
beforeAll(async () => {
  server = await ownPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());

interface Rig extends AsyncDisposable {
  readonly database: TestDatabase;
  readonly publishing: Publishing;
  readonly accepted: AcceptedRun[];
  restore(publication: number, reason?: string): Promise<RestoreAnswer>;
  stamp(): Promise<number>;
}

/** `days` publications, numbered and stamped from 1. */
async function published(days: number): Promise<Rig> {
  const database = await server.database();
  await migrate(database.pool);
  const publishing = createPublishing({ databaseUrl: database.url });
  const accepted: AcceptedRun[] = [];
  for (let i = 1; i <= days; i++) {
    const run = await publishing.accept(day(i), stampedRows(i));
    accepted.push(run);
    await publishing.publish(publishStage, run);
  }
  return {
    database,
    publishing,
    accepted,
    restore: (publication, reason = 'wrong prices') =>
      restorePublication({ database: database.pool, clock: systemClock }, { publication, reason, who: 'ada' }),
    async stamp() {
      const { rows } = await database.pool.query<{ stamp: number }>(
        'select distinct stamp from audience_index join audience_segments using (segment_id, stamp) join audience_pixels using (pixel_id, stamp)',
      );
      return rows.length === 1 ? (rows[0]?.stamp ?? -1) : -1;
    },
    async [Symbol.asyncDispose]() {
      await publishing[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

it('puts an earlier publication back in one flip and withdraws the newer; both say who and why', async () => {
  await using rig = await published(2);
  expect(await rig.restore(1)).toEqual({ pipeline: PIPELINE, live: 1, replaced: 2, did: 'restored' });
  expect(await rig.stamp()).toBe(1);
  const [newer, older] = await listPublications({ database: rig.database.pool, project }, { limit: 10 });
  expect(newer).toMatchObject({ id: 2, state: 'withdrawn', lastRestore: { event: 'withdrawn', who: 'ada', reason: 'wrong prices' } });
  expect(older).toMatchObject({
    id: 1,
    state: 'live',
    replaced: 2,
    run: { pipeline: PIPELINE, window: day(1), generation: 1 },
    gates: { judge: { status: 'PASS' } },
    lastRestore: { event: 'restored', who: 'ada' },
  });
  const { rows } = await rig.database.pool.query('select verb, who, reason, window_key, detail from almanac.action');
  expect(rows).toEqual([
    { verb: 'publish restore', who: 'ada', reason: 'wrong prices', window_key: day(1), detail: { publication: 1, replaced: 2 } },
  ]);
});

it('changes nothing the second time', async () => {
  await using rig = await published(2);
  await rig.restore(1);
  expect(await rig.restore(1)).toEqual({ pipeline: PIPELINE, live: 1, replaced: null, did: 'nothing' });
  expect((await rig.database.pool.query(`select count(*)::int as n from almanac.publication_event where event = 'restored'`)).rows).toEqual(
    [{ n: 1 }],
  );
});

it('leaves a withdrawn publication withdrawn when its own stage runs again', async () => {
  await using rig = await published(2);
  await rig.restore(1);
  const second = rig.accepted[1];
  if (second === undefined) throw new Error('no second run');
  expect(await rig.publishing.publish(publishStage, second, { attempt: 2 })).toMatchObject({ publication: 2, adopted: true });
  expect(await rig.stamp()).toBe(1);
  expect(rig.publishing.logged.at(-1)).toBe(
    'publication 2 of this accepted set is withdrawn already; only a new accepted set or another restore brings it back',
  );
});

it('gives way to a new accepted set of the withdrawn window, and to another restore', async () => {
  await using rig = await published(2);
  await rig.restore(1);
  await rig.restore(2, 'it was right after all');
  expect(await rig.stamp()).toBe(2);
  await rig.restore(1);
  await rig.publishing.publish(publishStage, await rig.publishing.accept(day(2), stampedRows(22), 2));
  expect(await rig.stamp()).toBe(22);
});

it('refuses what is collected, what never was live and what does not exist', async () => {
  await using rig = await published(4);
  await expect(rig.restore(1)).rejects.toMatchObject({
    code: 'publish.collected',
    class: 'refused',
    message: 'the tables of publication 1 were dropped already',
  });
  await rig.publishing.publish(publishStage, await rig.publishing.accept(day(0), stampedRows(9)));
  await expect(rig.restore(5)).rejects.toMatchObject({
    code: 'publish.never-live',
    message: 'publication 5 is superseded and was never live',
  });
  await expect(rig.restore(99)).rejects.toMatchObject({ code: 'publish.unknown', class: 'missing', message: 'there is no publication 99' });
  expect(await rig.stamp()).toBe(4);
});

it('refuses a publication that lacks a table which is live now: its view would fall empty', async () => {
  await using database = await server.database();
  await migrate(database.pool);
  const { audience_pixels: _later, ...fewer } = TABLES;
  await using before = createPublishing({ databaseUrl: database.url, tables: fewer });
  await before.publish(publishStage, await before.accept(day(1), stampedRows(1)));
  await using after = createPublishing({ databaseUrl: database.url, root: before.root });
  await after.publish(publishStage, await after.accept(day(2), stampedRows(2)));
  const restore = (): Promise<RestoreAnswer> =>
    restorePublication({ database: database.pool, clock: systemClock }, { publication: 1, reason: 'wrong prices', who: 'ada' });
  await expect(restore()).rejects.toMatchObject({
    code: 'publish.schema-changed',
    message: 'publication 1 has no table audience_pixels, which is live now',
  });
  await database.pool.query('drop view audience_pixels');
  expect(await restore()).toMatchObject({ live: 1, replaced: 2 });
});

it('survives a race of restores and publishers: each reader sees whole publications, one is live', async () => {
  await using rig = await published(3);
  const next = await rig.publishing.accept(day(4), stampedRows(4));
  const seen = new Set<number>();
  let done = false;
  const watch = (async () => {
    while (!done) seen.add(await rig.stamp());
  })();
  await Promise.all([rig.restore(1), rig.restore(2), rig.restore(1), rig.publishing.publish(publishStage, next)]);
  done = true;
  await watch;
  expect([...seen].every((stamp) => stamp >= 1 && stamp <= 4)).toBe(true);
  const { rows } = await rig.database.pool.query<{ id: number; publication: number }>(
    `select p.id, l.publication from almanac.publication p, almanac.live l where p.state = 'live'`,
  );
  expect(rows).toHaveLength(1);
  expect(rows[0]?.id).toBe(rows[0]?.publication);
});

it('lists live and restorable publications, and with all those that are gone', async () => {
  await using rig = await published(4);
  const ids = async (all: boolean): Promise<number[]> =>
    (await listPublications({ database: rig.database.pool, project }, { all, limit: 10, pipeline: PIPELINE })).map(({ id }) => id);
  expect(await ids(false)).toEqual([4, 3, 2]);
  expect(await ids(true)).toEqual([4, 3, 2, 1]);
  await expect(listPublications({ database: rig.database.pool, project }, { pipeline: 'other', limit: 10 })).rejects.toMatchObject({
    code: 'pipeline.unknown',
  });
});
