import { drift, type DriftScale, type HistoricValue } from '../../../pipelines/drift';
import { driftOf } from '../../../pipelines/drift-methods';
import { dailyKey, normal, poisson, seeded, tenMinuteKey } from '../../support/histories';

type Process = (next: () => number) => () => number;

const PROCESSES: Readonly<Record<string, { readonly process: Process; readonly scale: DriftScale }>> = {
  'Gaussian': { process: (next) => () => 100 + 5 * normal(next), scale: 'value' },
  'AR(1) of 0.6': {
    process: (next) => {
      let state = 0;
      return () => 100 + 5 * (state = 0.6 * state + 0.8 * normal(next));
    },
    scale: 'value',
  },
  'Poisson of 5': { process: (next) => () => poisson(next, 5), scale: 'count' },
  'Poisson of 1000': { process: (next) => () => poisson(next, 1000), scale: 'count' },
};

/** More histories than a commit can wait for: `ALMANAC_TEST_DRIFT=long`. */
const TIMES = process.env['ALMANAC_TEST_DRIFT'] === 'long' ? 6 : 1;

/** Windows a day and how far back a window looks, in windows. */
const CADENCES = {
  'daily': { key: dailyKey, back: 63, season: 7 },
  'ten-minute': { key: tenMinuteKey, back: 144 * 9, season: 144 },
} as const;

/** How often windows of histories without change alarm. */
function alarms(
  of: Process,
  scale: DriftScale,
  cadence: keyof typeof CADENCES,
  judged: number,
  histories: number,
): { warn: number; fail: number } {
  const { key, back } = CADENCES[cadence];
  let [warn, fail, total] = [0, 0, 0];
  for (let h = 0; h < histories; h++) {
    const draw = of(seeded(1000 * h + back));
    const history: HistoricValue[] = Array.from({ length: back }, (_, i) => ({ window: key(i), value: draw() }));
    for (let i = back; i < back + judged; i++) {
      const value = draw();
      const { level } = drift(key(i), value, history.slice(-back), scale);
      total++;
      if (level === 'warn' || level === 'fail') warn++;
      if (level === 'fail') fail++;
      history.push({ window: key(i), value });
    }
  }
  return { warn: warn / total, fail: fail / total };
}

describe('histories without change', () => {
  for (const [name, { process: of, scale }] of Object.entries(PROCESSES)) {
    test(`${name}, daily: at most 0.05 % fail and 2 % warn`, () => {
      const { warn, fail } = alarms(of, scale, 'daily', 400, 10 * TIMES);
      expect(fail).toBeLessThanOrEqual(0.0005);
      expect(warn).toBeLessThanOrEqual(0.02);
    });
    test(`${name}, every ten minutes: at most 0.05 % fail and 2 % warn`, () => {
      const { warn, fail } = alarms(of, scale, 'ten-minute', 60, 6 * TIMES);
      expect(fail).toBeLessThanOrEqual(0.0005);
      expect(warn).toBeLessThanOrEqual(0.02);
    });
  }

  test('shares drawn of many rows, by the test of proportions', () => {
    const next = seeded(7);
    let [warn, fail] = [0, 0];
    const share = (): number => Math.min(1, Math.max(0, 0.97 + Math.sqrt((0.97 * 0.03) / 10_000) * normal(next)));
    const history = Array.from({ length: 63 }, (_, i) => ({ window: dailyKey(i), value: share(), rows: 10_000 }));
    for (let i = 63; i < 3063; i++) {
      const tested = { window: dailyKey(i), value: share(), rows: 10_000, state: undefined, scale: 'ratio' } as const;
      const { level } = driftOf({ method: 'proportion', fail: 6 }, tested, history.slice(-63));
      if (level !== 'normal') warn++;
      if (level === 'fail') fail++;
      history.push({ window: tested.window, value: tested.value, rows: 10_000 });
    }
    expect(fail).toBe(0);
    expect(warn / 3000).toBeLessThanOrEqual(0.02);
  });
});

