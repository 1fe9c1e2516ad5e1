import {
  compute,
  daily,
  definePipeline,
  defineProject,
  everyMinutes,
  ingest,
  publish,
  sense,
  sensed,
  weekly,
} from '../../../pipelines/define';
import { graphOf, readOfSensed } from '../../../pipelines/graph';
import { buildPlan } from '../../../pipelines/plan';
import { sha256 } from '../../../lib/sha256';
import { AlmanacError } from '../../../pipelines/failures';
import { problemsOf } from '../../../pipelines/rules';
import type { ComputeSpec, PipelineSpec, SenseCondition, SenseSpec, WindowSpec } from '../../../pipelines/types';

function pipeline(id: string, window: WindowSpec, ...conditions: SenseCondition[]): PipelineSpec {
  const stages: PipelineSpec['stages'] = {
    ...(conditions.length === 0 ? {} : { wait: sense({ conditions }) }),
    ...(window.every === 'day' ? { read: ingest({ landing: `${id}-files`, writes: `${id}_rows` }) } : {}),
    ...(window.every === 'day'
      ? { show: publish({ mode: 'newest', tables: { [`${id}_live`]: { from: `${id}_rows`, key: ['user_id'] } } }) }
      : {}),
  };
  const some = Object.keys(stages).length > 0 ? stages : { join: { kind: 'compute', engine: 'none' } as const };
  return { id, owner: 'o', window, chain: 'independent', datasets: { [`${id}_rows`]: { columns: { user_id: 'text' } } }, stages: some };
}

const problems = (...pipelines: PipelineSpec[]): string[] => {
  try {
    defineProject({ pipelines });
    return [];
  } catch (error) {
    if (!(error instanceof AlmanacError) || error.code !== 'pipeline.invalid') throw error;
    return error.details.problems as string[];
  }
};

const plays = pipeline('plays', daily());

test('names nobody has are refused with their place and the names there are', () => {
  const wrong = pipeline(
    'ours',
    daily(),
    { accepted: { pipeline: 'pays' } },
    { accepted: { dataset: 'rows' } },
    { published: { table: 'live' } },
    { published: { pipeline: 'hourly' } },
    { marker: { landing: 'feed', file: '_SUCCESS' } },
    { quiet: { landing: 'plays-files', minutes: 5 } },
    { accepted: { pipeline: 'ours' } },
  );
  expect(problems(wrong, plays, pipeline('hourly', everyMinutes(60)))).toEqual([
    'ours.stages.wait.conditions.0.accepted.pipeline: no pipeline of the project has the pipeline "pays"; there are hourly, ours, plays',
    'ours.stages.wait.conditions.1.accepted.dataset: no pipeline of the project has the dataset "rows"; there are hourly_rows, ours_rows, plays_rows',
    'ours.stages.wait.conditions.2.published.table: no pipeline of the project has the live table "live"; there are ours_live, plays_live',
    'ours.stages.wait.conditions.3.published: "hourly" publishes nothing',
    'ours.stages.wait.conditions.4.marker.landing: no pipeline of the project has the landing source "feed"; there are ours-files, plays-files',
    "ours.stages.wait.conditions.6.accepted: a pipeline cannot wait for itself; chain: 'ordered' waits for the window before",
  ]);
});

test('longer windows can only be sensed as the newest', () => {
  expect(problems(pipeline('ours', daily(), { accepted: { pipeline: 'long' } }), pipeline('long', weekly()))).toEqual([
    `ours.stages.wait.conditions.0.accepted.window: the windows of "long" are longer than those of "ours", which can only wait for the 'newest'`,
  ]);
  expect(problems(pipeline('ours', daily(), { accepted: { pipeline: 'long', window: 'newest' } }), pipeline('long', weekly()))).toEqual([]);
  expect(problems(pipeline('ours', weekly(), { accepted: { pipeline: 'short' } }), pipeline('short', everyMinutes(1)))).toEqual([
    'ours.stages.wait.conditions.0.accepted.window: a window of "ours" has more than 1500 windows of "short"',
  ]);
});

describe('pipelines that wait for each other', () => {
  const circle = (...windows: WindowSpec[]): ((...mappings: ('same' | 'previous' | 'newest')[]) => string[]) => {
    const ids = ['a', 'b', 'c'].slice(0, windows.length);
    return (...mappings) =>
      problems(
        ...ids.map((id, at) =>
          pipeline(id, windows[at] ?? daily(), {
            accepted: { pipeline: ids[(at + 1) % ids.length] ?? '', window: mappings[at] ?? 'same' },
          }),
        ),
      );
  };

  it('are refused, naming the circle', () => {
    expect(circle(daily(), daily(), daily())('same', 'same', 'same')).toEqual([
      'pipelines: they wait for each other in a circle: a → b → c → a',
    ]);
    expect(circle(daily(), weekly())('newest', 'same')).toEqual(['pipelines: they wait for each other in a circle: a → b → a']);
  });

  it('are allowed where one waits for the window before and all windows are equal', () => {
    expect(circle(daily(), daily(), daily())('same', 'previous', 'same')).toEqual([]);
    // The New York day before overlaps the UTC day that waits for ours.
    expect(circle(daily(), daily({ timezone: 'America/New_York' }))('previous', 'same')).toHaveLength(1);
  });

  it('are told from those that only share one', () => {
    const a = pipeline('a', daily(), { published: { pipeline: 'plays' } }, { accepted: { pipeline: 'b' } });
    expect(problems(a, pipeline('b', daily(), { published: { table: 'plays_live' } }), plays)).toEqual([]);
  });
});

