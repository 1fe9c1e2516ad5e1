import { startRun } from '../../operator/runs/start';
import { waitForRun } from '../../operator/runs/wait';
import { openSession, type OperatorSession } from '../../operator/session';
import { packageRoot } from '../../lib/package-root';
import { expectation, expectRows, memberText, sorted } from '../support/audience-expectation';
import type { AudienceEvent, AudienceRow, Membership } from '../support/audience-reference';
import { testDuckDb } from '../support/duckdb';
import { EmbeddedStack } from '../support/embedded-stack';
import { writeLanding } from '../support/landing-files';
import { randomLanding, type RandomLanding } from '../support/random-landing';

/** Seventy for the whole property; fewer for a quick look. Gaps of 30 days need more than 31. */
const DAYS = Number(process.env.ALMANAC_TEST_DAYS ?? 70);
const SEED = Number(process.env.ALMANAC_TEST_SEED ?? Date.now() % 1_000_000);

jest.setTimeout(900_000);

let stack: EmbeddedStack;
let session: OperatorSession;
let landing: RandomLanding;

beforeAll(async () => {
  stack = await EmbeddedStack.start();
  landing = randomLanding(SEED, DAYS);
  await writeLanding(landing, stack.data);
  process.env.ALMANAC_HOME = stack.home;
  session = await openSession(packageRoot());
});
afterAll(async () => {
  delete process.env.ALMANAC_HOME;
  await session?.close();
  await stack?.[Symbol.asyncDispose]();
});

async function run(window: string, more: { again?: boolean; bootstrap?: boolean } = {}): Promise<void> {
  const { run: ref } = await startRun(session, { pipeline: 'audience-index', window, ...more });
  const row = await waitForRun(session.database, ref);
  if (row.state !== 'succeeded') throw new Error(`${window} (seed ${SEED}): ${row.state} ${JSON.stringify(row.failure)}`);
}

async function liveRows(): Promise<(AudienceRow & { asOf: string })[]> {
  const { rows } = await session.database.query<AudienceRow & { asOf: string }>(
    `select pixel_id as pixel, segment_id as segment, segment_group as "group", users_segment_pixel as "usersSegmentPixel",
       users_group_pixel as "usersGroupPixel", users_segment as "usersSegment", users_group as "usersGroup",
       "index", index_low as low, index_high as high, as_of::text as "asOf" from audience_index`,
  );
  return rows;
}

async function liveNames(table: 'audience_segments' | 'audience_pixels'): Promise<Map<number, readonly [string, string]>> {
  const columns =
    table === 'audience_segments'
      ? 'segment_id as id, segment_name as name, segment_group as family'
      : 'pixel_id as id, pixel_name as name, advertiser as family';
  const { rows } = await session.database.query<{ id: number; name: string; family: string }>(`select ${columns} from ${table}`);
  return new Map(rows.map(({ id, name, family }) => [id, [name, family] as const]));
}

/** The rows of an accepted state, read from its files. */
async function members(window: string, dataset: 'udb' | 'site', id: string, first: string, last: string): Promise<Membership[]> {
  const accepted = await session.datasets.accepted('audience-index', 'main', window);
  const version = accepted?.versions.find((ref) => ref.dataset === dataset);
  if (version === undefined) throw new Error(`${window} accepted no ${dataset}`);
  const files = (await session.datasets.manifest(version)).files.filter(({ rows }) => rows > 0);
  if (files.length === 0) return [];
  using duckdb = await testDuckDb();
  const list = files.map(({ path }) => `'${session.store.place(path)}'`).join(', ');
  const reader = await duckdb.connection.runAndReadAll(
    `select user_id, ${id}::bigint as id, epoch_us(${first}) as first, epoch_us(${last}) as last from read_parquet([${list}])`,
  );
  return reader
    .getRowObjects()
    .map((row) => ({ user: String(row.user_id), id: Number(row.id), first: Number(row.first), last: Number(row.last) }));
}

test(`${DAYS} days through the real runner leave the reference's state and report live every day, and equal the bootstrap`, async () => {
  const adds: AudienceEvent[] = [];
  const fires: AudienceEvent[] = [];
  for (const day of landing.days) {
    adds.push(...day.adds.accepted);
    fires.push(...day.fires.accepted);
    await run(day.date);
    const expected = expectation(landing, day, adds, fires);
    expectRows(await liveRows(), expected.rows, day.date);
    expect(sorted(await liveNames('audience_segments'))).toEqual(sorted(expected.segments));
    expect(sorted(await liveNames('audience_pixels'))).toEqual(sorted(expected.pixels));
    expect(memberText(await members(day.date, 'udb', 'segment_id', 'first_added_at', 'last_added_at'))).toBe(expected.memberships);
    expect(memberText(await members(day.date, 'site', 'pixel_id', 'first_fired_at', 'last_fired_at'))).toBe(expected.visits);
  }
  const last = landing.days.at(-1)?.date ?? '';
  const digests = async (): Promise<string[]> =>
    ((await session.datasets.accepted('audience-index', 'main', last))?.versions ?? [])
      .filter(({ dataset }) => ['udb', 'site', 'report'].includes(dataset))
      .map(({ dataset, digest }) => `${dataset} ${digest}`)
      .sort();
  const incremental = await digests();
  await run(last, { again: true, bootstrap: true });
  expect(await digests()).toEqual(incremental);
});
