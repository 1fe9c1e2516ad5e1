/**
 * Ours beside deequ's strategies on labelled series: each tuned to one false alarm in a hundred on the first 15 %, then judged on the
 * rest. Reported as it comes out. Series are read as hourly means, since windows are what a pipeline judges.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { drift, DRIFT_WARN } from '../pipelines/drift';
import { relativeChanges } from '../pipelines/quality/change';
import { BAND, batchNormal, holtWintersScores, onlineNormal } from './deequ-strategies';
import { table } from './report';

const FOLDER = process.argv[2] ?? path.join(__dirname, '../../shared/data/anomaly');
const TUNED = 0.15;
const FALSE_ALARMS = 0.01;
const HOUR = 3_600_000;
const DAY = 24;
const LOOK_BACK = 9 * DAY;

interface Series {
  readonly name: string;
  readonly hours: readonly number[];
  readonly values: readonly number[];
  readonly incidents: readonly (readonly [number, number])[];
}

/** Whether a threshold calls each value anomalous, from what came before it; undefined where a method has nothing to say. */
type Alarms = (threshold: number) => readonly (boolean | undefined)[];

interface Method {
  /** The threshold it comes with: for a method that has nothing to say within the first values. */
  readonly threshold: number;
  readonly over: (series: Series, tuned: number) => Alarms;
}

/** deequ's as they run day by day: each value is tested once, and those before it are learned from whatever they were called. */
const METHODS: Readonly<Record<string, Method>> = {
  'almanac level': {
    threshold: DRIFT_WARN,
    over: ({ values, hours }) => {
      const scores = values.map((value, i) => {
        const from = Math.max(0, i - LOOK_BACK);
        const history = values.slice(from, i).map((past, j) => ({ window: keyOf(hours[from + j] ?? 0), value: past }));
        return drift(keyOf(hours[i] ?? 0), value, history, 'value').score ?? Number.NaN;
      });
      return (threshold) => scores.map((score) => above(score, threshold));
    },
  },
  'OnlineNormal': {
    threshold: 3,
    over:
      ({ values }) =>
      (factor) =>
        marked(values, onlineNormal(values, { ...factors(factor), ignoreStartPercentage: 0, ignoreAnomalies: false })),
  },
  'BatchNormal': {
    threshold: 3,
    over:
      ({ values }, tuned) =>
      (factor) =>
        marked(values, [
          ...batchNormal(values.slice(0, tuned), { ...factors(factor), includeInterval: true }),
          ...batchNormal(values, factors(factor), [tuned, null]),
        ]),
  },
  'HoltWinters': {
    threshold: BAND,
    over: ({ values }, tuned) => {
      const scores = holtWintersScores(values, DAY, Math.max(tuned, 2 * DAY));
      return (threshold) => scores.map((score) => above(score, threshold));
    },
  },
  'RelativeRateOfChange': {
    threshold: 2,
    over:
      ({ values }) =>
      (factor) =>
        marked(values, relativeChanges(values, { min: 1 / (1 + factor), max: 1 + factor })),
  },
};

/** From the keenest threshold to one that hears nothing, each a tenth above the one before. */
const THRESHOLDS = Array.from({ length: 120 }, (_, i) => 0.01 * 1.1 ** i);

function above(score: number, threshold: number): boolean | undefined {
  return Number.isNaN(score) ? undefined : score > threshold;
}

function factors(factor: number): { readonly lowerDeviationFactor: number; readonly upperDeviationFactor: number } {
  return { lowerDeviationFactor: factor, upperDeviationFactor: factor };
}

function marked(values: readonly number[], indexes: readonly number[]): boolean[] {
  const found = new Set(indexes);
  return values.map((_, i) => found.has(i));
}

