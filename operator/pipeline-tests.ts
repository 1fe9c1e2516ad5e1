import type { Engine, EngineSession } from '../activities/compute/engine';
import { columnsOf } from '../pipelines/duckdb-sql';
import { AlmanacError, failureInfo, type FailureInfo } from '../pipelines/failures';
import { quoteName, quoteText } from '../pipelines/quote-sql';
import type { ColumnType, DatasetSpec } from '../pipelines/types';
import { parseWindow } from '../pipelines/window';
import { loadProject, type ProjectPipeline } from './project';
import { diffRows, isEqual, renderDiff, type Row } from './row-diff';
import { createScratchEngine } from './scratch-engine';
import {
  COMPUTED,
  computeResult,
  createSource,
  createSources,
  EXPECTED,
  PREVIOUS,
  sourceTable,
  stageText,
  type StageText,
} from './stage-sql';
import { invalidCase, loadCases, type CaseRow, type LoadedCase, type TestCase } from './test-cases';

export interface TestResult {
  readonly pipeline: string;
  readonly engine: 'duckdb';
  /** `FILE:LINE` relative to the project. */
  readonly place: string;
  readonly name: string;
  readonly passed: boolean;
  /** Why the case could not be run. */
  readonly failure?: FailureInfo;
  /** Lines that tell expected rows from actual ones. */
  readonly diff?: string;
}

const LIMITS = { memoryBytes: 500e6, threads: 1 };
/** Cases are small; more rows than this are a fault of the text under test. */
const MAX_ROWS = 100_000;

/**
 * Runs the cases of `pipelines/ID/tests` of one pipeline, or of all, on each engine. A case that cannot be run has its
 * failure in its result. Throws what {@link loadProject} throws, and `pipeline.unknown`.
 */
export async function testPipelines(directory: string, only?: string): Promise<TestResult[]> {
  const project = await loadProject(directory);
  const pipelines = only === undefined ? [...project.pipelines.values()] : [project.pipeline(only)];
  await using scratch = createScratchEngine();
  const results: TestResult[] = [];
  for (const pipeline of pipelines) {
    for (const loaded of await loadCases(project.directory, pipeline.spec.id))
      results.push(await runCase(scratch.engine, pipeline, loaded));
  }
  return results;
}

async function runCase(engine: Engine, pipeline: ProjectPipeline, loaded: LoadedCase): Promise<TestResult> {
  const { place } = loaded;
  const result = { pipeline: pipeline.spec.id, engine: 'duckdb' as const, place, name: 'test' in loaded ? loaded.test.name : place };
  try {
    if ('error' in loaded) throw loaded.error;
    const diff = await engine.session(LIMITS, new AbortController().signal, (session) => compare(session, pipeline, loaded.test, place));
    return diff === undefined ? { ...result, passed: true } : { ...result, passed: false, diff };
  } catch (error) {
    if (!(error instanceof AlmanacError)) throw error;
    // The engine speaks to the operator of a run; here nothing has run yet.
    const next =
      error.code === 'engine.sql' ? { next: 'Correct the text or the case the message names, then run `almanac test` again.' } : {};
    return { ...result, passed: false, failure: { ...failureInfo(error), ...next } };
  }
}

/** The rendered difference; undefined when the rows are as expected. */
async function compare(session: EngineSession, pipeline: ProjectPipeline, test: TestCase, place: string): Promise<string | undefined> {
  const stage = testedStage(pipeline, test, place);
  const window = parseWindow(pipeline.spec.window, test.window);
  await session.confine({ files: [], folders: [] });
  const sources = await createSources(session, stage);
  refuseOthers(test, sources, stage, place);
  for (const [source, dataset] of sources) await fill(session, source, dataset, test.given[source] ?? [], `given.${source}`, place);
  await computeResult(session, stage, window);
  await session.exec(createSource(EXPECTED, stage.output));
  await fill(session, EXPECTED, stage.output, test.expect, 'expect', place);
  const columns = comparedColumns(test, stage);
  const names = Object.keys(columns).map(quoteName).join(', ');
  const read = (table: string): Promise<Row[]> => session.rows(`select ${names} from ${sourceTable(table)} order by all`, MAX_ROWS);
  const key = (stage.output.key ?? []).every((column) => column in columns) ? (stage.output.key ?? []) : [];
  const diff = diffRows(await read(EXPECTED), await read(COMPUTED), { columns, key });
  return isEqual(diff) ? undefined : renderDiff(diff);
}

function testedStage(pipeline: ProjectPipeline, test: TestCase, place: string): StageText {
  const plan = pipeline.plan(test.params);
  const stage = plan.stages.find(({ id }) => id === test.stage);
  const text = stage && stageText(pipeline, plan, stage, test.bootstrap === true);
  if (text !== undefined) return text;
  const what = test.bootstrap === true ? 'a stage with a bootstrap text' : 'a compute stage';
  const fit = plan.stages.filter((other) => stageText(pipeline, plan, other, test.bootstrap === true) !== undefined).map(({ id }) => id);
  throw invalidCase(place, `"${test.stage}" is not ${what} of ${pipeline.spec.id}, which has ${fit.join(', ') || 'none'}`);
}

/** Every source has its rows, if none: a forgotten one would pass for an empty one. */
function refuseOthers(test: TestCase, sources: ReadonlyMap<string, DatasetSpec>, stage: StageText, place: string): void {
  const known = [...sources.keys()];
  const other = Object.keys(test.given).find((source) => !sources.has(source));
  if (other !== undefined) throw invalidCase(place, `stage ${stage.stage} does not read "${other}"; it reads ${known.join(', ')}`);
  const early = stage.bootstrap ? known.filter((source) => source.startsWith(PREVIOUS)) : [];
  const full = early.find((source) => (test.given[source] ?? []).length > 0);
  if (full !== undefined) throw invalidCase(place, `a bootstrap sees no rows of ${full}`);
  const missing = known.find((source) => !(source in test.given) && !early.includes(source));
  if (missing !== undefined) throw invalidCase(place, `\`given\` lacks ${missing}; write \`${missing}: []\` for no rows`);
}

async function fill(
  session: EngineSession,
  table: string,
  dataset: DatasetSpec,
  rows: readonly CaseRow[],
  what: string,
  place: string,
): Promise<void> {
  if (rows.length === 0) return;
  const columns = columnsOf(dataset);
  const tuples = rows.map((row, at) => {
    const unknown = Object.keys(row).find((column) => !Object.hasOwn(dataset.columns, column));
    if (unknown !== undefined) {
      throw invalidCase(place, `${what}[${at}] has the column "${unknown}", which is none of ${Object.keys(dataset.columns).join(', ')}`);
    }
    return `(${columns.map(({ name }) => literal(row[name] ?? null)).join(', ')})`;
  });
  await session.exec(`insert into ${sourceTable(table)} values\n${tuples.join(',\n')}`, { name: `${what} of ${place}` });
}

/** Text that the engine reads as the column's type. */
function literal(value: CaseRow[string]): string {
  return value === null ? 'NULL' : quoteText(String(value));
}

/** Columns some expected row names; all when no row is expected. */
function comparedColumns(test: TestCase, stage: StageText): Readonly<Record<string, ColumnType>> {
  const named = new Set(test.expect.flatMap((row) => Object.keys(row)));
  return Object.fromEntries(Object.entries(stage.output.columns).filter(([column]) => named.size === 0 || named.has(column)));
}
