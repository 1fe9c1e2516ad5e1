/** The end of the demo: what a reader of the live tables learns about three products. */

/** Segments shown on each side of a product. */
const SEGMENTS_SHOWN = 3;
/** Segments of fewer users are left out: the interval takes a segment's share of its group for known, which then it hardly is. */
const SMALLEST_SEGMENT = 20;

/** A segment of one of the three products; a product without a clear segment has one row with `side` null. */
export interface DemoReportRow {
  readonly pixel_name: string;
  readonly advertiser: string;
  /** Users of the product who were in some segment before they first bought it. */
  readonly pixel_users: number;
  readonly as_of: string;
  readonly side: 'over' | 'under' | null;
  readonly segment_name: string | null;
  readonly segment_group: string | null;
  readonly index: number | null;
  readonly index_low: number | null;
  readonly index_high: number | null;
  readonly users_segment_pixel: number | null;
  readonly users_group_pixel: number | null;
  readonly users_segment: number | null;
  readonly users_group: number | null;
}

/**
 * Reads the live tables in one statement, so in one publication: the three products with most users who qualify, and
 * of each the segments whose interval excludes 100, those first whose interval stays furthest from it.
 */
export const DEMO_REPORT_SQL = `
with busiest as (
  select pixel_id, max(users_group_pixel) as pixel_users, max(as_of) as as_of
  from audience_index
  group by pixel_id
  order by pixel_users desc, pixel_id
  limit 3
),
clear as (
  select audience_index.*, case when index_low > 100 then 'over' else 'under' end as side
  from audience_index
  join busiest using (pixel_id)
  where (index_low > 100 or index_high < 100) and users_segment >= ${SMALLEST_SEGMENT}
),
ranked as (
  select *, row_number() over (partition by pixel_id, side order by case side when 'over' then -index_low else index_high end, segment_id) as place
  from clear
)
select
  audience_pixels.pixel_name,
  audience_pixels.advertiser,
  busiest.pixel_users::int as pixel_users,
  busiest.as_of::text as as_of,
  ranked.side,
  audience_segments.segment_name,
  ranked.segment_group,
  ranked."index",
  ranked.index_low,
  ranked.index_high,
  ranked.users_segment_pixel::int as users_segment_pixel,
  ranked.users_group_pixel::int as users_group_pixel,
  ranked.users_segment::int as users_segment,
  ranked.users_group::int as users_group
from busiest
join audience_pixels using (pixel_id)
left join ranked on ranked.pixel_id = busiest.pixel_id and ranked.place <= ${SEGMENTS_SHOWN}
left join audience_segments on audience_segments.segment_id = ranked.segment_id
order by busiest.pixel_users desc, busiest.pixel_id, ranked.side, ranked.place`;

const HEADER = ['', 'segment', 'group', 'index', '95 % interval', 'of its buyers', 'of all users'];
/** Columns of figures, set flush right. */
const FIGURES = [3, 4, 5, 6];

/** The table as text, one block a product; rows as {@link DEMO_REPORT_SQL} gives them. */
export function renderDemoReport(rows: readonly DemoReportRow[]): string {
  const [first] = rows;
  if (first === undefined) return 'No user was in a segment before a first purchase, so there is nothing to report.\n';
  const lines = rows.map(cells);
  const widths = HEADER.map((head, n) => Math.max(head.length, ...lines.map((line) => line[n]?.length ?? 0)));
  const aligned = (line: readonly string[]): string =>
    `  ${line.map((cell, n) => (FIGURES.includes(n) ? cell.padStart(widths[n] ?? 0) : cell.padEnd(widths[n] ?? 0))).join('  ')}`.trimEnd();

  const blocks = [
    `Audience index as of ${first.as_of}: 100 is the share expected. Segments of ${SMALLEST_SEGMENT} users and more whose interval excludes 100:`,
  ];
  let product = '';
  for (const [n, row] of rows.entries()) {
    if (row.pixel_name !== product) {
      product = row.pixel_name;
      blocks.push('', `${row.pixel_name} (${row.advertiser}): ${count(row.pixel_users)} users were in a segment before they bought it`);
      if (row.side !== null) blocks.push(aligned(HEADER));
    }
    blocks.push(row.side === null ? '  no segment whose interval excludes 100' : aligned(lines[n] ?? []));
  }
  return `${blocks.join('\n')}\n`;
}

function cells(row: DemoReportRow): string[] {
  if (row.side === null) return [];
  return [
    row.side,
    row.segment_name ?? '',
    row.segment_group ?? '',
    figure(row.index),
    `${figure(row.index_low)} to ${figure(row.index_high)}`,
    `${count(row.users_segment_pixel)} of ${count(row.users_group_pixel)}`,
    `${count(row.users_segment)} of ${count(row.users_group)}`,
  ];
}

function figure(value: number | null): string {
  return value === null ? '' : value.toFixed(0);
}

function count(value: number | null): string {
  return value === null ? '' : value.toLocaleString('en');
}