function keyOf(hour: number): string {
  return new Date(hour * HOUR).toISOString().replace(/[-:]/g, '').slice(0, 13);
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function instant(text: string): number {
  return Date.parse(`${text.slice(0, 19).replace(' ', 'T')}Z`);
}

function readSeries(file: string, windows: Readonly<Record<string, [string, string][]>>): Series {
  const sums = new Map<number, { sum: number; n: number }>();
  for (const line of readFileSync(path.join(FOLDER, file), 'utf8').trim().split('\n').slice(1)) {
    const [at = '', text = ''] = line.split(',');
    const hour = Math.floor(instant(at) / HOUR);
    const one = sums.get(hour) ?? { sum: 0, n: 0 };
    sums.set(hour, { sum: one.sum + Number(text), n: one.n + 1 });
  }
  const hours = [...sums.keys()].sort((a, b) => a - b);
  const labelled = windows[file.replace('__', '/')] ?? [];
  return {
    name: file.replace(/^.*__|\.csv$/g, ''),
    hours,
    values: hours.map((hour) => (sums.get(hour)?.sum ?? 0) / (sums.get(hour)?.n ?? 1)),
    incidents: labelled.map(([from, to]) => [Math.floor(instant(from) / HOUR), Math.floor(instant(to) / HOUR)] as const),
  };
}

/** Incidents found of those after the tuning, and the share of other hours that alarm. */
function judged(series: Series, { threshold, over }: Method): { found: number; of: number; alarms: number } {
  const { hours, values, incidents } = series;
  const tuned = Math.floor(values.length * TUNED);
  const alarms = over(series, tuned);
  const inside = (i: number): boolean => incidents.some(([from, to]) => (hours[i] ?? 0) >= from && (hours[i] ?? 0) <= to);
  const quietly = (at: number): boolean => {
    const said = alarms(at)
      .slice(0, tuned)
      .filter((alarm, i) => alarm !== undefined && !inside(i));
    return said.filter(Boolean).length <= FALSE_ALARMS * said.length;
  };
  const speaks = alarms(threshold)
    .slice(0, tuned)
    .some((alarm) => alarm !== undefined);
  const chosen = speaks ? (THRESHOLDS.find(quietly) ?? Infinity) : threshold;
  const later = alarms(chosen)
    .map((alarm, i) => ({ i, alarm: alarm === true }))
    .slice(tuned);
  const after = incidents.filter(([from]) => from >= (hours[tuned] ?? 0));
  const found = after.filter(([from, to]) =>
    later.some(({ i, alarm }) => alarm && (hours[i] ?? 0) >= from && (hours[i] ?? 0) <= to),
  ).length;
  const quiet = later.filter(({ i }) => !inside(i));
  return { found, of: after.length, alarms: quiet.filter(({ alarm }) => alarm).length / Math.max(1, quiet.length) };
}

function main(): void {
  if (!existsSync(FOLDER)) {
    process.stderr.write('There are no labelled series beside this checkout: name their folder.\n');
    process.exitCode = 1;
    return;
  }
  const windows = JSON.parse(readFileSync(path.join(FOLDER, 'combined_windows.json'), 'utf8')) as Record<string, [string, string][]>;
  const files = readdirSync(FOLDER)
    .filter((name) => name.endsWith('.csv'))
    .sort();
  const methods = Object.entries(METHODS);
  const totals = new Map(methods.map(([method]) => [method, { found: 0, of: 0, alarms: [] as number[] }]));
  const rows = files.map((file) => {
    const series = readSeries(file, windows);
    return [
      `${series.name} (${series.values.length} h)`,
      ...methods.map(([method, how]) => {
        const { found, of, alarms } = judged(series, how);
        const total = totals.get(method);
        if (total !== undefined) Object.assign(total, { found: total.found + found, of: total.of + of, alarms: [...total.alarms, alarms] });
        return `${found}/${of}  ${(alarms * 100).toFixed(1)} %`;
      }),
    ];
  });
  const sums = methods.map(([method]) => {
    const { found = 0, of = 0, alarms = [] } = totals.get(method) ?? {};
    return `${found}/${of}  ${(average(alarms) * 100).toFixed(1)} %`;
  });
  process.stdout.write(`Incidents found of those labelled after the first ${TUNED * 100} %, and false alarms of the other hours\n\n`);
  process.stdout.write(`${table(['series', ...methods.map(([method]) => method)], [...rows, ['all', ...sums]])}\n`);
}

main();
