/**
 * Drift: is a value unlike the accepted values of earlier windows? The level is a median, the scale a pooled MAD, so one
 * bad day in the history moves neither; seasons go by the calendar and gaps stay gaps. Pure, and blind to the order in
 * which the history arrives.
 */
export interface HistoricValue {
  readonly window: string;
  readonly value: number;
}

/** `count` is judged by its logarithm, so that a doubling weighs the same at every size; `ratio` and any other `value` as it is. */
export type DriftScale = 'count' | 'ratio' | 'value';

export interface Drift {
  readonly level: 'no-history' | 'normal' | 'warn' | 'fail';
  /** Windows of the same calendar key the level was taken from. */
  readonly n: number;
  /** Values between these are normal; absent without history. */
  readonly low?: number;
  readonly high?: number;
  readonly score?: number;
}

export const DRIFT_WARN = 3.5;
export const DRIFT_FAIL = 6;
export const DRIFT_MIN_WINDOWS = 4;
const MAX_WINDOWS = 8;
/** Median absolute deviation of a normal distribution with standard deviation 1. */
const NORMAL_MAD = 0.6745;
/**
 * Floors under the scale. A constant series has MAD 0 and would alarm on +1, or never if 0 were left out: with these it
 * warns from about 5 % on, small counts from a handful of rows on, ratios from half a percentage point on.
 */
const RELATIVE_FLOOR = 0.01;
const COUNT_FLOOR = 0.5;
const RATIO_FLOOR = 0.001;
/** Of values that may be of any size, only against rounding. */
const VALUE_FLOOR = 1e-9;

/**
 * Counts that are commonly below this are judged by their square roots, as Poisson counts: logarithms make too much of the step
 * from one to none.
 */
const FEW = 50;
const ANSCOMBE = 3 / 8;

type Scale = DriftScale | 'few';

const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'] as const;

/** What a window is compared by: the weekday of a daily one, the time of day of a shorter one; weeks are all alike. */
export function calendarKey(window: string): string {
  const [, hours, minutes] = /^\d{8}T(\d{2})(\d{2})/.exec(window) ?? [];
  if (hours !== undefined) return `${hours}:${minutes} window`;
  return WEEKDAYS[new Date(`${window}T00:00:00Z`).getUTCDay()] ?? 'window';
}

/** Judges `value` of `window` against earlier windows of `history`; the tested window and later ones count for nothing. */
export function drift(window: string, value: number, history: readonly HistoricValue[], scale: DriftScale): Drift {
  const by = scale === 'count' && few(window, history) ? 'few' : scale;
  return judgeSeasons(window, value, lastWindows(window, history, by), by);
}

function judgeSeasons(window: string, value: number, seasons: ReadonlyMap<string, readonly number[]>, scale: Scale): Drift {
  const own = seasons.get(calendarKey(window)) ?? [];
  if (own.length < DRIFT_MIN_WINDOWS) return { level: 'no-history', n: own.length };
  const level = median(own);
  const deviations = [...seasons.values()].filter(({ length }) => length >= DRIFT_MIN_WINDOWS).flatMap(residuals);
  const spread = Math.max(median(deviations), ...floors(level, scale));
  const score = (NORMAL_MAD * Math.abs(transform(value, scale) - level)) / spread;
  const reach = (DRIFT_WARN * spread) / NORMAL_MAD;
  return {
    level: score >= DRIFT_FAIL ? 'fail' : score >= DRIFT_WARN ? 'warn' : 'normal',
    n: own.length,
    low: scale === 'value' ? level - reach : Math.max(0, restore(level - reach, scale)),
    high: restore(level + reach, scale),
    score,
  };
}

/** Whether the counts of earlier windows are commonly small. */
function few(window: string, history: readonly HistoricValue[]): boolean {
  const values = history.filter((past) => past.window < window && Number.isFinite(past.value)).map(({ value }) => value);
  return values.length > 0 && median(values) < FEW;
}

/** Transformed values by calendar key: of each the last ones before `window`, one a window. */
function lastWindows(window: string, history: readonly HistoricValue[], scale: Scale): Map<string, number[]> {
  const earlier = new Map<string, number>();
  for (const past of history) if (past.window < window && Number.isFinite(past.value)) earlier.set(past.window, past.value);
  const seasons = new Map<string, number[]>();
  for (const [past, value] of [...earlier].sort(([a], [b]) => (a < b ? 1 : -1))) {
    const season = seasons.get(calendarKey(past)) ?? [];
    if (season.length < MAX_WINDOWS) season.push(transform(value, scale));
    seasons.set(calendarKey(past), season);
  }
  return seasons;
}

/** Distances from the season's own median, widened by what fitting that median to so few values took away. */
function residuals(season: readonly number[]): number[] {
  const level = median(season);
  const widening = Math.sqrt(season.length / (season.length - 1));
  return season.map((value) => Math.abs(value - level) * widening);
}

/** On the logarithmic scale a relative floor is a constant and an absolute one shrinks with the level. */
function floors(level: number, scale: Scale): number[] {
  if (scale === 'few') return [NORMAL_MAD];
  if (scale === 'count') return [RELATIVE_FLOOR, COUNT_FLOOR / Math.exp(level)];
  return [RELATIVE_FLOOR * Math.abs(level), scale === 'ratio' ? RATIO_FLOOR : VALUE_FLOOR];
}

function transform(value: number, scale: Scale): number {
  if (scale === 'few') return 2 * Math.sqrt(Math.max(0, value) + ANSCOMBE);
  return scale === 'count' ? Math.log1p(Math.max(0, value)) : value;
}

function restore(value: number, scale: Scale): number {
  if (scale === 'few') return (Math.max(0, value) / 2) ** 2 - ANSCOMBE;
  return scale === 'count' ? Math.expm1(value) : value;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted.length >> 1;
  const high = sorted[upper] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : (high + (sorted[upper - 1] ?? Number.NaN)) / 2;
}
