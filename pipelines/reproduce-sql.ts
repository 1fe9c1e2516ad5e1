import { quoteName } from './quote-sql';

/** One pass of a stage: the views of what it reads, and the select of its rows. */
export interface ReproducedPass {
  /** Statements, each with its own end left out. */
  readonly views: string;
  readonly select: string;
}

/** Name of the table a reproduction leaves. */
export const RESULT = 'result';

/** A script that computes a stage's rows as its run did, into the table {@link RESULT}. `facts` become comments at its top. */
export function reproduceScript(facts: readonly string[], passes: readonly ReproducedPass[]): string {
  const statements = passes.flatMap(({ views, select }, index) => [
    ...(views === '' ? [] : [views]),
    index === 0 ? `create or replace table ${quoteName(RESULT)} as\n${select}` : `insert into ${quoteName(RESULT)}\n${select}`,
  ]);
  const comments = facts.map((fact) => `-- ${fact.replaceAll(/[\r\n]+/g, ' ')}`);
  return [...comments, '', `set TimeZone = 'UTC';\n`, ...statements.map((statement) => `${statement};\n`)].join('\n');
}