test('a project freezes what its senses mean', () => {
  const ours = pipeline(
    'ours',
    daily(),
    { accepted: { dataset: 'plays_rows' } },
    { published: { table: 'plays_live', window: 'previous' } },
    { marker: { landing: 'plays-files', file: '_SUCCESS' } },
  );
  const resolved = defineProject({ pipelines: [ours, plays] }).pipelines[0]?.stages.wait as SenseSpec;
  expect(resolved.resolved).toEqual([
    {
      kind: 'accepted',
      pipeline: 'plays',
      window: daily(),
      windows: 'same',
      dataset: 'plays_rows',
    },
    { kind: 'published', pipeline: 'plays', window: daily(), windows: 'previous', table: 'plays_live' },
    { kind: 'marker', landing: 'plays-files', file: '_SUCCESS' },
  ]);
});

test.each<[string, Partial<SenseSpec>]>([
  ['conditions: a sense stage without conditions waits for nothing', { conditions: [] }],
  ['patience: "soon" is not a length of time such as 90m or 2h, at most 100d', { patience: 'soon' }],
  ['patience: "101d" is not a length of time such as 90m or 2h, at most 100d', { patience: '101d' }],
  ['conditions.0.marker.landing: "../x" is not a plain name', { conditions: [{ marker: { landing: '../x', file: 'a' } }] }],
  ['conditions.0.marker.file: "a/b" is not the plain name of a file', { conditions: [{ marker: { landing: 'x', file: 'a/b' } }] }],
  ['conditions.0.quiet.folder: "a/../b" is not a plain path', { conditions: [{ quiet: { landing: 'x', folder: 'a/../b', minutes: 1 } }] }],
  ['conditions.0.quiet.minutes: 0 is not a number of minutes above 0', { conditions: [{ quiet: { landing: 'x', minutes: 0 } }] }],
])('a declaration is refused: %s', (message, over) => {
  const conditions: SenseCondition[] = [{ marker: { landing: 'x', file: '_SUCCESS', folder: 'in/{window}' } }];
  const declare = (): unknown =>
    definePipeline({
      id: 'ours',
      owner: 'o',
      window: daily(),
      chain: 'independent',
      datasets: {},
      stages: { wait: { ...sense({ conditions, patience: '2h' }), ...over } },
    });
  expect(declare).toThrow(expect.objectContaining({ code: 'pipeline.invalid', message: expect.stringContaining(message) as string }));
});

/** Reads what it senses of `plays`; `dataset` is the name it reads under. */
function reader(dataset: string, conditions: readonly SenseCondition[], more: Partial<ComputeSpec> = {}): PipelineSpec {
  const stages: PipelineSpec['stages'] = {
    wait: sense({ conditions }),
    read: { ...compute({ reads: { theirs: sensed(dataset) }, sql: 'read.sql', writes: 'ours' }), ...more },
  };
  const spec = { id: 'ours', owner: 'o', window: daily(), chain: 'independent' } as const;
  return { ...spec, datasets: { ours: { columns: { user_id: 'text' } } }, stages };
}

const refused = (dataset: string, conditions: readonly SenseCondition[], more?: Partial<ComputeSpec>): string[] =>
  problemsOf(reader(dataset, conditions, more)).map(({ place, message }) => `${place}: ${message}`);

test('a dataset of another pipeline is read where exactly one condition waits for it by its name', () => {
  const named: SenseCondition = { accepted: { dataset: 'plays_rows' } };
  expect(refused('plays_rows', [named])).toEqual([]);
  for (const other of [{ accepted: { pipeline: 'plays' } }, { published: { table: 'plays_live' } }] as const)
    expect(refused('plays_rows', [other])).toEqual([
      "stages.read.reads.theirs: no sense stage waits for { accepted: { dataset: 'plays_rows' } }, so nothing says which version is read",
    ]);
  expect(refused('plays_rows', [named, { accepted: { dataset: 'plays_rows', window: 'previous' } }])).toEqual([
    'stages.read.reads.theirs: "plays_rows" is waited for 2 times (wait, wait); read it where one condition names it',
  ]);
  expect(refused('plays_rows', [named], { bootstrap: 'all.sql' })).toEqual([
    'stages.read.reads.theirs: a bootstrap computes from all landing data, and "plays_rows" is sensed for the windows of one run only',
  ]);
});

test('who reads what is sensed needs the stage that senses it, and the plan knows its columns', () => {
  const ours = reader('plays_rows', [{ accepted: { dataset: 'plays_rows' } }]);
  expect(graphOf(ours.stages).find(({ id }) => id === 'read')?.needs).toEqual(['wait']);
  expect(readOfSensed(ours.stages, 'wait')).toEqual(['plays_rows']);
  const [, resolved] = defineProject({ pipelines: [plays, ours] }).pipelines;
  const plan = buildPlan(resolved ?? ours, new Map([['read.sql', 'from theirs']]), {}, sha256);
  expect(plan.sensed).toEqual({ plays_rows: plays.datasets.plays_rows });
  expect(
    defineProject({ pipelines: [plays, pipeline('waits', daily(), { accepted: { dataset: 'plays_rows' } })] }).pipelines[1],
  ).not.toHaveProperty('sensed');
});
