import { existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { createJiti } from 'jiti';
import { cacheDirectory } from '../lib/cache-directory';
import { editDistance, nearest } from '../lib/nearest';
import { sha256 } from '../lib/sha256';
import * as define from '../pipelines/define';
import { AlmanacError } from '../pipelines/failures';
import type { Hooks } from '../pipelines/notify';
import type { Pools } from '../pipelines/pool-rules';
import { buildPlan, withEngine } from '../pipelines/plan';
import type { EngineName, ParamValue, PipelineSpec, Plan } from '../pipelines/types';
import { loadFailure } from './project-failure';

const CONFIG_FILE = 'almanac.config.ts';

/** A pipeline with the texts its plans refer to. */
export interface ProjectPipeline {
  readonly spec: PipelineSpec;
  /** Content of `pipelines/ID/sql/*.sql` by hash. */
  readonly texts: ReadonlyMap<string, string>;
  /** The file name of each text by hash; one of them where two files hold the same. */
  readonly textNames: ReadonlyMap<string, string>;
  /** `engine` computes every stage that computes. Throws `pipeline.invalid` (a text that is not there), `sql.placeholder`, `param.invalid`. */
  plan(paramOverrides?: Readonly<Record<string, ParamValue>>, engine?: EngineName): Plan;
}

export interface Project {
  /** Absolute. */
  readonly directory: string;
  readonly pipelines: ReadonlyMap<string, ProjectPipeline>;
  readonly hooks: Hooks;
  readonly pools: Pools;
  /** Throws `pipeline.unknown`, listing the names with the nearest first. */
  pipeline(id: string): ProjectPipeline;
}

/**
 * Loads the project of a directory: its almanac.config.ts, what that imports (`almanac` is this package), and the SQL
 * texts. Each call reads the files anew. Throws `project.invalid` with file and line, or what the declarations throw.
 */
export async function loadProject(directory: string): Promise<Project> {
  const root = path.resolve(directory);
  const { pipelines: specs, notify, pools } = await importConfig(root);
  const pipelines = new Map(await Promise.all(specs.map(async (spec) => [spec.id, await loadPipeline(root, spec)] as const)));
  return {
    directory: root,
    pipelines,
    hooks: notify ?? {},
    pools: pools ?? {},
    pipeline(id) {
      const pipeline = pipelines.get(id);
      if (pipeline === undefined) throw unknownPipeline(id, root, [...pipelines.keys()]);
      return pipeline;
    },
  };
}

async function importConfig(root: string): Promise<define.ProjectSpec> {
  const file = path.join(root, CONFIG_FILE);
  if (!existsSync(file)) {
    throw new AlmanacError('project.invalid', `There is no ${CONFIG_FILE} in ${root}, so it is no project.`, {
      next: 'Go to the directory of a project, or name one with `--project DIR`.',
      details: { directory: root },
    });
  }
  const jiti = createJiti(__filename, { fsCache: cacheDirectory('modules'), moduleCache: false, virtualModules: { almanac: define } });
  let project: unknown;
  try {
    project = await jiti.import(file, { default: true });
  } catch (error) {
    throw loadFailure(error, root, file);
  }
  return checkedProject(project, root, file);
}

/** Literals that went around `definePipeline` and `defineProject` are held to the same rules. */
function checkedProject(project: unknown, root: string, file: string): define.ProjectSpec {
  const given: object = typeof project === 'object' && project !== null ? project : {};
  const pipelines: unknown = 'pipelines' in given ? given.pipelines : undefined;
  if (!Array.isArray(pipelines)) {
    throw new AlmanacError('project.invalid', `${file} does not export a project by default.`, {
      next: 'End it with `export default defineProject({ pipelines: [...] });`.',
      details: { file },
    });
  }
  const specs = pipelines as Parameters<typeof define.definePipeline>[0][];
  try {
    const notify = 'notify' in given ? (given.notify as Hooks) : undefined;
    const pools = 'pools' in given ? (given.pools as Pools) : undefined;
    return define.defineProject({
      pipelines: specs.map((spec) => define.definePipeline(spec)),
      ...(notify === undefined ? {} : { notify }),
      ...(pools === undefined ? {} : { pools }),
    });
  } catch (error) {
    throw loadFailure(error, root, file);
  }
}

async function loadPipeline(root: string, spec: PipelineSpec): Promise<ProjectPipeline> {
  const files = await readTexts(path.join(root, 'pipelines', spec.id, 'sql'));
  let standard: Plan | undefined;
  return {
    spec,
    texts: new Map([...files.values()].map((text) => [sha256(text), text])),
    textNames: new Map([...files].map(([name, text]) => [sha256(text), name])),
    plan(overrides = {}, engine) {
      if (Object.keys(overrides).length > 0) return withEngine(buildPlan(spec, files, overrides, sha256), engine, sha256);
      standard ??= buildPlan(spec, files, {}, sha256);
      return withEngine(standard, engine, sha256);
    },
  };
}

/** SQL files of a folder by name; none when there is no folder, which the plan reports for each text it misses. */
async function readTexts(folder: string): Promise<ReadonlyMap<string, string>> {
  if (!existsSync(folder)) return new Map();
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  return new Map(await Promise.all(names.map(async (name) => [name, await readFile(path.join(folder, name), 'utf8')] as const)));
}

function unknownPipeline(id: string, root: string, known: readonly string[]): AlmanacError {
  const names = [...known].sort((a, b) => editDistance(id, a) - editDistance(id, b));
  const meant = nearest(id, names);
  const config = path.join(root, CONFIG_FILE);
  return new AlmanacError(
    'pipeline.unknown',
    `The project ${root} has no pipeline "${id}"${names.length === 0 ? '' : `; it has ${names.join(', ')}`}.`,
    {
      next: meant === undefined ? `Use one it has, or add it to ${config}.` : `Did you mean ${meant}? Else add it to ${config}.`,
      details: { pipeline: id, known: names },
    },
  );
}
