/** Lines of a job's log that say nothing of its failure. */
const NOISE = /^\d\d\/\d\d\/\d\d \d\d:\d\d:\d\d (INFO|WARN|DEBUG) |^\s*$|^\tat |^\s+\.\.\. \d+ more$/;
const LINES = 20;
const LENGTH = 2_000;

const SECRETS: readonly (readonly [RegExp, string])[] = [
  [/\b(AKIA|ASIA)[0-9A-Z]{12,}\b/g, '$1***'],
  [/(X-Amz-(?:Signature|Credential|Security-Token)=)[^&\s]+/gi, '$1***'],
  [/((?:secret|password|token|access[._-]?key)[\w.-]*\s*[=:]\s*)\S+/gi, '$1***'],
];

/**
 * The end of a log as a failure shows it: the last lines that are no noise, without secrets, of bounded length. With `maskValues`, for stages with
 * personal data, also without what is quoted: engines quote the values they fail on.
 */
export function logTail(text: string, maskValues = false): string {
  const lines = text.split(/\r?\n/).filter((line) => !NOISE.test(line));
  let tail = lines.slice(-LINES).join('\n');
  for (const [pattern, replacement] of SECRETS) tail = tail.replace(pattern, replacement);
  if (maskValues) tail = tail.replace(/'[^'\n]*'/g, "'***'").replace(/"[^"\n]*"/g, '"***"');
  return tail.length <= LENGTH ? tail : `…${tail.slice(-LENGTH)}`;
}
