import fc from 'fast-check';
import { AlmanacError } from '../../../pipelines/failures';
import type { WindowSpec } from '../../../pipelines/types';
import { isTimezone } from '../../../pipelines/local-day';
import { enumerate, isOver, lastOver, nextKey, parseWindow, previousKey, windowOf, zoneName } from '../../../pipelines/window';
import { dateOf } from '../../../pipelines/window-grid';

const day = (timezone: string): WindowSpec => ({ every: 'day', timezone });
const utc = day('UTC');
const hours = (spec: WindowSpec, key: string): number => {
  const { start, end } = parseWindow(spec, key);
  return (Date.parse(end) - Date.parse(start)) / 3_600_000;
};

describe('parseWindow', () => {
  it.each<[WindowSpec, string]>([
    [utc, '0000-01-01'],
    [utc, '0001-01-01'],
    [utc, '9999-12-31'],
    [day('Pacific/Auckland'), '0001-01-01'],
    [day('America/New_York'), '9999-12-31'],
    [{ every: 'week', timezone: 'UTC' }, '0001-W01'],
    [{ every: 'week', timezone: 'UTC' }, '9999-W52'],
    [{ every: 'minutes', minutes: 10 }, '00010101T0000Z-PT10M'],
    [{ every: 'minutes', minutes: 10 }, '99991231T2350Z-PT10M'],
  ])('refuses a window whose neighbours cannot be written: %j %s', (spec, key) => {
    expect(() => parseWindow(spec, key)).toThrow(expect.objectContaining({ code: 'window.invalid' }));
  });

  it.each(['0001-01-02', '9999-12-30'])('gives the first and the last day that has neighbours: %s', (key) => {
    expect(parseWindow(utc, key).key).toBe(key);
    expect([previousKey(utc, key), nextKey(utc, key)]).toEqual([
      expect.stringMatching(/^(0001|9999)-/),
      expect.stringMatching(/^(0001|9999)-/),
    ]);
  });

  it('gives a UTC day', () => {
    expect(parseWindow(utc, '2026-11-20')).toEqual({
      key: '2026-11-20',
      start: '2026-11-20T00:00:00.000Z',
      end: '2026-11-21T00:00:00.000Z',
    });
  });

  it.each([
    ['America/New_York', '2026-03-08', 23, '2026-03-08T05:00:00.000Z'],
    ['America/New_York', '2026-11-01', 25, '2026-11-01T04:00:00.000Z'],
    ['Australia/Lord_Howe', '2026-04-05', 24.5, '2026-04-04T13:00:00.000Z'],
    ['Asia/Kathmandu', '2026-11-20', 24, '2026-11-19T18:15:00.000Z'],
    // No midnight: clocks went from 00:00 to 01:00, so the day starts at 01:00.
    ['America/Sao_Paulo', '2018-11-04', 23, '2018-11-04T03:00:00.000Z'],
    ['Asia/Beirut', '2026-03-29', 23, '2026-03-28T22:00:00.000Z'],
    // Two midnights: clocks went from 01:00 back to 00:00; the first one counts.
    ['America/Havana', '2026-11-01', 25, '2026-11-01T04:00:00.000Z'],
    // Clocks went from 00:01 back to 23:01 of the day before.
    ['America/St_Johns', '2010-11-07', 25, '2010-11-07T02:30:00.000Z'],
    ['America/St_Johns', '2010-11-06', 24, '2010-11-06T02:30:00.000Z'],
  ])('gives %s %s its %d hours from %s', (zone, key, length, start) => {
    expect(parseWindow(day(zone), key).start).toBe(start);
    expect(hours(day(zone), key)).toBe(length);
  });

  it.each(['2026-13-01', '2026-02-30', '2026-11-2', '20261120', '2026-W47', '2026-11-20T00:00Z', ' 2026-11-20', '', '../x', '0000-00-00'])(
    'refuses %j, showing the form it expects',
    (key) => {
      const parse = (): unknown => parseWindow(utc, key);
      expect(parse).toThrow(AlmanacError);
      expect(parse).toThrow(expect.objectContaining({ code: 'window.invalid', message: expect.stringContaining('2026-11-20') }));
    },
  );

  it('refuses a date the zone skipped', () => {
    expect(() => parseWindow(day('Pacific/Apia'), '2011-12-30')).toThrow('skipped the day 2011-12-30');
    expect(nextKey(day('Pacific/Apia'), '2011-12-29')).toBe('2011-12-31');
    expect(previousKey(day('Pacific/Apia'), '2011-12-31')).toBe('2011-12-29');
  });

  it('refuses a zone that does not exist', () => {
    expect(isTimezone('Mars/Olympus')).toBe(false);
    expect(() => parseWindow(day('Mars/Olympus'), '2026-11-20')).toThrow(expect.objectContaining({ code: 'pipeline.invalid' }));
  });
});

