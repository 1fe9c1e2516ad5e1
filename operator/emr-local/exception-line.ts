const LINE_LIMIT = 1024;

/** The line of a step's stderr that EMR tells as its failure: the last uncaught exception of a JVM or of Python. */
export function exceptionLine(stderr: string): string | undefined {
  const lines = stderr.split('\n').map((line) => line.trimEnd());
  const found =
    lines.findLast((line) => /^Exception in thread /.test(line)) ?? lines.findLast((line) => /^[\w.]*(Error|Exception): /.test(line));
  return found?.slice(0, LINE_LIMIT);
}
