import { CODES, FAILURE_CLASSES, type CodeEntry, type FailureClass, type FailurePolicy } from './failures';

const RETRIES: Readonly<Record<FailurePolicy['retry'], string>> = {
  'never': 'never',
  'for-30-minutes': 'for 30 minutes',
  'once-smaller': 'once, with a smaller footprint',
};

/** docs/errors.md: the table of failures as a page for those who meet one. */
export function failuresDocument(): string {
  const classes = Object.entries(FAILURE_CLASSES).map(([name, policy]: [string, FailurePolicy]) =>
    row([`\`${name}\``, RETRIES[policy.retry], policy.pages, String(policy.httpStatus), String(policy.exitCode)]),
  );
  const codes = Object.entries(CODES).map(([code, entry]: [string, CodeEntry & { readonly class: FailureClass }]) =>
    row([`\`${code}\``, `\`${entry.class}\``, entry.when, entry.next]),
  );
  return [
    '# Errors',
    '',
    'Every failure has a code, which stays; its message names the thing and the place, and `next` the exact step for the case. With',
    '`--json` an error is `{ "error": { code, class, message, next, details } }`. This page is made from `pipelines/failures.ts` by',
    '`npm run docs:errors`.',
    '',
    '## Classes',
    '',
    'The class decides whether a stage is tried again by itself, who is told, the HTTP status and the exit code. A command line that',
    'does not parse ends with 2.',
    '',
    row(['Class', 'Retried', 'Told', 'HTTP status', 'Exit code']),
    row(['---', '---', '---', '---', '---']),
    ...classes,
    '',
    '## Codes',
    '',
    row(['Code', 'Class', 'When', 'Usual next step']),
    row(['---', '---', '---', '---']),
    ...codes,
    '',
  ].join('\n');
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
