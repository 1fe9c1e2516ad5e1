import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../../../lib/package-root';
import { loadProject } from '../../../operator/project';
import { AlmanacError } from '../../../pipelines/failures';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'almanac-project-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(directory, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, text);
  }
}

async function refusal(): Promise<AlmanacError> {
  const error: unknown = await loadProject(directory).catch((reason: unknown) => reason);
  if (error instanceof AlmanacError) return error;
  throw new Error(`not refused with a coded error: ${String(error)}`);
}

/** A project of someone who installed Almanac: two pipelines, shared code, TypeScript throughout. */
const foreign = {
  'almanac.config.ts': `import { defineProject } from 'almanac';
import { plays } from './pipelines/plays/pipeline';
import { loads } from './shared/names';
import { visits } from './pipelines/visits/pipeline.js';
export default defineProject({ pipelines: [plays, visits] });
if (loads.count !== 1) throw new Error('a shared module was loaded ' + loads.count + ' times');
`,
  'shared/names.ts': `export enum Column { User = 'user_id' }
export const loads = { count: 0 };
loads.count += 1;
`,
  'pipelines/plays/pipeline.ts': `import { compute, daily, definePipeline, ingest, previous, type DatasetSpec } from 'almanac';
import { Column, loads } from '../../shared/names';
if (loads.count !== 1) throw new Error('not shared');
const events = { columns: { [Column.User]: 'text', at: 'timestamp' } } satisfies DatasetSpec;
export const plays = definePipeline({
  id: 'plays', owner: 'music', window: daily({ timezone: 'Europe/Berlin' }), chain: 'ordered', params: { days: 30 },
  datasets: { plays, totals: { kind: 'state', columns: { user_id: 'text', plays: 'bigint' }, key: ['user_id'] } },
  stages: {
    read: ingest({ landing: 'plays', writes: 'plays', eventTime: 'at' }),
    add: compute({ reads: { added: 'plays', before: previous('totals') }, sql: 'add.sql', writes: 'totals' }),
  },
});
`.replace('datasets: { plays,', 'datasets: { plays: events,'),
  'pipelines/plays/sql/add.sql': 'select user_id, count(*) as plays from added where at >= $window_end - interval ($days) day group by 1',
  'pipelines/visits/pipeline.ts': `import { daily, definePipeline, ingest } from 'almanac';
export const visits = definePipeline({
  id: 'visits', owner: 'web', window: daily(), chain: 'independent',
  datasets: { visits: { columns: { page: 'text' } } }, stages: { read: ingest({ landing: 'visits', writes: 'visits' }) },
});
`,
};

