/**
 * Made-up landing data of the shapes that organic-share and listener-profiles read, the same on every machine, with what real ones have:
 * weeks without users, corrections, copies of events, events before their time, lines that cannot be read, customers nobody knows.
 */

const DAY_MS = 86_400_000;

/** Content by path below the data root. */
export type GeneratedFiles = ReadonlyMap<string, string>;

const CHANNELS = [
  ['Organic', 9],
  ['Facebook Installs', 5],
  ['Google Ads Search', 4],
  ['Apple Search Ads', 3],
  ['Email', 2],
  ['Referral', 2],
  ['Website', 1],
  ['Partnerships', 1],
] as const;
const COUNTRIES = [
  ['FR', 1],
  ['GB', 3],
  ['IT', 0.5],
] as const;
/** Weeks, counted from the first, in which a country gained nobody. */
const SILENT: Readonly<Record<string, readonly number[]>> = { FR: [2, 3, 4, 5, 6], IT: [8] };
const FIRST_DAY = Date.UTC(2024, 9, 1);
/** Each is a full extract; they end with the Sundays of the weeks that the demo runs. */
const EXTRACTS = ['2024-12-29', '2025-01-05', '2025-01-12'];

export const ORGANIC_WINDOWS = ['2024-W52', '2025-W01', '2025-W02'];

/** One CSV file an extract: every channel, day, country and system, with the sums over systems ('all') and countries ('ALL'). */
export function generateAcquisitions(): GeneratedFiles {
  const files = new Map<string, string>();
  for (const extract of EXTRACTS) {
    const rows = ['name,value,start_date,end_date,year_week,has_subtrackers,token,dataplatform_inserted_at,country,os_name'];
    for (let day = FIRST_DAY; day <= Date.parse(extract); day += DAY_MS) rows.push(...acquisitionsOf(day, extract));
    files.set(`landing/acquisitions/dt=${extract}/extract.csv`, `${rows.join('\n')}\n`);
  }
  return files;
}

function acquisitionsOf(day: number, extract: string): string[] {
  const date = isoDate(day);
  const week = Math.floor((day - FIRST_DAY) / (7 * DAY_MS));
  const rows: string[] = [];
  for (const [index, [name, rate]] of CHANNELS.entries()) {
    const sums = new Map<string, number>();
    for (const [country, factor] of COUNTRIES) {
      if (SILENT[country]?.includes(week) === true) continue;
      for (const system of ['android', 'ios']) {
        const value = Math.floor(draw(`${name} ${country} ${system} ${date}`) * rate * factor * 2);
        for (const place of [`${country},${system}`, `${country},all`, `ALL,${system}`, 'ALL,all'])
          sums.set(place, (sums.get(place) ?? 0) + value);
      }
    }
    for (const [place, value] of sums) {
      const row = (number: number, inserted: string): string =>
        `${name},${number},${date},${date},${isoWeek(day)},${index % 2 === 0},t0k3n0${index},${inserted},${place}`;
      // A day is inserted twice: at once, and corrected a week later.
      if (day + 7 * DAY_MS <= Date.parse(extract)) rows.push(row(value, `${isoDate(day + 7 * DAY_MS)} 03:00:00`));
      rows.push(row(Math.floor(value * 0.9), `${isoDate(day + DAY_MS)} 03:00:00`));
    }
  }
  return rows;
}

const LISTENERS = 400;
const KNOWN_LISTENERS = 395;
const TRACKS = 300;
const EVENTS_A_DAY = 3000;
const FIRST_LISTENING_DAY = Date.UTC(2024, 11, 1);

export const LISTENER_WINDOWS = Array.from({ length: 7 }, (_, n) => isoDate(FIRST_LISTENING_DAY + n * DAY_MS));

/** A file a day of lines without header, and `reference/cust.csv`. */
export function generateTracks(): GeneratedFiles {
  const lines = LISTENER_WINDOWS.map((): string[] => []);
  for (let event = 0; event < EVENTS_A_DAY * LISTENER_WINDOWS.length; event++) {
    const day = Math.floor(event / EVENTS_A_DAY);
    const second = Math.floor(draw(`second ${event}`) * 86_400);
    const ts = new Date(FIRST_LISTENING_DAY + day * DAY_MS + second * 1000).toISOString().slice(0, 19).replace('T', ' ');
    const customer = Math.floor(draw(`customer ${event}`) ** 1.5 * LISTENERS);
    const track = Math.floor(draw(`track ${event}`) ** 2 * TRACKS);
    const line = `${event},${customer},${track},"${ts}",${draw(`mobile ${event}`) < 0.6 ? 1 : 0},"${10_000 + ((customer * 37) % 90_000)}"`;
    // Some clocks are ahead of the export, and some lines come again with the next one.
    const landed = event % 500 === 0 && day > 0 ? day - 1 : day;
    lines[landed]?.push(line);
    if (event % 50 === 7) lines[day + 1]?.push(line);
  }
  const files = new Map<string, string>();
  for (const [n, day] of LISTENER_WINDOWS.entries()) {
    const broken = [`${n},who?,12,"${day} 12:00:00",1,"10000"`, `1${n}00000,17`];
    files.set(`landing/tracks/dt=${day}/tracks.csv`, [...(lines[n] ?? []), ...broken].map((line) => `${line}\n`).join(''));
  }
  files.set('reference/cust.csv', customers());
  return files;
}

function customers(): string {
  const rows = ['CustID,Name,Gender,Address,zip,SignDate,Status,Level,Campaign,LinkedWithApps'];
  for (let id = 0; id < KNOWN_LISTENERS; id++) {
    const level = Math.floor(draw(`level ${id}`) * 3);
    rows.push(
      `${id},"Listener ${id}",${id % 2},"${id} Any Street","${10_000 + ((id * 37) % 90_000)}","01/02/2024",1,${level},${Math.floor(draw(`campaign ${id}`) * 5)},0`,
    );
  }
  return `${rows.join('\n')}\n`;
}

function isoDate(day: number): string {
  return new Date(day).toISOString().slice(0, 10);
}

function isoWeek(day: number): string {
  const thursday = day + (3 - ((new Date(day).getUTCDay() + 6) % 7)) * DAY_MS;
  const year = new Date(thursday).getUTCFullYear();
  return `${year}_${String(Math.floor((thursday - Date.UTC(year, 0, 1)) / (7 * DAY_MS)) + 1).padStart(2, '0')}`;
}

/** From 0 to 1, always the same for a text: FNV-1a, mixed once more. */
function draw(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b);
  hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
