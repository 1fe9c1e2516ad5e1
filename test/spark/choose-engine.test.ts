import { createComputeStage } from '../../activities/compute/choose-engine';
import type { DatasetSpec, StageOutput } from '../../pipelines/types';
import { LocalSpark } from '../support/local-spark';
import { StageHarness, type HarnessContext, type StageRequest } from '../support/stage-harness';

const plays: DatasetSpec = { columns: { user_id: 'text', plays: 'bigint' }, key: ['user_id'] };
/** Each engine refuses the text of the other: backticks are Spark's, `::` of a name in double quotes DuckDB's. */
const TEXTS = {
  'count.sql': 'select "user_id", sum(plays)::bigint as plays from events where plays >= $floor group by "user_id"',
  'count.spark.sql': 'select `user_id`, sum(plays) as plays from events where plays >= $floor group by `user_id`',
};

let harness: StageHarness;
beforeAll(() => {
  harness = new StageHarness({ events: { columns: plays.columns }, report: plays });
});
afterAll(() => harness[Symbol.asyncDispose]());

it('goes to Spark above the limit and to DuckDB below it, to the same rows, and either adopts what the other made', async () => {
  const events = await harness.version('events', `select 'u' || (n % 7) as user_id, n as plays from range(5000) as r(n)`);
  const { bytes } = await harness.datasets.manifest(events);
  const spark = new LocalSpark(harness.store);
  const stage = createComputeStage(spark);
  const run = async (limit: number, generation: number, engine?: StageRequest['engine']): Promise<[StageOutput, HarnessContext]> => {
    const context = harness.context({
      spec: { engine: { sparkAbove: `${limit}B` }, reads: { events: 'events' }, sql: 'count.sql', writes: 'report' },
      texts: TEXTS,
      params: { floor: 3 },
      inputs: { events },
      generation,
      ...(engine && { engine }),
    });
    return [await stage(context), context];
  };

  const [below, belowContext] = await run(bytes, 1);
  expect(spark.ends).toEqual([]);
  expect(belowContext.engines).toEqual(['duckdb']);
  expect(below.engine).toBeUndefined();

  const [above, aboveContext] = await run(bytes - 1, 2);
  expect(spark.ends.map(({ code }) => code)).toEqual([0]);
  expect(aboveContext.engines).toEqual(['spark']);
  expect(aboveContext.lines).toContain(`computes on Spark: its inputs hold ${bytes} bytes, more than the ${bytes - 1}B of sparkAbove`);
  expect(above).toMatchObject({ engine: 'spark', rowsIn: 5000, rowsOut: 7 });
  const made = async ({ versions: [ref] }: StageOutput): Promise<{ digest: string; engine: string | undefined }> => {
    if (ref === undefined) throw new Error('the stage wrote no version');
    const { digest, provenance } = await harness.datasets.manifest(ref);
    return { digest, engine: provenance.engine };
  };
  expect(await made(above)).toEqual({ ...(await made(below)), engine: 'spark' });

  const [byOther, otherContext] = await run(bytes - 1, 2, 'duckdb');
  expect(byOther).toMatchObject({ versions: above.versions, adopted: true, engine: 'spark' });
  expect(otherContext.engines).toEqual([]);
  expect((await run(bytes, 1, 'spark'))[0]).toMatchObject({ versions: below.versions, adopted: true });
  expect(spark.ends).toHaveLength(1);
});
