/** The report of a run's checks as one HTML page that needs nothing else. Pure. */
import type { ShownCheck } from '../operator/checks';

const COLOURS = { PASS: '#2e7d32', NO_HISTORY: '#607d8b', WARN: '#ef6c00', FAIL: '#c62828', ERROR: '#6a1b9a' } as const;

/** `title` names the run. Texts of rows and checks are escaped: a value of the data is never markup. */
export function checkReport(title: string, checks: readonly ShownCheck[]): string {
  const counts = Object.keys(COLOURS).flatMap((status) => {
    const n = checks.filter((check) => check.status === status).length;
    return n === 0 ? [] : [`${n} ${status}`];
  });
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escaped(`Checks of ${title}`)}</title>
<style>body{font:14px system-ui,sans-serif;margin:2em;max-width:75em}table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #ddd;padding:.4em .6em;text-align:left;vertical-align:top}
.status{color:#fff;border-radius:3px;padding:.1em .5em;white-space:nowrap}.number{text-align:right;font-variant-numeric:tabular-nums}pre{white-space:pre-wrap;margin:.3em 0}</style></head>
<body><h1>${escaped(`Checks of ${title}`)}</h1><p>${escaped(counts.join(', '))}</p>
<table><thead><tr><th>Status</th><th>Check</th><th>Dataset</th><th>Observed</th><th>Low</th><th>High</th><th>Method</th><th>Explanation</th></tr></thead><tbody>
${checks.map(row).join('\n')}
</tbody></table></body></html>
`;
}

function row(check: ShownCheck): string {
  const { status, observed, low, high, method, n, score, message, owner, sample, overridden } = check;
  const how =
    method === 'none' || method === 'band' ? method : `${method} of ${n ?? 0}${score === null ? '' : `, score ${score.toPrecision(2)}`}`;
  const notes = [
    escaped(message),
    ...(owner === null ? [] : [`Owner: ${escaped(owner)}.`]),
    ...(overridden === null
      ? []
      : [`Overridden by ${escaped(overridden.who)} until ${escaped(overridden.until)}: ${escaped(overridden.reason)}`]),
    ...(sample.length === 0
      ? []
      : [
          `<pre>${escaped(
            sample
              .map((cells) =>
                Object.entries(cells)
                  .map(([column, value]) => `${column} ${value ?? 'NULL'}`)
                  .join(', '),
              )
              .join('\n'),
          )}</pre>`,
        ]),
  ];
  const number = (value: number | null): string => `<td class="number">${value === null ? '' : String(value)}</td>`;
  return `<tr><td><span class="status" style="background:${COLOURS[status]}">${status}</span></td><td>${escaped(check.check)}</td><td>${escaped(check.dataset)}</td>${number(observed)}${number(low)}${number(high)}<td>${escaped(how)}</td><td>${notes.join('<br>')}</td></tr>`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