describe('changes', () => {
  const histories = Array.from({ length: 200 }, (_, h) => {
    const next = seeded(h);
    return Array.from({ length: 64 }, () => 100 + 5 * normal(next));
  });
  const judged = (
    change: (values: number[]) => { values: number[]; keep?: (i: number) => boolean },
  ): { warned: number; failed: number } => {
    const levels = histories.map((values) => {
      const { values: changed, keep = () => true } = change([...values]);
      const history = changed
        .slice(0, 63)
        .map((value, i) => ({ window: dailyKey(i), value }))
        .filter((_, i) => keep(i));
      return drift(dailyKey(63), changed[63] ?? 0, history, 'value').level;
    });
    const share = (of: readonly string[]): number => levels.filter((level) => of.includes(level)).length / levels.length;
    return { warned: share(['warn', 'fail']), failed: share(['fail']) };
  };
  const shifted = (by: number) => (values: number[]) => ({ values: values.map((value, i) => (i === 63 ? value + 5 * by : value)) });

  test('a shift of six deviations is told nearly always, one of nine fails nearly always', () => {
    expect(judged(shifted(6)).warned).toBeGreaterThan(0.9);
    expect(judged(shifted(9)).failed).toBeGreaterThan(0.9);
  });

  test('a past incident hides no later one', () => {
    const { failed } = judged((values) => ({ values: shifted(9)(values.map((value, i) => (i === 40 ? 1e6 : value))).values }));
    expect(failed).toBeGreaterThan(0.9);
  });

  test('missing windows move no season', () => {
    const { warned } = judged((values) => ({ values: shifted(6)(values).values, keep: (i) => i % 5 !== 3 }));
    expect(warned).toBeGreaterThan(0.85);
    expect(judged((values) => ({ values, keep: (i) => i % 5 !== 3 })).failed).toBeLessThanOrEqual(0.01);
  });

  test('a gradual drift of a fifth of a deviation a day is told within ten weeks', () => {
    const told = Array.from({ length: 100 }, (_, h) => {
      const next = seeded(5000 + h);
      const history: HistoricValue[] = [];
      for (let i = 0; i < 133; i++) {
        const value = 100 + 5 * normal(next) + (i < 63 ? 0 : (i - 62) * 1);
        if (i >= 63 && ['warn', 'fail'].includes(drift(dailyKey(i), value, history, 'value').level)) return true;
        history.push({ window: dailyKey(i), value });
      }
      return false;
    });
    expect(told.filter(Boolean).length).toBeGreaterThan(90);
  });

  test.each([
    ['AR(1) of 0.6', 'daily', 'nine deviations up', (value: number) => value + 45],
    ['Poisson of 1000', 'daily', 'a drop by 30 %', (value: number) => value * 0.7],
    ['Poisson of 5', 'daily', 'five times as many', (value: number) => value * 5 + 10],
    ['Gaussian', 'ten-minute', 'nine deviations down', (value: number) => value - 45],
    ['Poisson of 1000', 'ten-minute', 'a rise by 50 %', (value: number) => value * 1.5],
  ] as const)('%s, %s: %s is told nearly always, with windows missing and after an incident too', (name, cadence, _, change) => {
    const { process: of, scale } = PROCESSES[name] ?? {};
    if (of === undefined || scale === undefined) throw new Error(`no process ${name}`);
    const { key, back } = CADENCES[cadence];
    const told = { whole: 0, holes: 0, incident: 0 };
    for (let h = 0; h < 60; h++) {
      const draw = of(seeded(9000 + h));
      const history = Array.from({ length: back }, (_window, i) => ({ window: key(i), value: draw() }));
      const tested = change(draw());
      const alarm = (past: readonly HistoricValue[]): number =>
        ['warn', 'fail'].includes(drift(key(back), tested, past, scale).level) ? 1 : 0;
      told.whole += alarm(history);
      told.holes += alarm(history.filter((_window, i) => i % 5 !== 3));
      told.incident += alarm(history.map((past, i) => (i === back - 10 ? { ...past, value: 1e7 } : past)));
    }
    for (const found of [told.whole, told.holes, told.incident]) expect(found).toBeGreaterThan(54);
  });

  test('the order in which a backfill brings windows changes no verdict, whichever window comes last', () => {
    const [first = []] = histories;
    const history = first.map((value, i) => ({ window: dailyKey(i), value }));
    const next = seeded(77);
    for (let i = 28; i < history.length; i++) {
      const shuffled = history
        .map((past) => ({ past, at: next() }))
        .sort((a, b) => a.at - b.at)
        .map(({ past }) => past);
      expect(drift(dailyKey(i), 130, shuffled, 'value')).toEqual(drift(dailyKey(i), 130, history.slice(0, i), 'value'));
    }
  });
});

test.each([
  [{ above: 0.9, below: 1.5 }, 100, 'normal'],
  [{ above: 1, below: 1.5 }, 100, 'warn'],
  [{ above: 0.9, below: 1.5 }, 150, 'warn'],
  [{ max: 1.5 }, 150, 'normal'],
] as const)('a rate keeps to %j: of %d after 100 it is %s', (warn, value, level) => {
  const past = [{ window: dailyKey(0), value: 100, rows: 5 }];
  expect(driftOf({ method: 'rate', warn }, { window: dailyKey(1), value, rows: 5, state: undefined, scale: 'value' }, past).level).toBe(
    level,
  );
});
