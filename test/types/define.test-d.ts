/**
 * What must not compile, checked by `tsc --noEmit`: an unused `@ts-expect-error` is an error, so each line below proves
 * that the compiler refuses exactly that place.
 */
import { check, compute, daily, definePipeline, ingest, previous, publish, sense, sensed, suite } from '../../pipelines/define';
import type { DatasetSpec, ScheduleSpec, StageSpec, SuiteSpec } from '../../pipelines/define';

const base = { id: 'sample', owner: 'team', window: daily(), chain: 'ordered' } as const;
const datasets = {
  events: { columns: { user_id: 'text', ts: 'timestamp' } },
  state: { kind: 'state', columns: { user_id: 'text' }, key: ['user_id'] },
  users: { columns: { user_id: 'text' }, key: ['user_id'] },
} as const;
const events = ingest({ landing: 'events', writes: 'events', eventTime: 'ts' });
const users = ingest({ reference: 'users.csv', writes: 'users' });
const state = compute({ reads: { added: 'events', before: previous('state') }, sql: 'state.sql', writes: 'state' });

// All of it right: compiles.
definePipeline({
  ...base,
  schedule: { cron: '0 2 * * *', timezone: 'UTC', gap: 'shift', fold: 'first', catchUp: 'all', overlap: 'queue' },
  datasets,
  stages: {
    events,
    users,
    state,
    judge: check({
      needs: ['state'],
      suite: {
        checks: [
          { id: 'rows', dataset: 'state', measure: { metric: 'rows' }, fail: { min: 1 }, why: 'Nobody is left.' },
          {
            id: 'known',
            dataset: 'state',
            measure: { metric: 'missing-references', column: 'user_id', in: { dataset: 'users', column: 'user_id' } },
            fail: { max: 0 },
            why: 'A user is unknown.',
          },
          { id: 'late', dataset: 'events', measure: { metric: 'quarantine-ratio', stage: 'events', reasons: ['late'] }, why: 'Late rows.' },
        ],
      },
    }),
    publish: publish({ needs: ['judge'], mode: 'newest', tables: { live_state: { from: 'state', key: ['user_id'] } } }),
  },
});

definePipeline({
  ...base,
  datasets,
  stages: {
    events,
    // @ts-expect-error `needs` names a stage that is not a sibling
    state: compute({ needs: ['evnets'], reads: { added: 'events' }, sql: 'state.sql', writes: 'state' }),
  },
});

definePipeline({
  ...base,
  datasets,
  stages: {
    events,
    // @ts-expect-error one of two needs does not exist
    join: compute({ needs: ['events', 'state'], engine: 'none' }),
  },
});

definePipeline({
  ...base,
  datasets,
  stages: {
    events,
    // @ts-expect-error a publish stage needs a stage that is not there
    publish: publish({ needs: ['judge'], mode: 'newest', tables: { live: { from: 'events', key: ['user_id'] } } }),
  },
});

definePipeline({
  ...base,
  datasets,
  stages: {
    // @ts-expect-error writes an undeclared dataset
    events: ingest({ landing: 'events', writes: 'event' }),
  },
});

definePipeline({
  ...base,
  datasets,
  stages: {
    events,
    // @ts-expect-error reads an undeclared dataset
    state: compute({ reads: { added: 'event' }, sql: 'state.sql', writes: 'state' }),
  },
});

definePipeline({
  ...base,
  datasets,
  stages: {
    events,
    // @ts-expect-error reads the previous version of an undeclared dataset
    state: compute({ reads: { added: 'events', before: previous('sate') }, sql: 'state.sql', writes: 'state' }),
  },
});

definePipeline({
  ...base,
  datasets,
  stages: {
    events,
    // @ts-expect-error computes into an undeclared dataset
    state: compute({ reads: { added: 'events' }, sql: 'state.sql', writes: 'sate' }),
  },
});

definePipeline({
  ...base,
  datasets,
  stages: {
    events,
    // @ts-expect-error publishes an undeclared dataset beside a declared one
    publish: publish({
      mode: 'newest',
      tables: { live: { from: 'event', key: ['user_id'] }, other: { from: 'events', key: ['user_id'] } },
    }),
  },
});

definePipeline({
  ...base,
  datasets,
  stages: {
    events,
    // @ts-expect-error a check of an undeclared dataset
    judge: check({ suite: { checks: [{ id: 'rows', dataset: 'event', measure: { metric: 'rows' }, why: 'None.' }] } }),
  },
});

definePipeline({
  ...base,
  datasets,
  stages: {
    events,
    // @ts-expect-error references an undeclared dataset
    judge: check({
      suite: {
        checks: [
          {
            id: 'known',
            dataset: 'events',
            measure: { metric: 'missing-references', column: 'user_id', in: { dataset: 'user', column: 'user_id' } },
            why: 'Unknown.',
          },
        ],
      },
    }),
  },
});

definePipeline({
  ...base,
  datasets,
  stages: {
    events,
    // @ts-expect-error judges the quarantine of a stage that is not there
    judge: check({
      suite: {
        checks: [
          { id: 'late', dataset: 'events', measure: { metric: 'quarantine-ratio', stage: 'event', reasons: ['late'] }, why: 'Late.' },
        ],
      },
    }),
  },
});

const apart = suite({ checks: [{ id: 'rows', dataset: 'sate', measure: { metric: 'rows' }, why: 'None.' }] });
definePipeline({
  ...base,
  datasets,
  stages: {
    events,
    // @ts-expect-error a suite declared apart keeps the names it uses
    judge: check({ suite: apart }),
  },
});

