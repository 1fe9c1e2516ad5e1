/** Verdicts and histories of checks as text. Pure. */
import type { HistoryPoint, ShownCheck } from '../operator/checks';
import { printable, renderCount, renderTable } from './render';

/** A table of all checks; below it, for each that is not well, why and which rows. */
export function renderChecks(checks: readonly ShownCheck[]): string {
  const table = renderTable(checks, [
    { title: 'STATUS', value: ({ status, overridden }) => (overridden === null ? status : `${status}, overridden`) },
    { title: 'CHECK', value: ({ check }) => check },
    { title: 'DATASET', value: ({ dataset }) => dataset },
    { title: 'OBSERVED', value: ({ observed }) => numberText(observed), align: 'right' },
    { title: 'LOW', value: ({ low }) => numberText(low), align: 'right' },
    { title: 'HIGH', value: ({ high }) => numberText(high), align: 'right' },
    {
      title: 'METHOD',
      value: ({ method, n, score }) =>
        method === 'drift' ? `drift of ${n ?? 0}${score === null ? '' : `, score ${score.toPrecision(2)}`}` : method,
    },
    { title: 'JUDGED BY', value: ({ stage, generation, attempt }) => `${stage}, generation ${generation}, attempt ${attempt}` },
  ]);
  return [table, ...checks.filter(({ status }) => status !== 'PASS').map(explanation)].join('\n\n');
}

function explanation({ status, message, sample, failedRows, owner, overridden }: ShownCheck): string {
  const lines = [`${status} ${printable(message)}${owner === null ? '' : ` Owner: ${printable(owner)}.`}`];
  if (overridden !== null)
    lines.push(`  overridden by ${printable(overridden.who)} until ${overridden.until}: ${printable(overridden.reason)}`);
  const [first] = sample;
  if (first !== undefined) {
    lines.push(`  ${sample.length} of ${renderCount(failedRows ?? sample.length, 'row')}:`);
    const rows = renderTable(
      sample,
      Object.keys(first).map((column) => ({ title: column, value: (row) => row[column] ?? 'NULL' })),
    );
    lines.push(...rows.split('\n').map((line) => `  ${line}`));
  }
  return lines.join('\n');
}

export function renderHistory(points: readonly HistoryPoint[]): string {
  return renderTable(points, [
    { title: 'WINDOW', value: ({ window }) => window },
    { title: 'PIPELINE', value: ({ pipeline, branch }) => (branch === 'main' ? pipeline : `${pipeline}~${branch}`) },
    { title: 'METRIC', value: ({ metric }) => metric },
    { title: 'VALUE', value: ({ value }) => numberText(value), align: 'right' },
    { title: 'ROWS', value: ({ rows }) => numberText(rows), align: 'right' },
    { title: 'BASELINE', value: ({ accepted }) => (accepted ? 'yes' : 'no') },
    { title: 'VERSION', value: ({ version }) => version },
  ]);
}

/** Up to six digits after the point below 1, where ratios live; whole counts are shown whole. */
function numberText(value: number | null): string {
  return value === null ? '' : value.toLocaleString('en-US', { maximumFractionDigits: Math.abs(value) < 1 ? 6 : 1 });
}
