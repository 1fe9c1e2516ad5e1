import { renderResults } from '../../../cli/commands/test';
import { packageRoot } from '../../../lib/package-root';
import { testPipelines, type TestResult } from '../../../operator/pipeline-tests';
import { ForeignProject, PLAYS } from '../../support/foreign-project';

const CASE = `name: adds the day to the totals
stage: add
window: 2026-11-20
given:
  plays:
    - { user_id: a, ts: 2026-11-20T08:00:00Z }
    - { user_id: a, ts: 2026-11-20T09:00:00Z }
    - { user_id: b, ts: 2026-11-20T09:00:00Z }
    - { user_id: c, ts: 2026-11-21T00:00:00Z }
  previous:totals:
    - { user_id: a, plays: 5 }
    - { user_id: "it's", plays: 1 }
expect:
  - { user_id: b, plays: 1, share: 0.33333333333 }
  - { user_id: a, plays: 7, share: 0.33333333333 }
  - { user_id: "it's", plays: 1, share: 0.33333333333 }
`;

async function run(text: string, only?: string): Promise<TestResult[]> {
  using project = new ForeignProject({ ...PLAYS, 'pipelines/plays/tests/add.yaml': text });
  return await testPipelines(project.directory, only);
}

const failed = async (text: string): Promise<TestResult> => {
  const [result, ...others] = await run(text);
  expect(others).toEqual([]);
  expect(result?.passed).toBe(false);
  return result as TestResult;
};

describe('testPipelines', () => {
  it('runs the text of a stage over given rows, bucket by bucket, with rows in any order', async () => {
    expect(await run(CASE)).toEqual([
      { pipeline: 'plays', engine: 'duckdb', place: 'pipelines/plays/tests/add.yaml:1', name: 'adds the day to the totals', passed: true },
    ]);
  });

  it('passes params, and bootstraps without a previous window', async () => {
    const bootstrap = CASE.replace('stage: add', 'stage: add\nbootstrap: true')
      .replace(/ {2}previous:totals:\n(?: {4}.*\n)*/, '')
      .replace(/expect:[^]*/, 'expect:\n  - { user_id: a, plays: 2 }\n  - { user_id: b, plays: 1 }\n');
    const params = CASE.replace('stage: add', 'stage: add\nparams: { floor: 7 }').replace(/expect:[^]*/, 'expect: [{ user_id: a }]\n');
    expect((await run(`${bootstrap}---\n${params}`)).map(({ passed, diff, failure }) => [passed, diff, failure?.message])).toEqual([
      [true, undefined, undefined],
      [true, undefined, undefined],
    ]);
  });

  it('shows what differs by key and column', async () => {
    const result = await failed(CASE.replace('plays: 7', 'plays: 8').replace('{ user_id: b, plays: 1', '{ user_id: d, plays: 1'));
    expect(result.diff?.split('\n')).toEqual([
      '~ user_id=a: plays is 7, expected 8',
      '- missing    user_id=d plays=1 share=0.33333333333',
      expect.stringMatching(/^\+ unexpected user_id=b plays=1 share=0\.3333/),
    ]);
    expect(renderResults([result]).split('\n').at(-1)).toBe('1 test, 1 failed');
  });

  describe('a case that cannot be run', () => {
    const wrong: [what: string, text: string, code: string, message: string][] = [
      [
        'a stage that is not there',
        CASE.replace('stage: add', 'stage: ad'),
        'test.invalid',
        '"ad" is not a compute stage of plays, which has add',
      ],
      ['a stage that computes nothing', CASE.replace('stage: add', 'stage: judge'), 'test.invalid', '"judge" is not a compute stage'],
      ['rows of what the stage does not read', CASE.replace('  plays:\n', '  play:\n'), 'test.invalid', 'does not read "play"'],
      [
        'no rows of what it reads',
        CASE.replace(/ {2}previous:totals:\n(?: {4}.*\n)*/, ''),
        'test.invalid',
        '`given` lacks previous:totals; write `previous:totals: []`',
      ],
      [
        'a column that is not there',
        CASE.replace('plays: 5', 'playz: 5'),
        'test.invalid',
        'given.previous:totals[0] has the column "playz"',
      ],
      ['an expected column that is not there', CASE.replace('plays: 7', 'playz: 7'), 'test.invalid', 'expect[1] has the column "playz"'],
      [
        'a value that is not of its type',
        CASE.replace('plays: 5', 'plays: five'),
        'engine.sql',
        'given.previous:totals of pipelines/plays/tests/add.yaml:',
      ],
      [
        'a bootstrap over a previous window',
        CASE.replace('stage: add', 'stage: add\nbootstrap: true'),
        'test.invalid',
        'a bootstrap sees no rows of previous:totals',
      ],
      ['a window that is none', CASE.replace('window: 2026-11-20', 'window: 2026-W47'), 'window.invalid', '2026-W47'],
      ['a param that is none', CASE.replace('stage: add', 'stage: add\nparams: { flor: 7 }'), 'param.invalid', 'flor'],
      ['YAML that is none', `${CASE}  ]`, 'test.invalid', 'pipelines/plays/tests/add.yaml:'],
    ];
    let results: readonly TestResult[];
    beforeAll(async () => {
      results = await run(wrong.map(([, text]) => text).join('---\n'));
    });

    it.each(wrong.map(([what, , code, message], at) => [what, at, code, message] as const))(
      'fails with %s, naming it',
      (_what, at, code, message) => {
        expect(results).toHaveLength(wrong.length);
        expect(results[at]).toMatchObject({ passed: false, failure: { code, message: expect.stringContaining(message) } });
      },
    );
  });

  it('runs every case when one cannot be run', async () => {
    expect((await run(`${CASE.replace('stage: add', 'stage: ad')}---\n${CASE}`)).map(({ passed }) => passed)).toEqual([false, true]);
  });

  it('refuses a pipeline that is not there', async () => {
    await expect(run(CASE, 'play')).rejects.toMatchObject({ code: 'pipeline.unknown', next: expect.stringContaining('plays') });
  });

  it("passes this repository's own", async () => {
    const results = await testPipelines(packageRoot());
    expect(results.length).toBeGreaterThan(0);
    expect(results.filter(({ passed }) => !passed)).toEqual([]);
  });
});
