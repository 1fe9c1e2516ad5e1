const LINE_LIMIT = 1024;

/** The line of a step's stderr that EMR tells as its failure: the uncaught exception of its JVM, else of its Python, else the last one logged. */
export function exceptionLine(stderr: string): string | undefined {
  const lines = stderr.split('\n').map((line) => line.trimEnd());
  const found = lines.findLast((line) => /^Exception in thread /.test(line)) ?? ofTraceback(lines) ?? lines.findLast(isException);
  return found?.slice(0, LINE_LIMIT);
}

/** What follows the frames of the last traceback; more may be logged after it. */
function ofTraceback(lines: readonly string[]): string | undefined {
  const from = lines.findLastIndex((line) => line.startsWith('Traceback (most recent call last)'));
  return from < 0 ? undefined : lines.slice(from + 1).find(isException);
}

function isException(line: string): boolean {
  return /^[\w.]*(Error|Exception): /.test(line);
}
