import type { ColumnType, DatasetSpec } from '../../../pipelines/types';
import type { Random } from '../random';
import { isoWeek } from '../share-reference';

type Value = string | number | boolean | null;
type Row = Readonly<Record<string, Value>>;

/** How many of the rows have a fault of each kind that a suite looks for. */
interface Faults {
  readonly share: number;
}

type RowOf = (at: number, random: Random, fault: () => boolean) => Row;

const PARTS = ['night', 'morning', 'afternoon', 'evening'] as const;
const PIXELS = 20;
const CHANNELS = ['Organic', 'Referral - Insight Card', 'Website', 'Email'];
const DAY = 86_400_000;

/** Counts of one row that belong together: `plays` is the sum of the parts of the day. */
function counted(random: Random, fault: () => boolean): Row {
  const parts = PARTS.map(() => 1 + random.below(30));
  const plays = parts.reduce((sum, part) => sum + part, fault() ? 1 : 0);
  return {
    plays,
    ...Object.fromEntries(PARTS.map((part, i) => [part, parts[i] ?? 0])),
    mobile: fault() ? -1 : random.below(plays + 1),
    unique_tracks: random.below(plays + 1),
  };
}

/** A key that most often counts up, and is the one before or none where there is a fault. */
const key = (at: number, fault: () => boolean): number | null => (fault() ? null : Math.max(0, fault() ? at - 1 : at));

/** Rows by dataset of the three pipelines. What is not said here is random of its type. */
const ROWS: Readonly<Record<string, RowOf>> = {
  report: (at, random, fault) => {
    const higher = (count: number): number => (fault() ? count + 1000 : count);
    return {
      pixel_id: fault() ? 9999 : key(at % PIXELS, fault),
      segment_id: fault() ? 9999 : key(Math.floor(at / PIXELS), fault),
      users_segment_pixel: higher(random.below(10)),
      users_group_pixel: higher(10 + random.below(10)),
      users_segment: 20 + random.below(10),
      users_group: 30 + random.below(10),
      index: fault() ? random.pick([null, -0.5, 'NaN', 'Infinity', '-Infinity']) : random.next() * 3,
    };
  },
  audience_segments: (at, _, fault) => ({ segment_id: key(at, fault), segment_name: fault() ? `(unknown ${at})` : `Segment ${at}` }),
  audience_pixels: (at, _, fault) => ({ pixel_id: key(at, fault), pixel_name: fault() ? `(unknown ${at})` : `Pixel ${at}` }),
  customers: (at) => ({ customer: at }),
  listener_profiles: (at, _, fault) => ({ customer: fault() ? 9999 + at : key(at, fault) }),
  listener_averages: (at, _, fault) => ({ metric: fault() ? null : `metric ${key(at, fault)}` }),
  customer_plays: (at, random, fault) => ({ customer: at, ...counted(random, fault) }),
  listens: (at, random, fault) => ({ customer: at % 9, track: at, ...counted(random, fault) }),
  play_totals: (at, _, fault) => ({
    events: 10 + at,
    plays: 10 + at,
    profiled: fault() ? 0 : 10 + at,
    parts: 10 + at,
    customers: 7,
    profiles: fault() ? 8 : 7,
  }),
  acquisitions: (_, random, fault) => {
    // Over new years of 52 and 53 weeks.
    const day = Date.UTC(2015, 11, 1) + random.below(2200) * DAY;
    const { year, week } = isoWeek(day);
    const written = `${year}_${String(fault() ? (week % 52) + 1 : week).padStart(2, '0')}`;
    return {
      name: random.pick(CHANNELS),
      start_date: new Date(day).toISOString().slice(0, 10),
      year_week: fault() ? random.pick([null, '2021_5', '2021-05', '2021_05\n', '٢021_05', ' 2021_05', '']) : written,
      value: fault() ? random.pick([null, -1, '-0.0', 'NaN', '-Infinity']) : random.below(1000),
      country: random.pick(['ALL', 'FR', 'GB', 'IT']),
    };
  },
  acquisition_labels: (at, random, fault) => {
    const kind = random.pick(['extract', 'name', 'country', 'token']);
    const known = { extract: `${at}`, name: random.pick(CHANNELS), country: random.pick(['FR', 'GB']), token: `t${at}` }[kind] ?? '';
    return {
      kind,
      label: fault() ? `new ${at}` : known,
      tokens: fault() ? 2 : 1,
      subtracker_values: fault() ? 0 : 1,
      names: fault() ? 3 : 1,
      coupled: fault() ? 'of an earlier week' : 'of this week',
    };
  },
  organic_share: (at, random, fault) => ({
    year: fault() ? null : 2020 + Math.floor(at / 50),
    week: fault() ? null : Math.max(1, fault() ? at % 50 : 1 + (at % 50)),
    country: fault() ? null : 'FR',
    share_organic_p4w: fault() ? random.pick([-0.1, 1.000001, 'NaN', 'Infinity']) : random.pick([0, 1, null, random.next()]),
  }),
  missing_shares: (_, __, fault) => ({ country: fault() ? 'GB' : null }),
  share_shifts: (_, random, fault) => ({ weeks: random.below(9), score: fault() ? 3.5 : random.next() * 3.4 }),
};

function randomValue(random: Random, type: ColumnType): Value {
  switch (type) {
    case 'text':
      return random.pick(['a', 'b', 'é', '😀']);
    case 'boolean':
      return random.chance(0.5);
    case 'double':
      return random.next() * 100;
    case 'bigint':
    case 'integer':
      return random.below(1000);
    case 'timestamp':
    case 'date':
      return new Date(Date.UTC(2026, 0, 1) + random.below(300) * DAY).toISOString().slice(0, 10);
  }
}

/** Rows of a dataset of the pipelines, as SQL: sound ones, and ones with some of the faults that its checks are there for. */
export function datasetRows(name: string, { columns }: DatasetSpec, rows: number, random: Random, { share }: Faults): string[] {
  return Array.from({ length: rows }, (_, at) => {
    const own = ROWS[name]?.(at, random, () => random.chance(share)) ?? {};
    const cells = Object.entries(columns).map(([column, type]) => {
      const value = own[column];
      return cellText(value === undefined ? randomValue(random, type) : value);
    });
    return `(${cells.join(', ')})`;
  });
}

function cellText(value: Value): string {
  return typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : String(value);
}
