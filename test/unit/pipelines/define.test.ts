import { check, compute, daily, definePipeline, defineProject, ingest, previous, publish } from '../../../pipelines/define';
import { AlmanacError } from '../../../pipelines/failures';
import type { PipelineSpec, ScheduleSpec, StageSpec } from '../../../pipelines/types';

/** A declaration that is right; each test spoils one place. Plain types, so that the compiler does not refuse it first. */
const good: PipelineSpec = {
  id: 'sample',
  owner: 'team',
  window: daily(),
  chain: 'ordered',
  schedule: { cron: '30 2 * * *', timezone: 'America/New_York', gap: 'shift', fold: 'first', catchUp: 'all', overlap: 'queue' },
  deadline: { published: '06:00' },
  params: { days: 30 },
  datasets: {
    events: { columns: { user_id: 'text', ts: 'timestamp' }, buckets: { by: 'user_id', count: 8 } },
    users: { columns: { user_id: 'text', name: 'text' }, key: ['user_id'] },
    state: { kind: 'state', columns: { user_id: 'text', plays: 'bigint' }, key: ['user_id'], buckets: { by: 'user_id', count: 8 } },
  },
  stages: {
    events: ingest({ landing: 'events', writes: 'events', eventTime: 'ts' }),
    users: ingest({ reference: 'users.csv', writes: 'users' }),
    updateState: compute({
      reads: { added: 'events', before: previous('state'), names: 'users' },
      sql: 'update-state.sql',
      writes: 'state',
      each: 'bucket',
    }),
    judge: check({
      suite: { checks: [{ id: 'rows', dataset: 'state', measure: { metric: 'rows' }, fail: { min: 1 }, why: 'Nobody is left.' }] },
    }),
    publish: publish({ needs: ['judge'], mode: 'newest', tables: { live_state: { from: 'state', key: ['user_id'] } } }),
  },
};
const schedule = good.schedule as ScheduleSpec;

function refusal(spec: unknown): AlmanacError {
  try {
    definePipeline(spec as PipelineSpec & { chain: 'independent' });
  } catch (error) {
    if (error instanceof AlmanacError) return error;
    throw error;
  }
  throw new Error('the declaration was accepted');
}

const withStages = (stages: Readonly<Record<string, StageSpec>>): PipelineSpec => ({ ...good, stages: { ...good.stages, ...stages } });
const withDataset = (name: string, dataset: unknown): unknown => ({ ...good, datasets: { ...good.datasets, [name]: dataset } });
const withCheck = (declaration: unknown): unknown => ({
  ...good,
  stages: { ...good.stages, judge: { kind: 'check', suite: { checks: [declaration] } } },
});

