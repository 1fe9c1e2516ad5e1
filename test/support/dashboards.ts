import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../../lib/package-root';

export const RULES_DIRECTORY = path.join(packageRoot(), 'dashboards', 'prometheus');
const GRAFANA = path.join(packageRoot(), 'dashboards', 'grafana');

export interface Panel {
  readonly dashboard: string;
  readonly title: string;
  readonly expression: string;
}

/** Every expression of every panel, with the variables of Grafana replaced. */
export function panelExpressions(pipeline: string): readonly Panel[] {
  return readdirSync(GRAFANA).flatMap((dashboard) => {
    const { panels } = JSON.parse(readFileSync(path.join(GRAFANA, dashboard), 'utf8')) as {
      panels: { title: string; targets: { expr: string }[] }[];
    };
    return panels.flatMap(({ title, targets }) =>
      targets.map(({ expr }) => ({
        ...{ dashboard, title },
        expression: expr.replaceAll('$pipeline', pipeline).replaceAll('$__rate_interval', '1m'),
      })),
    );
  });
}

/** The metrics that an expression or a whole file names: ours and the SDK's. */
export function metricsIn(text: string): readonly string[] {
  return [...new Set(text.match(/\b(?:almanac|temporal)_[a-z0-9_]+\b/g) ?? [])].sort();
}
