import type pg from 'pg';

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Plans'?: readonly PlanNode[];
}

/**
 * Runs `body` over a pool that has every statement of it planned with its values; answers how many there were, and those that read one
 * of `tables` whole.
 */
export async function scannedWhole(
  pool: pg.Pool,
  tables: readonly string[],
  body: (database: pg.Pool) => Promise<void>,
): Promise<{ readonly asked: number; readonly whole: readonly string[] }> {
  const whole: string[] = [];
  let asked = 0;
  const query = async (statement: string | { readonly text: string; readonly values: unknown[] }, values?: unknown[]): Promise<unknown> => {
    const text = typeof statement === 'string' ? statement : statement.text;
    const given = typeof statement === 'string' ? values : statement.values;
    if (/^\s*(?:select|with)\b/i.test(text)) {
      asked += 1;
      const { rows } = await pool.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(`explain (format json) ${text}`, given);
      const scanned = rows.flatMap((row) => wholeTables(row['QUERY PLAN'][0].Plan)).filter((table) => tables.includes(table));
      whole.push(...scanned.map((table) => `${table}: ${text}`));
    }
    return pool.query(text, given);
  };
  await body(Object.create(pool, { query: { value: query } }) as pg.Pool);
  return { asked, whole };
}

function wholeTables(node: PlanNode): string[] {
  const own = node['Node Type'] === 'Seq Scan' && node['Relation Name'] !== undefined ? [node['Relation Name']] : [];
  return [...own, ...(node.Plans ?? []).flatMap(wholeTables)];
}
