import { Registry } from 'prom-client';
import { systemClock } from '../../../lib/clock';
import { FAILURE_CLASSES } from '../../../pipelines/failures';
import { RUN_STATES } from '../../../pipelines/status';
import { LedgerGauges } from '../../../workers/ledger-gauges';
import { StageMetrics } from '../../../workers/metrics';
import { SdkMetrics } from '../../../workers/metrics-sdk';
import { documentedMetrics, METRICS_PAGE, type DocumentedMetric } from '../../support/metrics-page';

function registered(registry: Registry): Omit<DocumentedMetric, 'unit'>[] {
  return registry.getMetricsAsArray().map((metric) => {
    const { name, type, help, labelNames } = metric as unknown as { name: string; type: string; help: string; labelNames: string[] };
    return { name, type, labels: labelNames, meaning: help };
  });
}

async function registries(): Promise<Readonly<Record<string, Registry>>> {
  const both = new Registry();
  new SdkMetrics(both, 'http://127.0.0.1:1/metrics', () => undefined);
  await using ledger = new LedgerGauges({ databaseUrl: 'postgres://127.0.0.1:1/none', clock: systemClock, failed: () => undefined });
  return { 'Of compute workers': new StageMetrics().registry, 'Of control workers': ledger.registry, 'Of both': both };
}

test.each(['Of compute workers', 'Of control workers', 'Of both'])(
  '%s: the page has every metric with its type, labels and meaning',
  async (title) => {
    const registry = (await registries())[title] ?? new Registry();
    const rows = documentedMetrics(title);
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.map(({ unit: _, ...row }) => row)).toEqual(registered(registry));
  },
);

test('a name ends in its unit, a counter in _total', () => {
  const rows = ['Of compute workers', 'Of control workers', 'Of both'].flatMap(documentedMetrics);
  for (const { name, type, unit } of rows) {
    expect([name, name.endsWith('_total')]).toEqual([name, type === 'counter']);
    for (const base of ['seconds', 'bytes']) expect([name, unit.startsWith(base)]).toEqual([name, name.includes(`_${base}`)]);
    expect(unit).not.toBe('');
  }
});

test('the values of labels it lists are those of the tables', () => {
  const open = Object.entries(RUN_STATES).filter(([, facts]) => facts.open);
  const named = /`state` is ([^;]*);/.exec(METRICS_PAGE)?.[1] ?? '';
  expect([...named.matchAll(/`(\w+)`/g)].map(([, state]) => state)).toEqual(open.map(([state]) => state));
  const perPipeline = open.length + Object.keys(FAILURE_CLASSES).length + 1;
  expect(METRICS_PAGE.replaceAll('\n', ' ')).toContain(`On a control worker one pipeline costs ${perPipeline},`);
});
