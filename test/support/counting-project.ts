import { ForeignProject } from './foreign-project';

/**
 * One pipeline `counts` whose stage `count` takes as long as its param `rows` says: a handful is done at once, the default goes on for
 * hours. It publishes `counted`, one row a key, as many keys as the window has.
 */
export function countingProject(): ForeignProject {
  return new ForeignProject({
    'almanac.config.ts': `import { defineProject } from 'almanac';
import { counts } from './pipelines/counts/pipeline';
export default defineProject({ pipelines: [counts] });
`,
    'pipelines/counts/pipeline.ts': `import { check, compute, daily, definePipeline, ingest, publish } from 'almanac';
export const counts = definePipeline({
  id: 'counts', owner: 'tests', window: daily(), chain: 'independent', params: { rows: 10000000 },
  datasets: {
    keys: { columns: { key: 'text', ts: 'timestamp' } },
    counted: { columns: { key: 'text', pairs: 'bigint' }, key: ['key'] },
  },
  stages: {
    read: ingest({ landing: 'keys', writes: 'keys', eventTime: 'ts' }),
    count: compute({ reads: { keys: 'keys' }, sql: 'count.sql', writes: 'counted' }),
    judge: check({ suite: { checks: [{ id: 'some', dataset: 'counted', measure: { metric: 'rows-where', predicate: 'pairs < 0' }, fail: { max: 0 }, why: 'There are no fewer than none.' }] } }),
    publish: publish({ needs: ['judge'], mode: 'newest', tables: { counted: { from: 'counted', key: ['key'] } } }),
  },
});
`,
    'pipelines/counts/sql/count.sql': `select keys.key, count(*) as pairs
from keys, range($rows) as a, range($rows) as b
where (a.range * 7919 + b.range) % 1000003 = 0
group by all
`,
  });
}

/** Landing rows of one window of `counts`. */
export function keys(day: string, ...names: readonly string[]): string {
  return ['key,ts', ...names.map((name) => `${name},${day}T10:00:00`)].join('\n') + '\n';
}
