/** What organic-share computes, written down plainly: weeks are counted one by one from a Monday, four are added up by hand. */

export interface Acquisition {
  readonly name: string;
  readonly value: number | null;
  /** `YYYY-MM-DD`. */
  readonly start_date: string;
  readonly country: string;
  readonly os_name: string;
  readonly dataplatform_inserted_at: string;
}

export interface Share {
  readonly year: number;
  readonly week: number;
  readonly country: string;
  readonly share_organic_p4w: number | null;
}

const DAY = 86_400_000;

/** The ISO year and week of a day: that of the year in which more than half of the week lies. */
export function isoWeek(day: number): { year: number; week: number } {
  const monday = mondayOf(day);
  const thursday = new Date(monday + 3 * DAY);
  let week = 0;
  for (let at = thursday.getTime(); new Date(at).getUTCFullYear() === thursday.getUTCFullYear(); at -= 7 * DAY) week += 1;
  return { year: thursday.getUTCFullYear(), week };
}

export function mondayOf(day: number): number {
  let at = day;
  while (new Date(at).getUTCDay() !== 1) at -= DAY;
  return at;
}

/** The shares of an extract as of a window that ends at `end` (`YYYY-MM-DD`), by country and week. */
export function sharesOf(rows: readonly Acquisition[], end: string): Share[] {
  const newest = new Map<string, Acquisition>();
  for (const row of rows) {
    if (row.start_date >= end) continue;
    const key = [row.name, row.start_date, row.country, row.os_name].join('|');
    const other = newest.get(key);
    if (other === undefined || other.dataplatform_inserted_at < row.dataplatform_inserted_at) newest.set(key, row);
  }
  const kept = [...newest.values()].filter(({ os_name, country }) => os_name === 'all' && country !== 'ALL');
  const mondays = kept.map(({ start_date }) => mondayOf(Date.parse(start_date)));
  const shares: Share[] = [];
  for (const country of [...new Set(kept.map((row) => row.country))].sort()) {
    for (let monday = Math.min(...mondays); monday <= Math.max(...mondays); monday += 7 * DAY) {
      const own = kept.filter((row) => {
        const weeks = (monday - mondayOf(Date.parse(row.start_date))) / (7 * DAY);
        return row.country === country && weeks >= 0 && weeks < 4;
      });
      const sum = (organic: boolean): number =>
        own.filter(({ name }) => (name === 'Organic') === organic).reduce((total, { value }) => total + (value ?? 0), 0);
      const total = sum(true) + sum(false);
      shares.push({ ...isoWeek(monday), country, share_organic_p4w: total === 0 ? null : sum(true) / total });
    }
  }
  return shares;
}
