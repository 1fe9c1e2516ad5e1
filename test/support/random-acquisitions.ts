import { Random } from './random';
import { isoWeek } from './share-reference';

const DAY_MS = 86_400_000;
const CHANNELS = ['Organic', 'Email', 'Facebook', "o'clock\\"];

/**
 * A full extract as CSV: twelve weeks up to a few days after `date`, with whole weeks missing, rows inserted twice, at once too, and without a
 * value. Users are counted in quarters, so that no order of a sum changes it.
 */
export function randomAcquisitions(seed: number, date: string): string {
  const random = new Random(seed);
  const rows: string[] = [];
  for (let day = Date.parse(date) - 84 * DAY_MS; day <= Date.parse(date) + 3 * DAY_MS; day += DAY_MS) {
    if (Math.floor(day / DAY_MS / 7) % 5 === 0) continue;
    const start = new Date(day).toISOString().slice(0, 10);
    const { year, week } = isoWeek(day);
    for (const name of CHANNELS)
      for (const country of ['FR', 'GB', 'IT', 'ALL'])
        for (const system of ['all', 'ios']) {
          for (let copies = random.pick([0, 0, 1, 1, 1, 2, 3]); copies > 0; copies--) {
            const value = random.chance(0.1) ? '' : String(random.below(40_000_000) / 4);
            const inserted = `2021-02-0${random.pick([1, 2])} 00:00:00`;
            const label = `${year}_${String(week).padStart(2, '0')}`;
            rows.push(
              `"${name}",${value},${start},${start},${label},${name === 'Email'},t-${name.length},${inserted},${country},${system}`,
            );
          }
        }
  }
  const header = 'name,value,start_date,end_date,year_week,has_subtrackers,token,dataplatform_inserted_at,country,os_name';
  return `${[header, ...random.shuffled(rows)].join('\n')}\n`;
}
