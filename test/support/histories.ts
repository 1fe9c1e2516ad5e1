/** Histories from a seed (mulberry32), so that every run of a test sees the same ones. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Mean 0, deviation 1. */
export function normal(next: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}

export function poisson(next: () => number, mean: number): number {
  if (mean > 50) return Math.max(0, Math.round(mean + Math.sqrt(mean) * normal(next)));
  const limit = Math.exp(-mean);
  let product = next();
  let count = 0;
  for (; product > limit; count++) product *= next();
  return count;
}

const START = Date.parse('2024-01-01T00:00:00Z');
const DAY = 86_400_000;

/** The i-th day, a Monday first. */
export function dailyKey(i: number): string {
  return new Date(START + i * DAY).toISOString().slice(0, 10);
}

export function tenMinuteKey(i: number): string {
  return new Date(START + i * 600_000).toISOString().replace(/[-:]/g, '').slice(0, 13);
}
