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

  it('throws what keeps the project from loading', async () => {
    await expect(validate({ 'almanac.config.ts': 'export default {{' })).rejects.toMatchObject({ code: 'project.invalid' });
  });
});