// Misspelt members and values of every constructor.
// @ts-expect-error `read` is no member of a compute stage
compute({ read: { added: 'events' }, sql: 'state.sql', writes: 'state' });
// @ts-expect-error `land` is no member of an ingest stage
ingest({ land: 'events', writes: 'events' });
// @ts-expect-error `latest` is no mode
publish({ mode: 'latest', tables: { live: { from: 'events', key: ['user_id'] } } });
// @ts-expect-error a live table without a key
publish({ mode: 'newest', tables: { live: { from: 'events' } } });
// @ts-expect-error a check without its reason
check({ suite: { checks: [{ id: 'rows', dataset: 'events', measure: { metric: 'rows' } }] } });
// @ts-expect-error `rowz` is no metric
check({ suite: { checks: [{ id: 'rows', dataset: 'events', measure: { metric: 'rowz' }, why: 'None.' }] } });

// An ordered chain allows one value of each policy; an independent one allows all.
const schedule = { cron: '0 2 * * *', timezone: 'UTC', gap: 'shift', fold: 'first', catchUp: 'all', overlap: 'queue' } as const;
// @ts-expect-error catchUp: 'latest' leaves windows out
definePipeline({ ...base, schedule: { ...schedule, catchUp: 'latest' }, datasets, stages: { events } });
// @ts-expect-error overlap: 'skip' leaves windows out
definePipeline({ ...base, schedule: { ...schedule, overlap: 'skip' }, datasets, stages: { events } });
// @ts-expect-error gap: 'skip' leaves windows out
definePipeline({ ...base, schedule: { ...schedule, gap: 'skip' }, datasets, stages: { events } });
definePipeline({
  ...base,
  chain: 'independent',
  schedule: { ...schedule, catchUp: 'latest', overlap: 'skip', gap: 'skip' },
  datasets,
  stages: { events },
});

// @ts-expect-error a column type no engine knows
definePipeline({ ...base, datasets: { events: { columns: { user_id: 'varchar' } } }, stages: { events } });

// Declarations computed at run time keep compiling: their names are checked when they are defined.
export function computed(
  names: Readonly<Record<string, DatasetSpec>>,
  stages: Readonly<Record<string, StageSpec>>,
  wide: SuiteSpec,
  firing: ScheduleSpec,
): void {
  definePipeline({ ...base, datasets: names, stages });
  definePipeline({ ...base, datasets, stages: { events, judge: check({ suite: wide }) } });
  definePipeline({ ...base, chain: 'independent', schedule: firing, datasets, stages: { events } });
}

// A sense stage: conditions are of one kind each, and name a pipeline or what belongs to it.
sense({ conditions: [{ accepted: { pipeline: 'other', window: 'previous' } }, { marker: { landing: 'events', file: '_SUCCESS' } }] });
// @ts-expect-error neither pipeline nor dataset
sense({ conditions: [{ accepted: {} }] });
// @ts-expect-error no such window
sense({ conditions: [{ accepted: { pipeline: 'other', window: 'next' } }] });
// @ts-expect-error a publication is of a pipeline or a table
sense({ conditions: [{ published: { dataset: 'state' } }] });
// @ts-expect-error a marker is a file
sense({ conditions: [{ marker: { landing: 'events' } }] });
// @ts-expect-error the project resolves conditions
sense({ conditions: [], resolved: [] });
definePipeline({
  ...base,
  datasets: {},
  stages: {
    // @ts-expect-error there is no such sibling
    wait: sense({ conditions: [{ quiet: { landing: 'events', minutes: 5 } }], needs: ['evnets'] }),
  },
});

suite({
  checks: [
    {
      id: 'there',
      dataset: 'events',
      measure: { metric: 'completeness', column: 'ts' },
      mostly: 0.9,
      onFail: 'quarantine',
      why: 'Rows can be put aside.',
    },
    // @ts-expect-error an aggregate says nothing of any one row
    {
      id: 'mean',
      dataset: 'events',
      measure: { metric: 'mean', column: 'ts' },
      fail: { min: 1 },
      onFail: 'quarantine',
      why: 'No row to put aside.',
    },
    // @ts-expect-error what is over many windows is of no row
    {
      id: 'week',
      dataset: 'events',
      measure: { metric: 'completeness', column: 'ts', over: 7 },
      mostly: 0.9,
      onFail: 'quarantine',
      why: 'No row.',
    },
  ],
});

// What another pipeline wrote can be read where a sense stage waits for it by its name.
definePipeline({
  ...base,
  datasets: { ours: { columns: { user_id: 'text' } } },
  stages: {
    wait: sense({ conditions: [{ marker: { landing: 'events', file: '_SUCCESS' } }, { accepted: { dataset: 'theirs' } }] }),
    read: compute({ reads: { theirs: sensed('theirs') }, sql: 'read.sql', writes: 'ours' }),
  },
});
definePipeline({
  ...base,
  datasets: { ours: { columns: { user_id: 'text' } } },
  stages: {
    wait: sense({ conditions: [{ accepted: { dataset: 'theirs' } }] }),
    // @ts-expect-error nothing senses that dataset
    read: compute({ reads: { other: sensed('others') }, sql: 'read.sql', writes: 'ours' }),
  },
});
definePipeline({
  ...base,
  datasets: { ours: { columns: { user_id: 'text' } } },
  stages: {
    wait: sense({ conditions: [{ accepted: { dataset: 'theirs' } }] }),
    // @ts-expect-error the dataset of another pipeline is none of this one's
    read: compute({ reads: { theirs: 'theirs' }, sql: 'read.sql', writes: 'ours' }),
  },
});