describe('definePipeline', () => {
  it('returns the declaration as it is written', () => {
    expect(definePipeline(good as PipelineSpec & { chain: 'independent' })).toEqual(good);
  });

  it('shows a cycle as the path that closes it', () => {
    const spec = {
      ...good,
      stages: {
        ...good.stages,
        a: compute({ engine: 'none', needs: ['b'] }),
        b: compute({ engine: 'none', needs: ['c'] }),
        c: compute({ engine: 'none', needs: ['a'] }),
      },
    };
    expect(refusal(spec).message).toContain('a → b → c → a');
  });

  it('shows a cycle that reads make', () => {
    const error = refusal({
      ...good,
      datasets: { x: { columns: { n: 'bigint' } }, y: { columns: { n: 'bigint' } } },
      stages: {
        first: compute({ reads: { y: 'y' }, sql: 'x.sql', writes: 'x' }),
        second: compute({ reads: { x: 'x' }, sql: 'y.sql', writes: 'y' }),
      },
    });
    expect(error.message).toContain('first → second → first');
  });

  const noTimezone = { ...good, window: daily({ timezone: 'Mars/Olympus' }) };
  const wrong: [string, unknown, string][] = [
    [
      'an unknown stage',
      withStages({ join: { kind: 'compute', engine: 'none', needs: ['evnets'] } }),
      'stages.join.needs: there is no stage "evnets"',
    ],
    [
      'a stage named like a member of every object',
      withStages({ join: { kind: 'compute', engine: 'none', needs: ['constructor'] } }),
      'there is no stage "constructor"',
    ],
    [
      'a read of an undeclared dataset',
      withStages({ more: { kind: 'compute', reads: { a: 'nobody' }, sql: 'a.sql', writes: 'users' } }),
      'the dataset "nobody" is not declared',
    ],
    [
      'a read of a dataset no stage writes',
      {
        ...(withDataset('orphan', { columns: { n: 'bigint' } }) as PipelineSpec),
        stages: { ...good.stages, a: { kind: 'compute', reads: { o: 'orphan' }, sql: 'a.sql', writes: 'users' } },
      },
      'no stage writes the dataset "orphan"',
    ],
    [
      'two writers of one dataset',
      withStages({ again: { kind: 'ingest', landing: 'more', writes: 'events' } }),
      'stages.again.writes: "events" is written by "events" already',
    ],
    [
      'a stage that waits for a publication',
      withStages({ after: { kind: 'compute', engine: 'none', needs: ['publish'] } }),
      '"publish" publishes',
    ],
    [
      'a second publish stage',
      withStages({ more: { kind: 'publish', mode: 'newest', tables: { live_users: { from: 'state', key: ['user_id'] } } } }),
      'stages.more: "publish" publishes already; all live tables of a pipeline belong into one publish stage',
    ],
    ['a pipeline id', { ...good, id: 'Sample' }, 'id: "Sample" does not match'],
    ['a dataset name', withDataset('Events', { columns: { n: 'bigint' } }), 'datasets.Events'],
    ['a stage id', withStages({ '../up': { kind: 'compute', engine: 'none' } }), 'stages.../up'],
    ['an alias', withStages({ more: { kind: 'compute', reads: { 'a b': 'events' }, sql: 'a.sql', writes: 'users' } }), 'reads.a b'],
    ['a column', withDataset('odd', { columns: { 'a"b': 'text' } }), 'datasets.odd.columns'],
    [
      'a live table',
      withStages({ publish: { kind: 'publish', mode: 'newest', tables: { 'live-state': { from: 'state', key: ['user_id'] } } } }),
      'tables.live-state',
    ],
    ['a param of a built-in name', { ...good, params: { as_of: 1 } }, '$as_of is given by Almanac itself'],
    ['an empty pipeline', { ...good, stages: {} }, 'stages: there is none'],
    ['no owner', { ...good, owner: ' ' }, 'owner: names nobody'],
    [
      'an ordered chain that catches up with the latest',
      { ...good, schedule: { ...schedule, catchUp: 'latest' } },
      "schedule.catchUp: 'latest' would leave a hole",
    ],
    [
      'an ordered chain that skips overlaps',
      { ...good, schedule: { ...schedule, overlap: 'skip' } },
      "schedule.overlap: 'skip' would leave a hole",
    ],
    ['an ordered chain that skips gaps', { ...good, schedule: { ...schedule, gap: 'skip' } }, "schedule.gap: 'skip' would leave a hole"],
    ['a cron text', { ...good, schedule: { ...schedule, cron: '61 2 * * *' } }, 'schedule.cron: "61 2 * * *"'],
    ['a cron text with seconds', { ...good, schedule: { ...schedule, cron: '0 30 2 * * *' } }, 'schedule.cron'],
    ['the zone of a schedule', { ...good, schedule: { ...schedule, timezone: 'Mars/Olympus' } }, 'schedule.timezone: "Mars/Olympus"'],
    ['the zone of a window', noTimezone, 'window.timezone: "Mars/Olympus"'],
    ['a deadline', { ...good, deadline: { published: '24:00' } }, 'deadline.published: "24:00"'],
    ['a deadline without a schedule', { ...good, schedule: undefined }, 'deadline: a deadline is a local time of the schedule'],
    [
      'a deadline that nothing can meet',
      { ...good, stages: { only: { kind: 'compute', engine: 'none' } } },
      'deadline: a deadline is met by a publication',
    ],
    ['previous() on an independent chain', { ...good, chain: 'independent' }, "previous('state') needs chain: 'ordered'"],
    [
      'previous() of an undeclared dataset',
      withStages({ updateState: { kind: 'compute', reads: { before: { previous: 'sate' } }, sql: 'a.sql', writes: 'state' } }),
      'the dataset "sate" is not declared',
    ],
    [
      'a live table without a key',
      withStages({ publish: { kind: 'publish', mode: 'newest', tables: { live_state: { from: 'state', key: [] } } } }),
      'live_state.key: a live table needs a key',
    ],
    [
      'a key column that is not there',
      withStages({ publish: { kind: 'publish', mode: 'newest', tables: { live_state: { from: 'state', key: ['user'] } } } }),
      'there is no column "user" among user_id, plays',
    ],
    [
      'an index column that is not there',
      withStages({
        publish: { kind: 'publish', mode: 'newest', tables: { live_state: { from: 'state', key: ['user_id'], indexes: [['played']] } } },
      }),
      'there is no column "played"',
    ],
    ['a key of a dataset', withDataset('odd', { columns: { n: 'text' }, key: ['m'] }), 'datasets.odd.key: there is no column "m"'],
    ['0 buckets', withDataset('odd', { columns: { n: 'text' }, buckets: { by: 'n', count: 0 } }), 'datasets.odd.buckets.count: 0 is not'],
    [
      '257 buckets',
      withDataset('odd', { columns: { n: 'text' }, buckets: { by: 'n', count: 257 } }),
      'datasets.odd.buckets.count: 257 is not',
    ],
    [
      'buckets by a column that is not there',
      withDataset('odd', { columns: { n: 'text' }, buckets: { by: 'm', count: 2 } }),
      'datasets.odd.buckets.by',
    ],
    [
      'buckets by a double',
      withDataset('odd', { columns: { n: 'double' }, buckets: { by: 'n', count: 2 } }),
      'datasets.odd.buckets.by: "n" is double, whose text and bucket differ on Spark and DuckDB',
    ],
    [
      "each: 'bucket' that reads nothing bucketed",
      withStages({ updateState: { kind: 'compute', each: 'bucket', reads: { names: 'users' }, sql: 'a.sql', writes: 'state' } }),
      "'bucket' needs a read",
    ],
    [
      "each: 'bucket' over buckets that differ",
      {
        ...good,
        datasets: { ...good.datasets, events: { columns: { user_id: 'text', ts: 'timestamp' }, buckets: { by: 'user_id', count: 16 } } },
      },
      'buckets do not match: events has 16 by user_id, state has 8 by user_id',
    ],
    ['an ingest of nothing', withStages({ users: { kind: 'ingest', writes: 'users' } }), 'either `landing` or `reference`'],
    [
      'an ingest of two things',
      withStages({ users: { kind: 'ingest', landing: 'a', reference: 'b', writes: 'users' } }),
      'either `landing` or `reference`',
    ],
    [
      'a source outside the landing folder',
      withStages({ users: { kind: 'ingest', landing: '../secret', writes: 'users' } }),
      '"../secret" is not a plain name',
    ],
    [
      'an event time that is no timestamp',
      withStages({ events: { kind: 'ingest', landing: 'events', writes: 'events', eventTime: 'user_id' } }),
      '"user_id" is text, not timestamp',
    ],
    [
      'a SQL file outside its folder',
      withStages({ updateState: { kind: 'compute', sql: '../../x.sql', writes: 'state' } }),
      '"../../x.sql" is not the name of a .sql file',
    ],
    [
      'a compute stage without SQL',
      withStages({ updateState: { kind: 'compute', writes: 'state' } }),
      'stages.updateState.sql: is missing',
    ],
    ['a join that computes', withStages({ join: { kind: 'compute', engine: 'none', sql: 'a.sql' } }), "engine 'none' computes"],
    [
      'a timeout of nothing',
      withStages({ join: { kind: 'compute', engine: 'none', timeoutSeconds: 0 } }),
      '0 is not a whole number of seconds',
    ],
    ['a gate without checks', withStages({ judge: { kind: 'check', suite: { checks: [] } } }), 'judges nothing'],
    [
      'a check of a column that is not there',
      withCheck({ id: 'a', dataset: 'state', measure: { metric: 'null-count', column: 'name' }, why: '.' }),
      'stages.judge.suite.a: there is no column "name"',
    ],
    [
      'drift of a value that is not kept, being personal',
      {
        ...(withDataset('state', { ...good.datasets.state, pii: ['user_id'] }) as object),
        stages: {
          ...good.stages,
          judge: check({
            suite: {
              checks: [
                { id: 'a', dataset: 'state', measure: { metric: 'minimum', column: 'user_id' }, fail: { min: 1 }, warn: 'drift', why: '.' },
              ],
            },
          }),
        },
      },
      'values of personal columns are not kept; give minimum a band',
    ],
    [
      'drift of the distribution of what is personal',
      {
        ...(withDataset('state', { ...good.datasets.state, pii: ['user_id'] }) as object),
        stages: (
          withCheck({
            ...{ id: 'a', dataset: 'state', fail: { min: 1 }, why: '.' },
            measure: { metric: 'histogram', column: 'user_id' },
            drift: { method: 'js' },
          }) as PipelineSpec
        ).stages,
      },
      'values of personal columns are not kept; give histogram a band',
    ],
    [
      'a span of what personal columns hold',
      {
        ...(withDataset('state', { ...good.datasets.state, pii: ['user_id'] }) as object),
        stages: (
          withCheck({
            ...{ id: 'a', dataset: 'state', fail: { min: 1 }, why: '.' },
            measure: { metric: 'uniqueness', columns: ['user_id'], over: 7 },
          }) as PipelineSpec
        ).stages,
      },
      'uniqueness cannot be merged over windows, since nothing that personal columns hold is kept',
    ],
    [
      'two gates that put rows of one dataset aside',
      withStages(
        Object.fromEntries(
          ['judge', 'again'].map((id) => [
            id,
            {
              kind: 'check',
              suite: {
                checks: [
                  {
                    ...{ id: 'a', dataset: 'users', measure: { metric: 'completeness', column: 'name' }, mostly: 0.9, why: '.' },
                    onFail: 'quarantine',
                  },
                ],
              },
            },
          ]),
        ),
      ),
      'rows of "users" are put aside by "judge" already',
    ],
    [
      'a check of an unwritten reference',
      withCheck({
        id: 'a',
        dataset: 'state',
        measure: { metric: 'missing-references', column: 'user_id', in: { dataset: 'people', column: 'id' } },
        why: '.',
      }),
      '"people" is not declared',
    ],
    [
      'a check of the quarantine of a compute stage',
      withCheck({ id: 'a', dataset: 'state', measure: { metric: 'quarantine-ratio', stage: 'updateState', reasons: ['late'] }, why: '.' }),
      'no ingest stage',
    ],
  ];
  it.each(wrong)('refuses %s', (_what, spec, expected) => {
    const error = refusal(spec);
    expect(error.code).toBe('pipeline.invalid');
    expect(error.message).toContain(expected);
    expect(error.next).toContain('almanac validate');
  });

  it('lists every place that is wrong at once', () => {
    const error = refusal({ ...good, owner: '', deadline: { published: 'noon' } });
    expect(error.details['problems']).toEqual(['owner: names nobody', 'deadline.published: "noon" is not a local time such as 06:00']);
  });
});

