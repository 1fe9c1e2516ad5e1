import { createHash } from 'node:crypto';
import { carried, compute, definePipeline, ingest, weekly, type PipelineSpec, type StageSpec } from '../../../pipelines/define';
import { AlmanacError } from '../../../pipelines/failures';
import { carriersOf } from '../../../pipelines/graph';
import { buildPlan, planDiff } from '../../../pipelines/plan';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

const spec = {
  id: 'plays',
  owner: 'team',
  window: { every: 'day', timezone: 'UTC' },
  chain: 'independent',
  params: { floor: 5 },
  datasets: {
    events: { columns: { id: 'bigint', day: 'date' } },
    fresh: { columns: { id: 'bigint' } },
    seen: { kind: 'state', columns: { id: 'bigint' } },
    names: { columns: { id: 'bigint' } },
    report: { columns: { id: 'bigint' }, file: 'report.csv' },
  },
  stages: {
    events: ingest({ landing: 'events', folders: 'every', header: false, folderDate: 'day', writes: 'events' }),
    names: ingest({ reference: 'names.csv', names: { id: 'ID' }, writes: 'names' }),
    choose: compute({ reads: { events: 'events', seen: carried('seen', 'events') }, sql: 'choose.sql', writes: 'fresh' }),
    note: compute({ reads: { fresh: 'fresh', seen: carried('seen', 'events') }, sql: 'note.sql', writes: 'seen' }),
    report: compute({ reads: { seen: 'seen', names: 'names' }, sql: 'report.sql', writes: 'report' }),
  },
} as const satisfies PipelineSpec;

const texts = new Map([
  ['choose.sql', 'select id from events where id > $floor'],
  ['note.sql', 'select id from fresh'],
  ['report.sql', 'select id from seen'],
]);
const withStage = (id: keyof typeof spec.stages, change: Partial<StageSpec> & object): PipelineSpec => ({
  ...spec,
  stages: { ...spec.stages, [id]: { ...spec.stages[id], ...change } as StageSpec },
});

function refusal(wrong: unknown): string {
  try {
    definePipeline(wrong as PipelineSpec & { chain: 'independent' });
  } catch (error) {
    if (error instanceof AlmanacError && error.code === 'pipeline.invalid') return error.message;
    throw error;
  }
  throw new Error('the declaration was accepted');
}

test('an independent chain may carry on what an ingest of every folder has read before', () => {
  expect(() => definePipeline(spec)).not.toThrow();
  expect(carriersOf(spec.stages, 'events')).toEqual(['choose', 'note']);
});

describe('what an ingest goes on from was made by the stages that carry it', () => {
  const moved = (files: ReadonlyMap<string, string>, params = {}): unknown =>
    planDiff(buildPlan(spec, texts, {}, sha256), buildPlan(spec, files, params, sha256)).changed;

  test('so another text of theirs makes the ingest another, and everything is read anew', () => {
    const changed = moved(new Map([...texts, ['note.sql', 'select id from fresh where id <> 7']]));
    expect(changed).toContainEqual({ stage: 'events', reasons: ['text'] });
    expect(changed).toContainEqual({ stage: 'report', reasons: ['upstream'] });
  });

  test('and so does a param that they use', () => {
    expect(moved(texts, { floor: 6 })).toContainEqual({ stage: 'events', reasons: ['params'] });
  });

  test('but not what is made of it', () => {
    expect(moved(new Map([...texts, ['report.sql', 'select id from seen where id <> 7']]))).toEqual([
      { stage: 'report', reasons: ['text'] },
    ]);
  });
});

test.each<[what: string, wrong: unknown, message: string]>([
  ['to carry since an ingest of one folder', withStage('events', { folders: 'newest' }), 'is not written by an ingest with folders'],
  [
    'to carry since what no ingest writes',
    withStage('note', { reads: { seen: carried('seen', 'fresh') } }),
    '"fresh" is not written by an ingest',
  ],
  [
    'to carry what is made of another ingest as well',
    withStage('note', { reads: { fresh: 'fresh', names: 'names', seen: carried('seen', 'events') } }),
    'would be made of "names" as well',
  ],
  ['an event time of every folder', withStage('events', { eventTime: 'day' }), 'eventTime'],
  ['a marker of every folder', withStage('events', { ready: { marker: '_SUCCESS' } }), "speaks of the window's own folder"],
  ['folders of a reference', withStage('names', { folders: 'newest' }), 'a reference lies in no'],
  ['names of files without a header', withStage('events', { names: { id: 'ID' } }), 'files without a header name no columns'],
  ['a name of no column', withStage('names', { names: { key: 'ID' } }), 'there is no column "key"'],
  ['a folder date that is no date', withStage('events', { folderDate: 'id' }), '"id" is bigint, not date'],
  ["a week's own folder", { ...withStage('events', { folders: 'window' }), window: weekly() }, 'landing folders are days'],
  [
    'a file that is none',
    { ...spec, datasets: { ...spec.datasets, report: { columns: { id: 'bigint' }, file: '../report.csv' } } },
    'plain name of a .csv file',
  ],
])('refused is %s', (_what, wrong, message) => {
  expect(refusal(wrong)).toContain(message);
});
