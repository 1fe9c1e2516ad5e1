import { AlmanacError } from '../../pipelines/failures';
import { otherDatasets } from '../../pipelines/quality/other-datasets';
import {
  metricQuery,
  readMeasurements,
  suiteQueries,
  type Measurement,
  type MetricQuery,
  type SuiteMetric,
  type SuiteScope,
} from '../../pipelines/suite-sql';
import type { Unmeasured } from '../../pipelines/verdict';
import { withoutQuotedValues } from '../compute/engine-failures';
import type { EngineSession } from '../compute/engine';

/** What is known of each metric, by its key. */
export type Measurements = ReadonlyMap<string, Measurement | Unmeasured>;

/** What answers the statements: a session of DuckDB, or of another engine in whose dialect they are. */
export type Answers = Pick<EngineSession, 'rows'>;

/**
 * Measures metrics over views that are there already: one statement a dataset, another for its failing rows where there are any,
 * and one a set of grouping columns. When a shared statement is refused, each of its metrics is measured alone, so one broken
 * predicate costs nobody else their value. Failures that are not the statement's (memory, disk, a lost child) are thrown.
 */
export async function measure(session: Answers, metrics: readonly SuiteMetric[], scope: SuiteScope): Promise<Measurements> {
  const measured = new Map<string, Measurement | Unmeasured>();
  for (const query of suiteQueries(metrics, scope)) {
    const answer = await ask(session, query, scope);
    if (answer instanceof Map) {
      for (const [key, value] of answer) measured.set(key, value);
    } else if (query.metrics.length === 1) {
      for (const { key } of query.metrics) measured.set(key, answer);
    } else {
      for (const metric of query.metrics) {
        const alone = await ask(session, metricQuery(metric, scope), scope);
        measured.set(metric.key, alone instanceof Map ? (alone.get(metric.key) ?? nothing) : alone);
      }
    }
  }
  return measured;
}

const nothing: Unmeasured = { reason: 'the engine returned no number' };

async function ask(session: Answers, query: MetricQuery, scope: SuiteScope): Promise<Map<string, Measurement | Unmeasured> | Unmeasured> {
  try {
    const [row = {}] = await session.rows(query.sql, 1);
    const sampleSql = query.sampleSql?.(row);
    const [samples = {}] = sampleSql === undefined ? [] : await session.rows(sampleSql, 1);
    return new Map([...readMeasurements(query, { ...row, ...samples })].map(([key, value]) => [key, value ?? nothing]));
  } catch (error) {
    if (!(error instanceof AlmanacError) || error.code !== 'engine.sql') throw error;
    return { reason: readable(error.message, isPersonal(scope, query.metrics)) };
  }
}

/** Whether a statement reads a dataset with personal columns: its own or another that a metric names. */
function isPersonal({ datasets }: SuiteScope, metrics: readonly SuiteMetric[]): boolean {
  const named = metrics.flatMap(({ dataset, measure: of }) => [dataset, ...otherDatasets(of)]);
  return named.some((name) => (datasets[name]?.pii ?? []).length > 0);
}

/** The engine's sentence without its drawing of the statement; it quotes values of rows, which personal datasets must not show. */
function readable(message: string, personal: boolean): string {
  const [sentence = ''] = (personal ? withoutQuotedValues(message) : message).split('\n', 1);
  return sentence;
}
