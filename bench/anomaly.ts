/**
 * Ours beside deequ's strategies on labelled series: each tuned to one false alarm in a hundred on the first 15 %, then judged on the
 * rest. Reported as it comes out. Series are read as hourly means, since windows are what a pipeline judges.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { drift, DRIFT_WARN } from '../pipelines/drift';
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

/** How anomalous each value is, from what came before it; NaN where a method has nothing to say. */
const METHODS: Readonly<Record<string, (values: readonly number[], hours: readonly number[], tuned: number) => number[]>> = {
  'almanac level': (values, hours) =>
    values.map((value, i) => {
      const from = Math.max(0, i - LOOK_BACK);
      const history = values.slice(from, i).map((past, j) => ({ window: keyOf(hours[from + j] ?? 0), value: past }));
      return drift(keyOf(hours[i] ?? 0), value, history, 'value').score ?? Number.NaN;
    }),
  'OnlineNormal': (values) => {
    let [mean, sum] = [0, 0];
    return values.map((value, i) => {
      const next = mean + (value - mean) / (i + 1);
      sum += (value - mean) * (value - next);
      mean = next;
      return Math.abs(value - mean) / Math.sqrt(sum / (i + 1));
    });
  },
  'BatchNormal': (values, _, tuned) => {
    const base = values.slice(0, tuned);
    const mean = average(base);
    const deviation = Math.sqrt(average(base.map((value) => (value - mean) ** 2)));
    return values.map((value) => Math.abs(value - mean) / deviation);
  },
  'HoltWinters': (values, _, tuned) => {
    const [alpha, beta, gamma] = [0.3, 0.1, 0.1];
    const season = values.slice(0, DAY).map((value) => value - average(values.slice(0, DAY)));
    let level = average(values.slice(0, DAY));
    let trend = 0;
    const residuals = values.map((value, i) => {
      const seasonal = season[i] ?? 0;
      const residual = value - (level + trend + seasonal);
      const next = alpha * (value - seasonal) + (1 - alpha) * (level + trend);
      season.push(gamma * (value - level - trend) + (1 - gamma) * seasonal);
      trend = beta * (next - level) + (1 - beta) * trend;
      level = next;
      return Math.abs(residual);
    });
    const scale = average(residuals.slice(DAY, tuned));
    return residuals.map((residual, i) => (i < DAY ? Number.NaN : residual / scale));
  },
  'RelativeRateOfChange': (values) =>
    values.map((value, i) => {
      const ratio = i === 0 ? Number.NaN : value / (values[i - 1] ?? Number.NaN);
      return Math.abs(Math.log(Math.abs(ratio)));
    }),
};

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
function judged({ hours, values, incidents }: Series, method: string): { found: number; of: number; alarms: number } {
  const tuned = Math.floor(values.length * TUNED);
  const scores = METHODS[method]?.(values, hours, tuned) ?? [];
  const learned = scores
    .slice(0, tuned)
    .filter((score) => !Number.isNaN(score))
    .sort((a, b) => a - b);
  // A method that has nothing to say so early keeps the threshold it comes with.
  const threshold = learned[Math.ceil(learned.length * (1 - FALSE_ALARMS)) - 1] ?? DRIFT_WARN;
  const inside = (i: number): boolean => incidents.some(([from, to]) => (hours[i] ?? 0) >= from && (hours[i] ?? 0) <= to);
  const later = scores.map((score, i) => ({ i, alarm: score > threshold })).slice(tuned);
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
  const methods = Object.keys(METHODS);
  const totals = new Map(methods.map((method) => [method, { found: 0, of: 0, alarms: [] as number[] }]));
  const rows = files.map((file) => {
    const series = readSeries(file, windows);
    return [
      `${series.name} (${series.values.length} h)`,
      ...methods.map((method) => {
        const { found, of, alarms } = judged(series, method);
        const total = totals.get(method);
        if (total !== undefined) Object.assign(total, { found: total.found + found, of: total.of + of, alarms: [...total.alarms, alarms] });
        return `${found}/${of}  ${(alarms * 100).toFixed(1)} %`;
      }),
    ];
  });
  const sums = methods.map((method) => {
    const { found = 0, of = 0, alarms = [] } = totals.get(method) ?? {};
    return `${found}/${of}  ${(average(alarms) * 100).toFixed(1)} %`;
  });
  process.stdout.write(`Incidents found of those labelled after the first ${TUNED * 100} %, and false alarms of the other hours\n\n`);
  process.stdout.write(`${table(['series', ...methods], [...rows, ['all', ...sums]])}\n`);
}

main();
