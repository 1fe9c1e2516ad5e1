/** Lines of a job's log that say nothing of its failure. */
const NOISE = /^\d\d\/\d\d\/\d\d \d\d:\d\d:\d\d (INFO|WARN|DEBUG) |^\s*$|^\tat |^\s+\.\.\. \d+ more$/;
const LINES = 20;
const LENGTH = 2_000;

const SECRETS: readonly (readonly [RegExp, string])[] = [
  [/\b(AKIA|ASIA)[0-9A-Z]{12,}\b/g, '$1***'],
  [/(X-Amz-(?:Signature|Credential|Security-Token)=)[^&\s]+/gi, '$1***'],
  [/((?:secret|password|token|access[._-]?key)[\w.-]*\s*[=:]\s*)\S+/gi, '$1***'],
];

/** What engines and machines say in words of their own, none of which comes from a row. */
const KNOWN = [
  /\b(?:java|javax|scala|org\.apache|com\.amazonaws|software\.amazon|py4j|almanac)(?:\.[\w$]+)*\.[A-Z][\w$]*(?:Exception|Error)\b/,
  /\[[A-Z]+_[A-Z_.]+\]/,
  /\bSQLSTATE: \w{5}\b/,
  /\bline \d+, pos(?:ition)? \d+\b/,
  /\bexit code:? \d+\b/i,
  /\bexceeding (?:physical |virtual )?memory limits\b/,
  /\bCannot allocate memory\b/,
  /\balmanac: duplicate\b/,
];
const WORDS = new RegExp(KNOWN.map(({ source }) => source).join('|'), 'g');

/**
 * The end of a log as a failure shows it: the last lines that are no noise, without secrets, of bounded length. With `maskValues`, for stages with
 * personal data, only names of exceptions and what else engines say in words of their own: they quote the values they fail on, in many ways.
 */
export function logTail(text: string, maskValues = false): string {
  const lines = text.split(/\r?\n/).filter((line) => !NOISE.test(line));
  const shown = maskValues ? lines.map((line) => (line.match(WORDS) ?? []).join(' ')).filter((line) => line !== '') : lines;
  let tail = shown.slice(-LINES).join('\n');
  for (const [pattern, replacement] of SECRETS) tail = tail.replace(pattern, replacement);
  return tail.length <= LENGTH ? tail : `…${tail.slice(-LENGTH)}`;
}
