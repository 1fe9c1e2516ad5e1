import { Random } from './random';

const DAY_MS = 86_400_000;

/** One file of plays as a folder of `tracks` holds it. */
export interface PlaysFile {
  /** Below the data root. */
  readonly path: string;
  readonly body: string;
}

/**
 * The files of one folder, of the day `date`: plays of every hour and its edges, some of days before and after, copies of events of all days
 * so far as they were or with other words, and a line that cannot be read.
 */
export function randomPlays(seed: number, date: string, folder: number): PlaysFile[] {
  const random = new Random(seed ^ folder);
  const start = Date.parse(`${date}T00:00:00Z`);
  const lines = Array.from({ length: 300 }, (_, n) => {
    const event = random.chance(0.1) ? random.below(1000 * (folder + 1)) : 1000 * folder + n;
    const day = random.chance(0.85) ? 0 : random.pick([-3, -1, 1, 2]);
    const edge = random.pick([0, 5, 12, 17, 22]) * 3600 + random.pick([-1, 0]);
    const second = random.chance(0.3) ? edge : random.below(86_400);
    const ts = new Date(start + day * DAY_MS + second * 1000).toISOString().slice(0, 19).replace('T', ' ');
    return `${event},${random.below(40)},${random.below(25)},"${ts}",${random.below(2)},"${random.below(99_999)}"`;
  });
  const half = 150 + random.below(100);
  return [lines.slice(0, half), [...lines.slice(half), `${folder},x,1,"${date} 00:00:00",0,"1"`]].map((part, n) => ({
    path: `landing/tracks/dt=${date}/part-${n}.csv`,
    body: random
      .shuffled(part)
      .map((line) => `${line}\n`)
      .join(''),
  }));
}

/** Most of the customers of {@link randomPlays}, and one who plays nothing. */
export const CUSTOMERS = [
  'CustID,Name,Gender,Address,zip,SignDate,Status,Level,Campaign,LinkedWithApps',
  ...Array.from(
    { length: 38 },
    (_, n) => `${n},${n % 7 === 0 ? '' : `"Zoë, the ${n}th"`},${n % 2},x,1,01/02/2013,1,${n % 3},${n % 5 === 0 ? '' : n % 4},0`,
  ),
  "77,o'Neill\\,1,x,1,01/02/2013,1,1,1,0",
]
  .map((line) => `${line}\n`)
  .join('');
