/** What listener-profiles computes, written down plainly: every event of every folder is looked at for every window. */

export interface Play {
  readonly event: number;
  readonly customer: number;
  readonly track: number;
  /** `YYYY-MM-DD HH:MM:SS`, UTC. */
  readonly ts: string;
  readonly mobile: boolean;
  /** The date of the folder it lies in. */
  readonly landedOn: string;
}

/** The published counts of a customer, in the order of the table. */
export interface Profile {
  readonly customer: number;
  readonly unique_tracks: number;
  readonly night: number;
  readonly morning: number;
  readonly afternoon: number;
  readonly evening: number;
  readonly mobile: number;
}

export interface Average {
  readonly metric: string;
  readonly mean: number;
  readonly variance: number;
  readonly min: number;
  readonly max: number;
  readonly nonZeros: number;
  readonly count: number;
}

/** The events of window `day`, each id once: of copies the one that could be counted first, of two such the lesser. */
export function eventsOf(plays: readonly Play[], day: string): Play[] {
  const chosen = new Map<number, Play>();
  for (const play of plays) {
    if (play.landedOn > day || play.ts.slice(0, 10) > day) continue;
    const other = chosen.get(play.event);
    if (other === undefined || orderOf(play) < orderOf(other)) chosen.set(play.event, play);
  }
  return [...chosen.values()];
}

/** By customer, ascending as text of no sign: as a number. */
export function profilesOf(plays: readonly Play[], day: string): Profile[] {
  const byCustomer = new Map<number, Play[]>();
  for (const play of eventsOf(plays, day)) byCustomer.set(play.customer, [...(byCustomer.get(play.customer) ?? []), play]);
  return [...byCustomer]
    .sort(([a], [b]) => a - b)
    .map(([customer, own]) => {
      const within = (test: (hour: number) => boolean): number => own.filter(({ ts }) => test(Number(ts.slice(11, 13)))).length;
      return {
        customer,
        unique_tracks: new Set(own.map(({ track }) => track)).size,
        night: within((hour) => hour < 5 || hour >= 22),
        morning: within((hour) => hour >= 5 && hour < 12),
        afternoon: within((hour) => hour >= 12 && hour < 17),
        evening: within((hour) => hour >= 17 && hour < 22),
        mobile: own.filter(({ mobile }) => mobile).length,
      };
    });
}

/** As MLlib's colStats: the variance of a sample, 0 of one value. */
export function averagesOf(profiles: readonly Profile[]): Average[] {
  const metrics = ['unique_tracks', 'night', 'morning', 'afternoon', 'evening', 'mobile'] as const;
  if (profiles.length === 0) return [];
  return metrics.map((metric) => {
    const values = profiles.map((profile) => profile[metric]);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    return {
      metric,
      mean,
      variance: values.length === 1 ? 0 : squares / (values.length - 1),
      min: values.reduce((least, value) => Math.min(least, value)),
      max: values.reduce((most, value) => Math.max(most, value)),
      nonZeros: values.filter((value) => value !== 0).length,
      count: values.length,
    };
  });
}

function orderOf({ ts, landedOn, customer, track, mobile }: Play): string {
  const day = ts.slice(0, 10);
  const padded = (value: number): string => String(value).padStart(12, '0');
  return [landedOn > day ? landedOn : day, ts, padded(customer), padded(track), mobile ? '1' : '0'].join(' ');
}
