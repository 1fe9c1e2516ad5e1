/** How many requests of one operation are let through: `perSecond` in the long run, `burst` at once. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** A token bucket: what was left of it at `at` (milliseconds). */
export interface Bucket {
  readonly tokens: number;
  readonly at: number;
}

export interface Draw {
  readonly allowed: boolean;
  readonly bucket: Bucket;
}

/** Takes one token at `now`, if there is a whole one. Undefined is a bucket nobody drew from; a clock that goes back refills nothing. */
export function draw(bucket: Bucket | undefined, rate: Rate, now: number): Draw {
  const before = bucket ?? { tokens: rate.burst, at: now };
  const refilled = Math.min(rate.burst, before.tokens + (Math.max(0, now - before.at) / 1000) * rate.perSecond);
  const allowed = refilled >= 1;
  return { allowed, bucket: { tokens: allowed ? refilled - 1 : refilled, at: Math.max(now, before.at) } };
}

/** `10` or `10:20` (a second, at once) as a rate; undefined when it is neither. */
export function parseRate(text: string): Rate | undefined {
  const match = /^(\d+(?:\.\d+)?)(?::(\d+))?$/.exec(text);
  const perSecond = Number(match?.[1]);
  const burst = Number(match?.[2] ?? Math.max(1, Math.ceil(perSecond)));
  return perSecond > 0 && burst >= 1 ? { perSecond, burst } : undefined;
}
