import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { PublicationView } from '../../operator/publications';
import { generateAcquisitions, generateTracks, LISTENER_WINDOWS, ORGANIC_WINDOWS } from '../../operator/demo-generated';
import { EmbeddedStack } from '../support/embedded-stack';
import { averagesOf, profilesOf, type Play } from '../support/listener-reference';
import { sharesOf, type Acquisition } from '../support/share-reference';

jest.setTimeout(300_000);

let stack: EmbeddedStack;
beforeAll(async () => {
  stack = await EmbeddedStack.start();
});
afterAll(() => stack?.[Symbol.asyncDispose]());

interface DemoAnswer {
  readonly windows: readonly {
    readonly window: string;
    readonly computed: boolean;
    readonly quarantined: number;
    readonly warned: readonly string[];
  }[];
}

test('almanac demo organic-share publishes the shares of a plain recompute, week by week', async () => {
  const { windows } = await stack.json<DemoAnswer>('demo', 'organic-share', '--keep');
  expect(windows.map(({ window, computed, quarantined }) => ({ window, computed, quarantined }))).toEqual(
    ORGANIC_WINDOWS.map((window) => ({ window, computed: true, quarantined: 0 })),
  );
  const extract = [...generateAcquisitions()].at(-1)?.[1] ?? '';
  const rows = extract
    .trim()
    .split('\n')
    .slice(1)
    .map((line): Acquisition => {
      const [name = '', value, start_date = '', , , , , dataplatform_inserted_at = '', country = '', os_name = ''] = line.split(',');
      return { name, value: Number(value), start_date, country, os_name, dataplatform_inserted_at };
    });
  const expected = sharesOf(rows, '2025-01-13');
  expect(expected.filter(({ share_organic_p4w }) => share_organic_p4w === null).length).toBeGreaterThan(0);
  const database = await stack.database();
  const { rows: live } = await database.query(
    'select year, week, country, share_organic_p4w from organic_share order by country, year, week',
  );
  expect(live).toEqual(expected);
});

test('almanac demo listener-profiles publishes profiles and averages of a plain recompute, and their files', async () => {
  const { windows } = await stack.json<DemoAnswer>('demo', 'listener-profiles', '--keep');
  expect(windows.map(({ window, quarantined }) => ({ window, quarantined }))).toEqual(
    LISTENER_WINDOWS.map((window) => ({ window, quarantined: 2 })),
  );
  expect(windows[0]?.warned).toEqual(expect.arrayContaining(['customers-known', 'tracks-unusable']));
  const last = LISTENER_WINDOWS.at(-1) ?? '';
  const expected = profilesOf(
    [...generateTracks()].flatMap(([file, text]) => playsOf(file, text)),
    last,
  );
  const database = await stack.database();
  const { rows: live } = await database.query<Record<string, string | number | null>>('select * from listener_profiles order by customer');
  expect(live.map(({ name: _name, gender: _gender, level: _level, campaign: _campaign, ...counts }) => counts)).toEqual(expected);
  expect(live.filter(({ name }) => name === null).map(({ customer }) => customer)).toEqual([395, 396, 397, 398, 399]);
  const { rows: averages } = await database.query<Record<string, string | number>>('select * from listener_averages');
  for (const { metric, mean, variance, nonZeros, ...exact } of averagesOf(expected)) {
    const own = averages.find((row) => row.metric === metric);
    expect(own).toMatchObject({ ...exact, non_zeros: nonZeros });
    expect(own?.mean).toBeCloseTo(mean, 9);
    expect(own?.variance).toBeCloseTo(variance, 7);
  }
  expect(fileOf('listener_profiles', last, 'live_table.csv')).toHaveLength(401);
  expect(fileOf('listener_averages', last, 'agg_table.csv')).toHaveLength(7);
});

test('run again the demos compute nothing, and an older window that is rebuilt reads nothing it has not read, and replaces no newer one', async () => {
  for (const pipeline of ['organic-share', 'listener-profiles'] as const) {
    const { windows } = await stack.json<DemoAnswer>('demo', pipeline, '--keep');
    expect(windows.filter(({ computed }) => computed)).toEqual([]);
  }
  const older = LISTENER_WINDOWS[3] ?? '';
  await stack.ok('run', 'listener-profiles', '--window', older, '--again', '--reason', 'look again', '--wait');
  expect(await stack.ok('logs', `listener-profiles/${older}`, 'tracks')).toContain(
    `goes on from ${LISTENER_WINDOWS[2]}, which read 3 of the 4 files`,
  );
  const live = (await stack.json<PublicationView[]>('publish', 'list')).filter(({ state }) => state === 'live');
  expect(live.map(({ run }) => run.window).sort()).toEqual([LISTENER_WINDOWS.at(-1), ORGANIC_WINDOWS.at(-1)]);
  expect(await stack.failure('demo', 'rees46')).toMatchObject({
    code: 'run.usage',
    next: expect.stringContaining('organic-share and listener-profiles'),
  });
});

/** Lines that hold a record, as the reference sees them. */
function playsOf(file: string, text: string): Play[] {
  const [, landedOn] = /dt=([\d-]+)/.exec(file) ?? [];
  if (landedOn === undefined) return [];
  return text
    .trim()
    .split('\n')
    .flatMap((line): Play[] => {
      const [, event, customer, track, ts = '', mobile] = /^(\d+),(\d+),(\d+),"([^"]+)",([01]),"\d+"$/.exec(line) ?? [];
      if (event === undefined) return [];
      return [{ event: Number(event), customer: Number(customer), track: Number(track), ts, mobile: mobile === '1', landedOn }];
    });
}

/** Lines of a file beside the only version of a window. */
function fileOf(dataset: string, window: string, name: string): string[] {
  const folder = path.join(stack.data, 'datasets', dataset, window);
  const files = readdirSync(folder)
    .map((version) => path.join(folder, version, name))
    .filter((file) => existsSync(file));
  expect(files).toHaveLength(1);
  return readFileSync(files[0] ?? '', 'utf8')
    .trim()
    .split('\n');
}
