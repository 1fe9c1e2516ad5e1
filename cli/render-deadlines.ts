import type { DeadlineRow } from '../activities/ledger/deadlines';
import type { OnTimeReport } from '../operator/schedules/deadlines';
import { renderCount, renderTable } from './render';

const minute = (instant: string): string => instant.slice(0, 16).concat('Z');

export function renderDeadlines(deadlines: readonly DeadlineRow[]): string {
  if (deadlines.length === 0) return 'no slot with a deadline has fired';
  return renderTable(deadlines, [
    { title: 'DUE', value: (row) => minute(row.due) },
    { title: 'RUN', value: (row) => `${row.pipeline}/${row.window}` },
    { title: 'STATE', value: (row) => row.state },
    { title: 'EXPECTED', value: (row) => expected(row) },
    { title: 'PUBLISHED', value: (row) => (row.publishedAt === null ? undefined : minute(row.publishedAt)) },
    { title: 'WHY', value: (row) => row.reason },
  ]);
}

function expected({ eta, etaLate, publishedAt, state }: DeadlineRow): string | undefined {
  if (eta === null || etaLate === null || publishedAt !== null || state === 'superseded') return undefined;
  return `${minute(eta)}, at worst ${minute(etaLate)}`;
}

export function renderReport({ pipeline, month, timezone, deadlines, met, superseded, missed, onTime, late }: OnTimeReport): string {
  const share = onTime === null ? 'nothing to judge' : `${(onTime * 100).toFixed(1)} % on time`;
  const open = deadlines - met - superseded - missed;
  const lines = [
    `${pipeline}, ${month} (${timezone}): ${share}; ${renderCount(deadlines, 'deadline')}: ${met} met, ${missed} missed, ${superseded} superseded, ${open} open`,
  ];
  if (late.length > 0)
    lines.push(
      renderTable(late, [
        { title: 'DUE', value: (row) => minute(row.due) },
        { title: 'WINDOW', value: (row) => row.window },
        {
          title: 'LATE',
          value: (row) => (row.lateSeconds === null ? 'never published' : `${Math.ceil(row.lateSeconds / 60)} min`),
          align: 'right',
        },
        { title: 'AT', value: (row) => row.path[0] },
        { title: 'WHY', value: (row) => row.reason },
      ]),
    );
  return lines.join('\n');
}