describe('enumerate', () => {
  it('includes both ends, over the end of a leap February', () => {
    expect(enumerate(utc, '2028-02-27', '2028-03-01').map((window) => window.key)).toEqual([
      '2028-02-27',
      '2028-02-28',
      '2028-02-29',
      '2028-03-01',
    ]);
  });

  it('refuses a range that ends before it starts', () => {
    expect(() => enumerate(utc, '2026-11-20', '2026-11-19')).toThrow(expect.objectContaining({ code: 'window.invalid' }));
  });
});

describe('isOver', () => {
  const window = parseWindow(utc, '2026-11-20');
  it('is false a millisecond before the end, true at it', () => {
    expect(isOver(window, new Date(Date.parse(window.end) - 1))).toBe(false);
    expect(isOver(window, new Date(window.end))).toBe(true);
  });
});

const zones = [
  'UTC',
  'America/New_York',
  'America/Sao_Paulo',
  'America/Havana',
  'America/St_Johns',
  'Australia/Lord_Howe',
  'Asia/Beirut',
  'Asia/Kathmandu',
  'Africa/Casablanca',
  'Pacific/Apia',
  'Pacific/Kiritimati',
  'Europe/Berlin',
];
const zone = fc.constantFrom(...zones).map(day);
const instant = fc.date({ min: new Date('1980-01-01T00:00:00Z'), max: new Date('2035-01-01T00:00:00Z'), noInvalidDate: true });

describe('daily windows of any zone', () => {
  it('tile time: each instant lies in exactly one, and neighbours meet', () => {
    fc.assert(
      fc.property(zone, instant, (spec, at) => {
        const window = windowOf(spec, at);
        expect(Date.parse(window.start)).toBeLessThanOrEqual(at.getTime());
        expect(Date.parse(window.end)).toBeGreaterThan(at.getTime());
        expect(parseWindow(spec, window.key)).toEqual(window);
        const next = parseWindow(spec, nextKey(spec, window.key));
        expect(next.start).toBe(window.end);
        expect(previousKey(spec, next.key)).toBe(window.key);
      }),
      { numRuns: 300 },
    );
  });

  it.each(zones)('of %s cover 2011 and 2026 without gap or overlap, keys ascending', (name) => {
    for (const year of [2011, 2026]) {
      const windows = enumerate(day(name), `${year}-01-01`, `${year}-12-31`);
      windows.slice(1).forEach((window, at) => {
        expect(window.start).toBe(windows[at]?.end);
        expect(window.key > (windows[at]?.key ?? '')).toBe(true);
      });
      expect(windows.length).toBe(name === 'Pacific/Apia' && year === 2011 ? 364 : 365);
    }
  });

  it('start at the first instant of their date: the instant before has another', () => {
    fc.assert(
      fc.property(zone, instant, (spec, at) => {
        const window = windowOf(spec, at);
        const date = (time: number): string => new Intl.DateTimeFormat('en-CA', { timeZone: zoneName(spec) }).format(time);
        expect(date(Date.parse(window.start))).toBe(window.key);
        expect(date(Date.parse(window.start) - 1) < window.key).toBe(true);
      }),
    );
  });
});

