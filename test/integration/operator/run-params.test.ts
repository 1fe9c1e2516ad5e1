import { startRun, type RunAnswer } from '../../../operator/runs/start';
import type { ParamValue } from '../../../pipelines/types';
import { ForeignProject, PLAYS } from '../../support/foreign-project';
import { operatorSession, type TestSession } from '../../support/operator-session';

let project: ForeignProject;
let session: TestSession;
const run = (params?: Record<string, ParamValue>): Promise<RunAnswer> =>
  startRun(session, { pipeline: 'plays', window: '2026-01-01', ...(params === undefined ? {} : { params }) });

beforeAll(async () => {
  project = new ForeignProject(PLAYS);
  session = await operatorSession(project.directory);
  await run({ floor: 2 });
});
afterAll(async () => {
  await session[Symbol.asyncDispose]();
  project[Symbol.dispose]();
});

describe.each(['running', 'succeeded'])('of a run that is %s', (state) => {
  beforeAll(() => session.database.query('update almanac.run set state = $1', [state]));

  test.each<[Record<string, ParamValue>]>([[{ zz: 1 }], [{ floor: 'many' }]])(
    'params that do not exist or fit are refused: %j',
    async (params) => {
      await expect(run(params)).rejects.toMatchObject({ code: 'param.invalid' });
    },
  );

  test('other values are named as not used: only a new generation takes them', async () => {
    expect(await run({ floor: 3 })).toMatchObject({ run: { generation: 1 }, unusedParams: ['floor'] });
  });

  test('the values it has are no news', async () => {
    expect(await run({ floor: 2 })).not.toHaveProperty('unusedParams');
    expect(await run()).not.toHaveProperty('unusedParams');
  });
});
