import fc from 'fast-check';
import {
  judgeAccepted,
  judgeFolder,
  judgePublished,
  sensedFolders,
  sensedWindows,
  type SensedFile,
  type SensedFolder,
  type SensedPipeline,
} from '../../../pipelines/sense';
import type { VersionRef, WindowSpec } from '../../../pipelines/types';
import { enumerate, parseWindow, windowOf } from '../../../pipelines/window';

const day = (timezone: string): WindowSpec => ({ every: 'day', timezone });
const week = (timezone: string): WindowSpec => ({ every: 'week', timezone });
const minutes = (length: number): WindowSpec => ({ every: 'minutes', minutes: length });
const utc = day('UTC');

const zones = ['UTC', 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe', 'America/Sao_Paulo', 'Africa/Cairo', 'Pacific/Apia'];
const specs = fc.oneof(
  fc.constantFrom(...zones).map(day),
  fc.constantFrom(...zones).map(week),
  fc.constantFrom(1, 10, 60, 90, 720, 1440).map(minutes),
);
const instants = fc.date({ min: new Date('2011-01-01T00:00:00Z'), max: new Date('2040-12-31T00:00:00Z'), noInvalidDate: true });

describe('sensedWindows', () => {
  it.each<[string, WindowSpec, string, WindowSpec, number]>([
    ['a day and the hours of it', utc, '2026-11-20', minutes(60), 24],
    ['a day when the clocks go forward', day('America/New_York'), '2026-03-08', minutes(60), 23],
    ['a day when the clocks go back', day('America/New_York'), '2026-11-01', minutes(60), 25],
    ['a day of 24.5 hours', day('Australia/Lord_Howe'), '2026-04-05', minutes(30), 49],
    ['a day that begins at half past', day('Asia/Kolkata'), '2026-11-20', minutes(60), 25],
    ['equal days', day('Africa/Cairo'), '2026-04-24', day('Africa/Cairo'), 1],
    ['days that begin at other times', day('America/New_York'), '2026-11-20', utc, 2],
    ['a week and its days', week('America/New_York'), '2026-W10', day('America/New_York'), 7],
    ['a week in which the zone left a day out', week('Pacific/Apia'), '2011-W52', day('Pacific/Apia'), 6],
  ])('counts %s', (_, spec, key, other, count) => {
    expect(sensedWindows(spec, parseWindow(spec, key), other, 'same')).toHaveLength(count);
  });

  it('gives the one window of our key where the windows are equal, and the one before it', () => {
    fc.assert(
      fc.property(specs, instants, (spec, at) => {
        const ours = windowOf(spec, at);
        expect(sensedWindows(spec, ours, spec, 'same')).toEqual([ours]);
        expect(sensedWindows(spec, ours, spec, 'newest')).toEqual([ours]);
        const [before, ...more] = sensedWindows(spec, ours, spec, 'previous');
        expect(more).toEqual([]);
        expect(before?.end).toBe(ours.start);
      }),
      { numRuns: 300 },
    );
  });

  it('gives every window that overlaps ours, touching and in order, and no other', () => {
    fc.assert(
      fc.property(specs, specs, instants, (spec, other, at) => {
        const ours = windowOf(spec, at);
        const found = sensedWindows(spec, ours, other, 'same');
        expect(found[0]?.start).toBe(windowOf(other, new Date(ours.start)).start);
        for (const [index, one] of found.entries()) {
          expect(one.start < ours.end && one.end > ours.start).toBe(true);
          if (index > 0) expect(one.start).toBe(found[index - 1]?.end);
        }
        expect((found.at(-1)?.end ?? '') >= ours.end).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it('gives the newest window that is over when ours ends, however long it is', () => {
    fc.assert(
      fc.property(specs, specs, instants, (spec, other, at) => {
        const ours = windowOf(spec, at);
        const [newest] = sensedWindows(spec, ours, other, 'newest');
        expect((newest?.end ?? '') <= ours.end).toBe(true);
        expect(windowOf(other, new Date(newest?.end ?? '')).end > ours.end).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});

describe('sensedFolders', () => {
  it.each<[WindowSpec, string, string | undefined, string[]]>([
    [utc, '2026-11-20', undefined, ['dt=2026-11-20']],
    [
      week('Europe/Berlin'),
      '2026-W01',
      undefined,
      ['2025-12-29', '2025-12-30', '2025-12-31', '2026-01-01', '2026-01-02', '2026-01-03', '2026-01-04'].map((date) => `dt=${date}`),
    ],
    [minutes(10), '20261120T2350Z-PT10M', undefined, ['dt=2026-11-20']],
    [minutes(60), '20261120T2300Z-PT1H', 'in/{window}', ['in/20261120T2300Z-PT1H']],
    [utc, '2026-11-20', 'latest', ['latest']],
  ])('of %j %s in %j are %j', (spec, key, folder, folders) => {
    expect(sensedFolders(spec, parseWindow(spec, key), folder)).toEqual(folders);
  });
});

const accepted: SensedPipeline = { kind: 'accepted', pipeline: 'hourly', window: minutes(60), windows: 'same' };
const hours = enumerate(minutes(60), '20261120T0000Z-PT1H', '20261120T2300Z-PT1H');
const version = (dataset: string, window: string): VersionRef => ({ dataset, window, version: `v${window}`, digest: `d${window}` });

describe('judgeAccepted', () => {
  it('pins every window once all are there, and names exactly the missing ones before', () => {
    fc.assert(
      fc.property(fc.subarray(hours), (there) => {
        const sets = new Map(there.map(({ key }, at) => [key, { sequence: at + 1, versions: [version('counts', key)] }]));
        const verdict = judgeAccepted(accepted, hours, sets, new Map());
        const missing = hours.filter((hour) => !there.includes(hour)).map(({ key }) => key);
        if (missing.length === 0) {
          expect(verdict).toEqual({
            sensed: hours.map(({ key }) => expect.objectContaining({ window: key, versions: [version('counts', key)] })),
          });
          return;
        }
        expect(verdict).toMatchObject({ unmet: { missing, next: `almanac run hourly --window ${missing[0]} --wait` } });
        const { found } = 'unmet' in verdict ? verdict.unmet : { found: '' };
        expect(found).toContain(`${missing.length} of 24 windows of hourly ${missing.length === 1 ? 'is' : 'are'} not accepted`);
        // However many there are, the message stays short.
        for (const key of missing.slice(0, 5)) expect(found).toContain(key);
        expect(found.length).toBeLessThan(400);
      }),
      { numRuns: 100 },
    );
  });

  it('says what became of the run of a missing window, and how to look at it', () => {
    const ours = hours.slice(0, 1);
    const runs = new Map([['20261120T0000Z-PT1H', { state: 'held', since: '2026-11-20T02:00:00.000Z' }]]);
    expect(judgeAccepted(accepted, ours, new Map(), runs)).toEqual({
      unmet: {
        found: 'hourly/20261120T0000Z-PT1H is not accepted: its run is held since 2026-11-20T02:00:00.000Z',
        next: 'almanac why hourly/20261120T0000Z-PT1H',
        missing: ['20261120T0000Z-PT1H'],
      },
    });
  });

  it('pins the dataset asked for only, and waits for a set that has it', () => {
    const of: SensedPipeline = { ...accepted, dataset: 'counts' };
    const [hour] = hours;
    const key = hour?.key ?? '';
    const judge = (...versions: VersionRef[]): unknown =>
      judgeAccepted(of, hours.slice(0, 1), new Map([[key, { sequence: 1, versions }]]), new Map());
    expect(judge(version('other', key), version('counts', key))).toMatchObject({ sensed: [{ versions: [version('counts', key)] }] });
    expect(judge(version('other', key))).toMatchObject({
      unmet: {
        found: `hourly/${key} is not accepted with counts: it was accepted without counts`,
        next: `almanac run hourly --window ${key} --again --wait`,
      },
    });
  });
});

describe('judgePublished', () => {
  const published: SensedPipeline = { ...accepted, kind: 'published', table: 'live_counts' };
  const one = hours.slice(0, 1);
  const key = one[0]?.key ?? '';
  const judge = (state: string, withdrawn = false, tables = ['live_counts']): ReturnType<typeof judgePublished> =>
    judgePublished(published, one, new Map([[key, { id: 7, state, withdrawn, tables }]]), new Map());

  it.each(['live', 'retired', 'superseded', 'collected'])('holds for a publication that is %s', (state) => {
    expect(judge(state)).toEqual({ sensed: [{ kind: 'published', pipeline: 'hourly', window: key, publication: 7 }] });
  });

  it.each([
    [judge('attached'), 'its publication 7 is attached'],
    [judge('failed'), 'its publication 7 is failed'],
    [judge('withdrawn', true), 'its publication 7 was withdrawn'],
    [judge('collected', true), 'its publication 7 was withdrawn'],
    [judge('live', false, ['other']), 'its publication 7 has no live_counts'],
    [judgePublished(published, one, new Map(), new Map()), 'it never ran'],
  ])('does not hold otherwise: %#', (verdict, why) => {
    expect(verdict).toMatchObject({ unmet: { found: `hourly/${key} is not published in live_counts: ${why}`, missing: [key] } });
  });
});

describe('judgeFolder', () => {
  const now = new Date('2026-11-21T00:00:00Z');
  const file = (name: string, minutesAgo: number): SensedFile => ({
    name,
    bytes: 10,
    modifiedAt: new Date(now.getTime() - minutesAgo * 60_000),
  });
  const judge = (condition: SensedFolder, ...files: SensedFile[]): ReturnType<typeof judgeFolder> =>
    judgeFolder(condition, 'landing/plays/dt=2026-11-20', files, '/data/landing/plays/dt=2026-11-20', now);
  const marker: SensedFolder = { kind: 'marker', landing: 'plays', file: '_SUCCESS' };
  const quiet: SensedFolder = { kind: 'quiet', landing: 'plays', minutes: 10 };

  it('waits for the marker, and pins it alone', () => {
    expect(judge(marker)).toMatchObject({ unmet: { found: 'landing/plays/dt=2026-11-20 is missing or empty' } });
    expect(judge(marker, file('a.csv', 5))).toMatchObject({
      unmet: {
        found: 'landing/plays/dt=2026-11-20 holds 1 file and no _SUCCESS',
        next: 'see that /data/landing/plays/dt=2026-11-20/_SUCCESS is written',
      },
    });
    expect(judge(marker, file('a.csv', 5), file('_SUCCESS', 1))).toEqual({
      sensed: [
        {
          kind: 'marker',
          folder: 'landing/plays/dt=2026-11-20',
          count: 1,
          bytes: 10,
          newest: '2026-11-20T23:59:00.000Z',
          files: ['_SUCCESS'],
        },
      ],
    });
  });

  it('is quiet exactly when there are files and the youngest is old enough, by the instant given', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -5, max: 30 }), { maxLength: 8 }), (ages) => {
        const verdict = judge(quiet, ...ages.map((age, at) => file(`${at}.csv`, age)));
        expect('sensed' in verdict).toBe(ages.length > 0 && ages.every((age) => age >= 10));
      }),
    );
  });

  it('names the file that changed last and when, so that the message stays as long as nothing changes', () => {
    expect(judge(quiet, file('a.csv', 20), file('b.csv', 3))).toMatchObject({
      unmet: { found: 'landing/plays/dt=2026-11-20 is not quiet for 10 minutes: b.csv changed at 2026-11-20T23:57:00.000Z' },
    });
  });
});