describe('weeks', () => {
  const weeks: WindowSpec = { every: 'week', timezone: 'UTC' };

  it.each([
    ['2026-W47', '2026-11-16T00:00:00.000Z', '2026-11-23T00:00:00.000Z'],
    // 53 weeks, the last of which is mostly of the next year; and a first one mostly of the year before.
    ['2020-W53', '2020-12-28T00:00:00.000Z', '2021-01-04T00:00:00.000Z'],
    ['2025-W01', '2024-12-30T00:00:00.000Z', '2025-01-06T00:00:00.000Z'],
  ])('are ISO weeks: %s', (key, start, end) => {
    expect(parseWindow(weeks, key)).toEqual({ key, start, end });
    expect(windowOf(weeks, new Date(start)).key).toBe(key);
    expect(windowOf(weeks, new Date(Date.parse(end) - 1)).key).toBe(key);
  });

  it.each(['2021-W53', '2026-W00', '2026-W54', '2026-47', '2026-W7', '2026-11-20'])('refuse %s', (key) => {
    expect(() => parseWindow(weeks, key)).toThrow(expect.objectContaining({ code: 'window.invalid' }));
  });

  it('go from one to the next over the end of a year of 53 weeks', () => {
    expect(enumerate(weeks, '2020-W52', '2021-W02').map(({ key }) => key)).toEqual(['2020-W52', '2020-W53', '2021-W01', '2021-W02']);
  });

  it('begin at local midnight: one with a change of clocks has 167 or 169 hours', () => {
    const local: WindowSpec = { every: 'week', timezone: 'America/New_York' };
    expect(hours(local, '2026-W10')).toBe(167);
    expect(hours(local, '2026-W44')).toBe(169);
  });

  it('stand for their Sunday', () => {
    expect(dateOf('2026-W47')).toBe('2026-11-22');
    expect(dateOf('2020-W53')).toBe('2021-01-03');
  });
});

describe('windows of minutes', () => {
  const of = (minutes: number): WindowSpec => ({ every: 'minutes', minutes });

  it.each([
    [10, '20261120T1040Z-PT10M', '2026-11-20T10:40:00.000Z', '2026-11-20T10:50:00.000Z'],
    [1, '20261120T2359Z-PT1M', '2026-11-20T23:59:00.000Z', '2026-11-21T00:00:00.000Z'],
    [60, '20261120T1000Z-PT1H', '2026-11-20T10:00:00.000Z', '2026-11-20T11:00:00.000Z'],
    [1440, '20261120T0000Z-PT24H', '2026-11-20T00:00:00.000Z', '2026-11-21T00:00:00.000Z'],
  ])('of %d are keyed by start and length: %s', (minutes, key, start, end) => {
    expect(parseWindow(of(minutes), key)).toEqual({ key, start, end });
    expect(windowOf(of(minutes), new Date(Date.parse(end) - 1)).key).toBe(key);
    expect(dateOf(key)).toBe('2026-11-20');
  });

  it.each(['20261120T1045Z-PT10M', '20261120T1040Z-PT5M', '20261320T1040Z-PT10M', '20261120T1040-PT10M', '2026-11-20'])(
    'refuse %s',
    (key) => {
      expect(() => parseWindow(of(10), key)).toThrow(expect.objectContaining({ code: 'window.invalid' }));
    },
  );
});

describe('lastOver', () => {
  it('is the window that ended last, also at the very instant it ends', () => {
    expect(lastOver(utc, new Date('2026-11-20T23:59:59.999Z')).key).toBe('2026-11-19');
    expect(lastOver(utc, new Date('2026-11-21T00:00:00Z')).key).toBe('2026-11-20');
    expect(lastOver({ every: 'week', timezone: 'UTC' }, new Date('2026-11-20T12:00:00Z')).key).toBe('2026-W46');
  });
});
