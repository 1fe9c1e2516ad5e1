import { readFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../../lib/package-root';

export const METRICS_PAGE = readFileSync(path.join(packageRoot(), 'docs', 'metrics.md'), 'utf8');

export interface DocumentedMetric {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
  /** Empty in tables without such a column. */
  readonly unit: string;
  readonly meaning: string;
}

/** The rows of the tables in one section of docs/metrics.md. */
export function documentedMetrics(title: string): readonly DocumentedMetric[] {
  const text = METRICS_PAGE.split(/^## /m).find((part) => part.startsWith(`${title}\n`));
  if (text === undefined) throw new Error(`docs/metrics.md has no section ${title}`);
  return [...text.matchAll(/^\| `(\w+)` \| (\w+) \| (.*?) ?\| (?:(.*?) \| )?(.*) \|$/gm)].map(
    ([, name = '', type = '', labels = '', unit = '', meaning = '']) => ({
      ...{ name, type, unit, meaning },
      labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = '']) => label),
    }),
  );
}