describe('defineProject', () => {
  const other: PipelineSpec = {
    id: 'other',
    owner: 'team',
    window: daily(),
    chain: 'independent',
    datasets: { plays: { columns: { n: 'bigint' }, key: ['n'] } },
    stages: {
      plays: ingest({ landing: 'plays', writes: 'plays' }),
      publish: publish({ mode: 'newest', tables: { plays: { from: 'plays', key: ['n'] } } }),
    },
  };

  it('lists pipelines that share nothing', () => {
    expect(defineProject({ pipelines: [good, other] }).pipelines).toHaveLength(2);
  });

  it.each<[string, PipelineSpec, string]>([
    ['an id', { ...other, id: 'sample' }, 'the pipeline id "sample" is declared twice'],
    [
      'a dataset',
      { ...other, datasets: { ...other.datasets, state: { columns: { n: 'bigint' } } } },
      'other: the dataset "state" belongs to "sample" already',
    ],
    [
      'a live table',
      { ...other, stages: { publish: { kind: 'publish', mode: 'newest', tables: { live_state: { from: 'plays', key: ['n'] } } } } },
      'the live table "live_state" belongs to "sample" already',
    ],
  ])('refuses %s used twice', (_what, second, expected) => {
    expect(() => defineProject({ pipelines: [good, second] })).toThrow(expected);
  });
});
