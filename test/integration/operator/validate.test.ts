import { renderValidation } from '../../../cli/commands/validate';
import { packageRoot } from '../../../lib/package-root';
import { validateProject, type ProjectValidation } from '../../../operator/validate';
import { ForeignProject, PLAYS } from '../../support/foreign-project';

const NOW = new Date('2026-11-21T12:00:00Z');

async function validate(files: Readonly<Record<string, string>> = {}): Promise<ProjectValidation> {
  using project = new ForeignProject({ ...PLAYS, ...files });
  return await validateProject(project.directory, NOW);
}

describe('validateProject', () => {
  it('finds nothing wrong with a sound project', async () => {
    const validation = await validate();
    expect(validation.pipelines).toEqual([
      { pipeline: 'plays', stages: 4, planHash: expect.stringMatching(/^[0-9a-f]{64}$/), problems: [], warnings: [] },
    ]);
    expect(renderValidation(validation)).toBe('ok     plays  4 stages');
  });

  it("finds nothing wrong with this repository's project", async () => {
    const { pipelines } = await validateProject(packageRoot(), NOW);
    expect(pipelines.length).toBeGreaterThan(0);
    for (const { problems, warnings } of pipelines) expect([...problems, ...warnings]).toEqual([]);
  });

  it.each<[string, Record<string, string>, string, string]>([
    [
      'SQL that does not parse',
      { 'pipelines/plays/sql/add.sql': 'select\n  user_id from from added' },
      'engine.sql',
      'pipelines/plays/sql/add.sql',
    ],
    [
      'a column that is not there',
      { 'pipelines/plays/sql/add.sql': 'select\n  user as user_id from added where user_name = 1' },
      'engine.sql',
      'line 2',
    ],
    [
      'a result without a declared column',
      { 'pipelines/plays/sql/add.sql': 'select user_id, 1::bigint as plays from added' },
      'compute.schema',
      'returns no column "share"',
    ],
    [
      'a bootstrap text of another shape',
      { 'pipelines/plays/sql/all.sql': 'select 1 as user_id' },
      'compute.schema',
      'pipelines/plays/sql/all.sql',
    ],
    ['a placeholder nobody fills', { 'pipelines/plays/sql/add.sql': 'select $flor' }, 'sql.placeholder', '$flor at line 1'],
    [
      'a predicate of a check that does not bind',
      { 'pipelines/plays/pipeline.ts': PLAYS['pipelines/plays/pipeline.ts'].replace('plays < 1', 'playz < 1') },
      'engine.sql',
      'playz',
    ],
  ])('finds %s', async (_what, files, code, message) => {
    const { pipelines } = await validate(files);
    expect(pipelines[0]?.problems).toContainEqual(expect.objectContaining({ code, message: expect.stringContaining(message) }));
  });

  it('finds every problem of a pipeline at once, and says the next step of each', async () => {
    const validation = await validate({ 'pipelines/plays/sql/add.sql': 'select 1 as a', 'pipelines/plays/sql/all.sql': 'select nothing' });
    expect(validation.pipelines[0]?.problems.map(({ code }) => code)).toEqual(['compute.schema', 'engine.sql']);
    expect(renderValidation(validation).match(/next: Correct .*all\.sql, then run `almanac validate` again\./g)).toHaveLength(1);
    expect(renderValidation(validation).match(/next: /g)).toHaveLength(2);
  });

  it('notes a text no stage uses', async () => {
    expect((await validate({ 'pipelines/plays/sql/old.sql': 'select 1' })).pipelines[0]).toMatchObject({
      problems: [],
      warnings: ['no stage uses pipelines/plays/sql/old.sql'],
    });
  });

  it('holds a text for Spark to the params, and notes one that stands for no text', async () => {
    const variants = {
      'pipelines/plays/sql/add.spark.sql': 'select `user_id`, $flor as plays from added',
      'pipelines/plays/sql/all.spark.sql': 'select `user_id` from added',
    };
    expect((await validate(variants)).pipelines[0]?.problems).toEqual([
      expect.objectContaining({ code: 'sql.placeholder', message: expect.stringContaining('pipelines/plays/sql/add.spark.sql') }),
    ]);
    const orphan = { 'pipelines/plays/sql/ad.spark.sql': 'select 1', 'pipelines/plays/sql/all.spark.sql': 'select `user_id` from added' };
    expect((await validate(orphan)).pipelines[0]).toMatchObject({
      problems: [],
      warnings: ['no stage uses pipelines/plays/sql/ad.spark.sql: it is for Spark in the place of ad.sql, which no stage names'],
    });
  });

  it('notes stages that may be computed on Spark where no EMR is known, and asks nothing more of them', async () => {
    const pipeline = PLAYS['pipelines/plays/pipeline.ts'].replace('add: compute({', "add: compute({ engine: { sparkAbove: '20GB' },");
    using project = new ForeignProject({ ...PLAYS, 'pipelines/plays/pipeline.ts': pipeline });
    expect((await validateProject(project.directory, NOW)).pipelines[0]).toMatchObject({ problems: [], warnings: [] });
    const [validation] = (await validateProject(project.directory, NOW, { emr: false })).pipelines;
    expect(validation).toMatchObject({
      problems: [],
      warnings: ['ALMANAC_EMR_SETTINGS is not set here, and without it workers cannot compute on Spark, as add may'],
    });
  });

  it.each([
    ["engine: 'sprak'", `stages.add.engine: "sprak" is none of 'duckdb', 'spark', 'none'`],
    ["engine: { sparkAbove: 'much' }", 'stages.add.engine.sparkAbove: "much" is no size such as 20GB'],
  ])('refuses %s where it stands', async (engine, message) => {
    const pipeline = PLAYS['pipelines/plays/pipeline.ts'].replace('add: compute({', `add: compute({ ${engine},`);
    await expect(validate({ 'pipelines/plays/pipeline.ts': pipeline })).rejects.toMatchObject({
      code: 'pipeline.invalid',
      message: expect.stringContaining(message) as string,
    });
  });

  it('throws what keeps the project from loading', async () => {
    await expect(validate({ 'almanac.config.ts': 'export default {{' })).rejects.toMatchObject({ code: 'project.invalid' });
  });
});
