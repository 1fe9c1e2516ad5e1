import { AlmanacError } from '../../pipelines/failures';
import { formatRun } from '../../pipelines/run-id';
import type { SampleRow } from '../../pipelines/suite-sql';
import type { GateSummary, RunRef } from '../../pipelines/types';
import { holds } from '../../pipelines/verdict';
import type { CheckResult } from './results';

/** The message stays readable and far below what a payload may hold; `almanac check show` has the rest. */
const SHOWN_CHECKS = 5;
const SHOWN_ROWS = 3;
const SHOWN_ROW_CHARACTERS = 200;
const SHOWN_CHECK_CHARACTERS = 600;

/** The failure of a gate: which checks, which numbers, some of the rows, and how to go on. */
export function gateFailure(run: RunRef, stage: string, summary: GateSummary, results: readonly CheckResult[]): AlmanacError {
  const failing = results.filter(({ verdict }) => holds(verdict));
  const shown = failing.slice(0, SHOWN_CHECKS).map(describe);
  const more = failing.length - shown.length;
  if (more > 0) shown.push(`and ${more} more`);
  const name = formatRun(run);
  return new AlmanacError(
    'gate.failed',
    `gate ${stage} of ${name} fails ${failing.length} of ${summary.checks} checks; nothing was accepted. ${shown.join(' | ')}`,
    {
      next: `\`almanac check show ${name}\` shows them; mend the data or the check, then \`almanac retry ${name} --stage ${stage} --reason …\`.`,
      details: {
        stage,
        status: summary.status,
        checks: summary.checks,
        warned: summary.warned.length,
        failed: failing.slice(0, SHOWN_CHECKS * SHOWN_CHECKS).map(({ check, verdict, failedRows, sample }) => ({
          check: check.id,
          dataset: check.dataset,
          status: verdict.status,
          observed: verdict.observed,
          low: verdict.low,
          high: verdict.high,
          failedRows,
          sampled: sample.length,
        })),
      },
    },
  );
}

function describe({ verdict, sample }: CheckResult): string {
  const message = cut(verdict.message, SHOWN_CHECK_CHARACTERS);
  if (sample.length === 0) return message;
  return `${message} Rows: ${sample.slice(0, SHOWN_ROWS).map(rowText).join('; ')}${sample.length > SHOWN_ROWS ? '; …' : ''}`;
}

/** `pixel_id 1, segment_id 7`. */
export function rowText(row: SampleRow): string {
  const cells = Object.entries(row).map(([column, value]) => `${column} ${value ?? 'NULL'}`);
  return cut(cells.join(', '), SHOWN_ROW_CHARACTERS);
}

function cut(text: string, characters: number): string {
  return text.length > characters ? `${text.slice(0, characters - 1)}…` : text;
}
