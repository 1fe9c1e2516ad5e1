import { readFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../../../lib/package-root';
import { testPipelines } from '../../../operator/pipeline-tests';
import { validateProject } from '../../../operator/validate';
import { ForeignProject } from '../../support/foreign-project';

/** Blocks of the page that follow a line with nothing but a file name. */
function filesOf(page: string): Record<string, string> {
  const text = readFileSync(path.join(packageRoot(), 'docs', page), 'utf8');
  return Object.fromEntries([...text.matchAll(/^`([^`\n]+)`\n\n```\w+\n(.*?)^```$/gms)].map(([, file = '', code = '']) => [file, code]));
}

describe('docs/adding-a-pipeline.md', () => {
  const files = filesOf('adding-a-pipeline.md');

  it('shows a whole project', () => {
    expect(Object.keys(files)).toEqual([
      'almanac.config.ts',
      'pipelines/listeners/pipeline.ts',
      'pipelines/listeners/sql/add-day.sql',
      'pipelines/listeners/tests/add-day.yaml',
    ]);
  });

  it('is valid and passes its test as it stands on the page', async () => {
    using project = new ForeignProject(files);
    const { pipelines } = await validateProject(project.directory, new Date('2026-11-21T12:00:00Z'));
    expect(pipelines).toEqual([expect.objectContaining({ pipeline: 'listeners', stages: 4, problems: [], warnings: [] })]);
    expect(await testPipelines(project.directory)).toEqual([expect.objectContaining({ passed: true })]);
  });
});
