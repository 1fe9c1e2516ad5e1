/** The SQL that authors write into metrics, with `$window_start` and params as every text has them. Pure. */
import { renderSql, type SqlValue } from '../sql-text';
import type { CheckDeclaration, Metric } from '../types';

/** Members of metrics that hold SQL. */
const TEXTS = ['predicate', 'where', 'sql'] as const;

/** The SQL texts of a metric; patterns and values are none. */
export function textsOf(measure: Metric): string[] {
  return TEXTS.flatMap((member) => textOf(measure, member) ?? []);
}

/** The check with the placeholders of its texts filled in. Throws `sql.placeholder` for a name without a value. */
export function renderCheck<C extends CheckDeclaration>(check: C, values: Readonly<Record<string, SqlValue>>): C {
  const { measure } = check;
  const rendered: Record<string, string> = {};
  for (const member of TEXTS) {
    const text = textOf(measure, member);
    if (text !== undefined) rendered[member] = renderSql(text, values, `the ${member} of check ${check.id}`);
  }
  return Object.keys(rendered).length === 0 ? check : { ...check, measure: { ...measure, ...rendered } };
}

function textOf(measure: Metric, member: (typeof TEXTS)[number]): string | undefined {
  const text = (measure as { readonly [name: string]: unknown })[member];
  return typeof text === 'string' ? text : undefined;
}
