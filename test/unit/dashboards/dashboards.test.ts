import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { metricsIn, panelExpressions, RULES_DIRECTORY } from '../../support/dashboards';
import { documentedMetrics } from '../../support/metrics-page';
import { MISSING_TOOLS } from '../../support/prometheus';

const RULES = readFileSync(path.join(RULES_DIRECTORY, 'almanac.rules.yaml'), 'utf8');
const TESTS = readFileSync(path.join(RULES_DIRECTORY, 'almanac.test.yaml'), 'utf8');
const PANELS = panelExpressions('plays');

/** Metrics of the page under every name that a query may use. */
function queryable(): ReadonlySet<string> {
  const sections = ['Of compute workers', 'Of control workers', 'Of both', 'Of the Temporal SDK'];
  return new Set(
    sections
      .flatMap(documentedMetrics)
      .flatMap(({ name, type }) => (type === 'histogram' ? ['_bucket', '_sum', '_count'].map((end) => name + end) : [name])),
  );
}

test('every metric that a panel or a rule names is on the page of metrics', () => {
  // Names of groups and files begin as metrics do.
  const rules = RULES.split('\n')
    .filter((line) => !line.trim().startsWith('#') && !line.includes('almanac.rules'))
    .join('\n');
  const named = [...metricsIn(rules), ...PANELS.flatMap(({ expression }) => metricsIn(expression))];
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((name) => !queryable().has(name))).toEqual([]);
});

test('every label that a panel or a rule filters or groups by is one of the metric’s', () => {
  const labels = new Map(
    ['Of compute workers', 'Of control workers', 'Of the Temporal SDK']
      .flatMap(documentedMetrics)
      .map((metric) => [metric.name, metric.labels]),
  );
  for (const { title, expression } of PANELS) {
    for (const [, metric = '', filters = ''] of expression.matchAll(/\b(almanac_[a-z_]+?)(?:_bucket)?\{([^}]*)\}/g)) {
      const used = [...filters.matchAll(/(\w+)\s*=~?/g)].map(([, label]) => label);
      expect([title, used.filter((label) => !(labels.get(metric) ?? []).includes(label ?? ''))]).toEqual([title, []]);
    }
  }
});

test('panels do not lie on each other and say what they show', () => {
  for (const { title, expression } of PANELS)
    expect([title, expression]).toEqual([expect.stringMatching(/\w/), expect.stringMatching(/\w/)]);
  const titles = PANELS.map(({ dashboard, title }) => `${dashboard} ${title}`);
  expect(new Set(titles).size).toBe(titles.length);
});

test('every alert is tested, firing and silent, and names the next command', () => {
  const alerts = [...RULES.matchAll(/- alert: (\w+)/g)].map(([, name = '']) => name);
  expect(alerts.length).toBeGreaterThan(8);
  for (const alert of alerts) {
    const cases = TESTS.split('eval_time:').filter((part) => part.includes(`alertname: ${alert}\n`));
    expect([alert, cases.some((part) => part.includes('exp_labels')), cases.some((part) => part.includes('exp_alerts: []'))]).toEqual([
      alert,
      true,
      true,
    ]);
  }
  expect(RULES.match(/^ +next: .*almanac /gm)).toHaveLength(alerts.length);
});

if (MISSING_TOOLS.includes('promtool') && process.env.CI !== 'true') {
  process.stderr.write('no promtool here: the alert rules are not tested (Debian package prometheus)\n');
} else {
  describe('promtool', () => {
    const promtool = (...args: string[]): { status: number | null; said: string } => {
      const { status, stdout, stderr, error } = spawnSync('promtool', args, { cwd: RULES_DIRECTORY, encoding: 'utf8' });
      return { status, said: error === undefined ? `${stdout}${stderr}` : String(error) };
    };

    test('the rules are well-formed and do what their tests say', () => {
      expect(promtool('check', 'rules', 'almanac.rules.yaml')).toMatchObject({ status: 0 });
      expect(promtool('test', 'rules', 'almanac.test.yaml')).toMatchObject({ status: 0 });
    });

    test('every expression of a panel parses', () => {
      const directory = mkdtempSync(path.join(os.tmpdir(), 'almanac-panels-'));
      const file = path.join(directory, 'panels.yaml');
      const rules = PANELS.map(({ expression }, index) => ({ record: `panel:${index}`, expr: expression }));
      writeFileSync(file, JSON.stringify({ groups: [{ name: 'panels', rules }] }));
      expect(promtool('check', 'rules', file)).toMatchObject({ status: 0 });
      writeFileSync(file, JSON.stringify({ groups: [{ name: 'panels', rules: [{ record: 'panel:0', expr: 'max by (' }] }] }));
      expect(promtool('check', 'rules', file)).toMatchObject({ status: 1 });
      rmSync(directory, { recursive: true });
    });
  });
}