describe('loadProject', () => {
  it("loads someone else's project, outside this repository, that imports from 'almanac'", async () => {
    await write(foreign);
    const project = await loadProject(directory);
    expect(project.directory).toBe(directory);
    expect([...project.pipelines.keys()]).toEqual(['plays', 'visits']);
    const { spec, texts, plan } = project.pipeline('plays');
    expect(spec.window).toEqual({ every: 'day', timezone: 'Europe/Berlin' });
    const add = plan().stages.find(({ id }) => id === 'add');
    expect(add?.needs).toEqual(['read']);
    expect(texts.get(add?.sqlHash ?? '')).toBe(foreign['pipelines/plays/sql/add.sql']);
    expect(plan({ days: '7' }).params).toEqual({ days: 7 });
    expect(plan({ days: '7' }).hash).not.toBe(plan().hash);
    expect(plan({}).hash).toBe(plan().hash);
  });

  // Jest has a module cache of its own, so this runs in a plain process.
  it('reads changed files anew in the same process', async () => {
    await write(foreign);
    const script = `
      const { readFileSync, writeFileSync } = require('node:fs');
      const [directory, file, source] = process.argv.slice(1);
      (async () => {
        const { loadProject } = await require('jiti').createJiti(source).import(source);
        const seen = async () => {
          const { spec, plan } = (await loadProject(directory)).pipeline('plays');
          return [spec.owner, plan().hash];
        };
        const before = await seen();
        writeFileSync(file, readFileSync(file, 'utf8').replace("owner: 'music'", "owner: 'radio'"));
        const after = await seen();
        writeFileSync(file.replace('pipeline.ts', 'sql/add.sql'), 'select user_id, 1 as plays from added');
        console.log(JSON.stringify([before, after, await seen()]));
      })();`;
    const file = path.join(directory, 'pipelines/plays/pipeline.ts');
    const source = path.join(packageRoot(), 'operator/project.ts');
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', script, directory, file, source], { cwd: packageRoot() });
    const [[first, hash], [second, same], [, other]] = JSON.parse(stdout) as [string[], string[], string[]];
    expect([first, second]).toEqual(['music', 'radio']);
    expect(same).toBe(hash);
    expect(other).not.toBe(hash);
  });

  it("loads this repository's own project, and every plan of it is sound", async () => {
    const project = await loadProject(packageRoot());
    expect([...project.pipelines.keys()]).toContain('audience-index');
    for (const pipeline of project.pipelines.values()) {
      for (const { sqlHash } of pipeline.plan().stages) if (sqlHash !== undefined) expect(pipeline.texts.get(sqlHash)).toBeDefined();
    }
  });

  it('lists the names of pipelines, the nearest first', async () => {
    await write(foreign);
    const project = await loadProject(directory);
    expect(() => project.pipeline('vists')).toThrow(
      expect.objectContaining({
        code: 'pipeline.unknown',
        message: expect.stringContaining('it has visits, plays'),
        next: expect.stringContaining('Did you mean visits?'),
      }),
    );
  });

  it('refuses a directory without a config, naming it', async () => {
    const error = await refusal();
    expect(error).toMatchObject({
      code: 'project.invalid',
      message: `There is no almanac.config.ts in ${directory}, so it is no project.`,
    });
    expect(error.next).toContain('--project DIR');
  });

  it.each<[string, Record<string, string>, string]>([
    ['a syntax error', { 'almanac.config.ts': 'export const a = 1;\nexport default {{;\n' }, 'almanac.config.ts:2: '],
    [
      'a syntax error of an import',
      { 'pipelines/plays/pipeline.ts': 'export const plays =\n\n  definePipeline(;\n' },
      'pipelines/plays/pipeline.ts:3: ',
    ],
    ['a config that throws', { 'almanac.config.ts': "\n\nthrow new Error('no such thing');\n" }, 'almanac.config.ts:3: no such thing'],
    ['an import that throws something odd', { 'shared/names.ts': "\nthrow 'text';\n" }, 'almanac.config.ts: text'],
    [
      'an import that is not there',
      { 'almanac.config.ts': "import { a } from './nowhere';\nexport default a;\n" },
      "Cannot find module './nowhere'",
    ],
    [
      'a name that is not imported',
      { 'pipelines/plays/pipeline.ts': '\n\nexport const plays = definePipeline({});\n' },
      'pipelines/plays/pipeline.ts:3: definePipeline is not defined',
    ],
    [
      'no default export',
      { 'almanac.config.ts': "export { plays } from './pipelines/plays/pipeline';\n" },
      'does not export a project by default',
    ],
    ['a project that lists nothing', { 'almanac.config.ts': 'export default 3;\n' }, 'does not export a project by default'],
    ['a pipeline that is none', { 'almanac.config.ts': 'export default { pipelines: [undefined] };\n' }, 'almanac.config.ts'],
  ])('refuses %s with file and line', async (_what, files, expected) => {
    await write({ ...foreign, ...files });
    const error = await refusal();
    expect(error.code).toBe('project.invalid');
    expect(error.message).toContain(expected);
    expect(error.message).not.toContain('\n');
    expect(error.message).toContain(directory);
  });

  it.each<[string, string, string]>([
    ['a declaration', "writes: 'visits'", 'pipelines/visits/pipeline.ts:2'],
    ['a literal that went around definePipeline', '', 'almanac.config.ts'],
  ])('gives the code and the place of %s that is invalid', async (_what, spoiled, place) => {
    await write(foreign);
    if (spoiled === '') {
      await write({
        'almanac.config.ts': `export default { pipelines: [{ id: 'x', owner: 'a', window: { every: 'day', timezone: 'UTC' }, chain: 'independent', datasets: {}, stages: { s: { kind: 'compute', engine: 'none', needs: ['t'] } } }] };`,
      });
    } else {
      await write({ 'pipelines/visits/pipeline.ts': foreign['pipelines/visits/pipeline.ts'].replace(spoiled, "writes: 'vists'") });
    }
    const error = await refusal();
    expect(error.code).toBe('pipeline.invalid');
    expect(error.message).toContain(place);
    expect(error.next).toContain('almanac validate');
  });

  it('names the place also where the project is reached by a link', async () => {
    await write({ ...foreign, 'almanac.config.ts': "\nthrow new Error('no such thing');\n" });
    const link = `${directory}-link`;
    await symlink(directory, link);
    try {
      await expect(loadProject(link)).rejects.toMatchObject({
        message: `The project in ${link} cannot be loaded: almanac.config.ts:2: no such thing`,
      });
    } finally {
      await rm(link);
    }
  });

  it('loads a project whose one pipeline lacks a text, and refuses its plan only', async () => {
    await write(foreign);
    await rm(path.join(directory, 'pipelines/plays/sql'), { recursive: true });
    const project = await loadProject(directory);
    expect(() => project.pipeline('plays').plan()).toThrow(
      expect.objectContaining({ code: 'pipeline.invalid', message: expect.stringContaining('pipelines/plays/sql/add.sql') }),
    );
    expect(project.pipeline('visits').plan().stages).toHaveLength(1);
  });
});
