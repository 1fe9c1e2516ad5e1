import { audienceIndex } from '../../../pipelines/audience-index/pipeline';
import { listenerProfiles } from '../../../pipelines/listener-profiles/pipeline';
import { organicShare } from '../../../pipelines/organic-share/pipeline';
import { otherDatasets } from '../../../pipelines/quality/other-datasets';
import type { MetricQuery } from '../../../pipelines/suite-sql';
import type { CheckDeclaration, CheckStatus, PipelineSpec } from '../../../pipelines/types';
import { BothEngines } from '../../support/quality/both-engines';
import { tableStatements } from '../../support/quality/nasty-table';
import { datasetRows } from '../../support/quality/suite-data';
import { Random } from '../../support/random';

const SEED = Number(process.env['ALMANAC_TEST_SEED'] ?? Date.now() % 1_000_000);
const ROWS = 160;
/** Data that is as it should be, data with faults of every kind, and none at all. */
const DATA = { sound: { rows: ROWS, share: 0 }, faulty: { rows: ROWS, share: 0.15 }, absent: { rows: 0, share: 0 } };

/** The suites of the check stages; how much was put aside at ingest is known without an engine. */
function checksOf(pipeline: PipelineSpec): CheckDeclaration[] {
  const suites = Object.values(pipeline.stages).flatMap((stage) => (stage.kind === 'check' ? [stage.suite] : []));
  return suites.flatMap(({ checks }) => checks.filter(({ measure }) => measure.metric !== 'quarantine-ratio'));
}

/** Datasets that one scan of a query reads: its own, and those whose rows it refers to. */
function readBy(query: MetricQuery): string[] {
  return [query.dataset, ...query.metrics.flatMap(({ measure }) => otherDatasets(measure))];
}

const both = new BothEngines();
beforeAll(() => both.open());
afterAll(() => both.close());

/** All datasets of a pipeline, the same rows for the same seed. */
async function fill({ datasets }: PipelineSpec, { rows, share }: { readonly rows: number; readonly share: number }): Promise<void> {
  const random = new Random(SEED);
  for (const [name, spec] of Object.entries(datasets)) {
    for (const sql of tableStatements(name, spec.columns, datasetRows(name, spec, rows, random, { share }))) await both.session.exec(sql);
    await both.declare(name, spec);
  }
}

describe.each([audienceIndex, listenerProfiles, organicShare])('the suites of $id on Spark', (pipeline: PipelineSpec) => {
  const checks = checksOf(pipeline);
  const judged = new Map<string, Set<CheckStatus>>();

  test.each(Object.entries(DATA))(`tell the same numbers as on DuckDB of data that is %s (seed ${SEED})`, async (_, data) => {
    await fill(pipeline, data);
    expect(await both.differences(checks)).toEqual([]);
    for (const { check, verdict } of await both.judge(checks))
      judged.set(check.id, (judged.get(check.id) ?? new Set()).add(verdict.status));
  });

  test('every check of a band held once and did not hold once', () => {
    const constant = checks.filter(
      ({ id, warn }) => warn !== 'drift' && !(judged.get(id)?.has('PASS') === true && (judged.get(id)?.size ?? 0) > 1),
    );
    expect(constant.map(({ id }) => [id, ...(judged.get(id) ?? [])])).toEqual([]);
  });

  test('read each dataset in one scan, whatever is asked of its rows', async () => {
    await fill(pipeline, DATA.sound);
    const shared = both.sparkQueries(checks).filter(({ sampleSql }) => sampleSql !== undefined);
    expect(new Set(shared.map(({ dataset }) => dataset)).size).toBe(shared.length);
    for (const query of shared) {
      const read = readBy(query);
      const { work } = await both.spark.counted(query.sql);
      expect({ dataset: query.dataset, ...work }).toEqual({
        dataset: query.dataset,
        executions: 1,
        scans: read.length,
        recordsRead: ROWS * read.length,
      });
    }
  });
});
