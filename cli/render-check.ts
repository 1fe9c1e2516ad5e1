/** Verdicts and histories of checks as text. Pure. */
import type { Exclusion } from '../activities/quality/exclusions';
import type { Trial } from '../operator/check-try';
import type { HistoryPoint, ShownCheck } from '../operator/checks';
import type { Suggestion } from '../pipelines/quality/suggest';
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
        method !== 'band' && method !== 'none'
          ? `${method} of ${n ?? 0}${score === null ? '' : `, score ${score.toPrecision(2)}`}`
          : method,
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

/** Verdicts of a trial, which are nobody's record. */
export function renderTrial({ dataset, window, version, status, history, checks }: Trial): string {
  const table = renderTable(checks, [
    { title: 'STATUS', value: (check) => check.status },
    { title: 'CHECK', value: ({ check }) => check },
    { title: 'OBSERVED', value: ({ observed }) => numberText(observed), align: 'right' },
    { title: 'EXPLANATION', value: ({ message }) => printable(message) },
  ]);
  const by = history === null ? '' : `drift is judged by the accepted windows of ${history} before ${window}, `;
  return `${status}: ${dataset}@${window}#${version}; ${by}nothing went on record\n\n${table}`;
}

/** Declarations as a person would paste them, each below what suggests it. */
export function renderSuggestions(suggestions: readonly Suggestion[]): string {
  if (suggestions.length === 0) return 'The version suggests no check.';
  return suggestions.map(({ check, because }) => `// ${printable(because)}\n${printable(JSON.stringify(check))},`).join('\n');
}

export function renderExclusions(exclusions: readonly Exclusion[]): string {
  if (exclusions.length === 0) return 'No window is excluded.';
  return renderTable(exclusions, [
    { title: 'NUMBER', value: ({ id }) => String(id), align: 'right' },
    { title: 'PIPELINE', value: ({ pipeline }) => pipeline },
    { title: 'DATASET', value: ({ dataset }) => dataset ?? 'all' },
    { title: 'FROM', value: ({ from }) => from },
    { title: 'TO', value: ({ to }) => to },
    { title: 'WHO', value: ({ who }) => printable(who) },
    { title: 'REASON', value: ({ reason }) => printable(reason) },
  ]);
}

/** Up to six digits after the point below 1, where ratios live; whole counts are shown whole. */
function numberText(value: number | null): string {
  return value === null ? '' : value.toLocaleString('en-US', { maximumFractionDigits: Math.abs(value) < 1 ? 6 : 1 });
}
