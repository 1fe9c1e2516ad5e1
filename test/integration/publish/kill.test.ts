import { publishStage } from '../../../activities/publish/publish-stage';
import { migrate } from '../../../lib/migrate';
import { runPublisher } from '../../support/killed-publisher';
import { createPublishing, day, stampedRows, type AcceptedRun, type Publishing } from '../../support/publishing';
import { ownPostgres, type OwnPostgres } from '../../support/own-postgres';
import type { TestDatabase } from '../../support/postgres';
import { Random } from '../../support/random';

/** Seeded kills in a row; `npm run test:chaos` asks for more. */
const KILLS = Number(process.env.ALMANAC_TEST_KILLS ?? '3');
const SEED = Number(process.env.ALMANAC_TEST_SEED ?? '20111209');
const ROWS = 40;

/** What is collected depends on the transactions of the whole server. */
let server: OwnPostgres;
beforeAll(async () => {
  server = await ownPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());

interface Rig extends AsyncDisposable {
  readonly database: TestDatabase;
  readonly publishing: Publishing;
  /** Accepts the next window; its stamp is its number. */
  next(): Promise<{ accepted: AcceptedRun; stamp: number }>;
  kill(accepted: AcceptedRun, attempt: number, killAfter: number | null): ReturnType<typeof runPublisher>;
  /** What a reader who joins all three tables sees: one whole publication, or it throws. */
  live(): Promise<number>;
  /** Partitions and publications there should be after a collection, and nothing else. */
  expectTidy(stamp: number): Promise<void>;
}

async function open(): Promise<Rig> {
  const database = await server.database();
  await migrate(database.pool);
  const publishing = createPublishing({ databaseUrl: database.url });
  let stamp = 0;
  const rig: Rig = {
    database,
    publishing,
    async next() {
      stamp++;
      return { accepted: await publishing.accept(day(stamp), stampedRows(stamp)), stamp };
    },
    kill: (accepted, attempt, killAfter) =>
      runPublisher({ databaseUrl: database.url, root: publishing.root, accepted, attempt, killAfter }),
    async live() {
      const { rows } = await database.pool.query<{ rows: number; low: number; high: number }>(
        `select count(*)::int as "rows", min(least(i.stamp, s.stamp, p.stamp)) as low, max(greatest(i.stamp, s.stamp, p.stamp)) as high
         from audience_index i join audience_segments s using (segment_id) join audience_pixels p using (pixel_id)`,
      );
      const row = rows[0];
      if (row?.rows !== ROWS || row.low !== row.high) throw new Error(`a reader saw ${JSON.stringify(row)}`);
      return row.low;
    },
    async expectTidy(live) {
      expect(await rig.live()).toBe(live);
      const { rows } = await database.pool.query<{ name: string; publication: string | null }>(
        `select c.relname as name, substring(c.relname from '_p([0-9]+)$') as publication from pg_class c where c.relnamespace = 'almanac_live'::regnamespace and c.relkind = 'r' order by 1`,
      );
      const kept = (
        await database.pool.query<{ id: number }>(`select id from almanac.publication where state in ('live', 'retired', 'withdrawn')`)
      ).rows.map(({ id }) => String(id));
      expect(kept.length).toBeLessThanOrEqual(3);
      expect(rows.map(({ name }) => name).sort()).toEqual(
        kept.flatMap((id) => ['audience_index', 'audience_pixels', 'audience_segments'].map((table) => `${table}_p${id}`)).sort(),
      );
      expect(
        (await database.pool.query(`select id from almanac.publication where state in ('loading', 'loaded', 'attached')`)).rows,
      ).toEqual([]);
    },
    async [Symbol.asyncDispose]() {
      await publishing[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
  return rig;
}

/** Reads on and on while `body` runs; any read that is not one whole publication, old or new, fails. */
async function underReaders(rig: Rig, body: () => Promise<void>): Promise<void> {
  let reading = true;
  let before = await rig.live();
  const reader = (async () => {
    while (reading) {
      const seen = await rig.live();
      if (seen < before) throw new Error(`a reader went back from ${before} to ${seen}`);
      before = seen;
    }
  })();
  await Promise.all([body().finally(() => (reading = false)), reader]);
}

it('converges after a SIGKILL at every point between two statements', async () => {
  await using rig = await open();
  for (let i = 0; i < 3; i++) await rig.publishing.publish(publishStage, (await rig.next()).accepted);
  const undisturbed = await rig.kill((await rig.next()).accepted, 1, null);
  expect(undisturbed).toMatchObject({ killed: false, publication: 4 });
  expect(new Set(undisturbed.passed)).toEqual(new Set(expectedPoints()));

  const reached = new Set<string>();
  await underReaders(rig, async () => {
    for (const [at, name] of undisturbed.passed.entries()) {
      // Points repeat while collecting; each name once is each statement once.
      if (reached.has(name)) continue;
      const { accepted, stamp } = await rig.next();
      const end = await rig.kill(accepted, 1, at);
      expect(end).toMatchObject({ killed: true });
      reached.add(end.passed.at(-1) ?? '');
      expect([stamp - 1, stamp]).toContain(await rig.live());
      await rig.publishing.publish(publishStage, accepted, { attempt: 2 });
      await rig.expectTidy(stamp);
    }
  });
  expect(reached).toEqual(new Set(undisturbed.passed));
}, 600_000);

it(
  `converges after ${KILLS} seeded kills in a row of one publication`,
  async () => {
    await using rig = await open();
    const random = new Random(SEED);
    for (let i = 0; i < 3; i++) await rig.publishing.publish(publishStage, (await rig.next()).accepted);
    const { accepted, stamp } = await rig.next();
    await underReaders(rig, async () => {
      for (let attempt = 1; attempt <= KILLS; attempt++) await rig.kill(accepted, attempt, random.below(40));
      await rig.publishing.publish(publishStage, accepted, { attempt: KILLS + 1 });
    });
    await rig.expectTidy(stamp);
  },
  60_000 + KILLS * 10_000,
);

function expectedPoints(): string[] {
  const tables = ['audience_index', 'audience_segments', 'audience_pixels'];
  return [
    ...['parents-prepared', 'opened', 'loaded', 'attached', 'views-widened', 'flip-fenced', 'flip-moved', 'flip-committing', 'flipped'],
    ...tables.flatMap((table) =>
      ['exported', 'created', 'copied', 'keyed', 'indexed', 'loaded', 'analyzed', 'audited', 'attached', 'parent-analyzed'].map(
        (step) => `${step}:${table}`,
      ),
    ),
    ...['collect-begun', 'collect-marked', 'collect-detached', 'collect-dropped'],
  ];
}
