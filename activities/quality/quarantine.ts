/** Quarantine as a check sees it: a share of what an ingest stage read, and where the rows in it came from. */
import { quarantineSampleQuery, type Measurement, type SampleRow } from '../../pipelines/suite-sql';
import type { Metric, StageOutput } from '../../pipelines/types';
import type { Unmeasured } from '../../pipelines/verdict';
import type { StageContext } from '../stage';
import type { Manifest } from '../storage/manifest';
import type { CheckResult } from './results';

type QuarantineMetric = Extract<Metric, { metric: 'quarantine-ratio' }>;

/** The share of rows put aside for some reasons; an output named by hand knows none, but its version does. */
export function quarantineRatio(
  outputs: Readonly<Record<string, StageOutput>>,
  measure: QuarantineMetric,
  manifest: Manifest,
): Measurement | Unmeasured {
  const output = outputs[measure.stage];
  if (output === undefined) return { reason: `the stage ${measure.stage} has no output in this run` };
  return output.quarantined === undefined ? ratioOf(measure, manifest) : shareOf(measure, output.rowsIn, output.quarantined);
}

/** The same of a version that an ingest wrote, whatever run it is of. */
export function ratioOf(measure: QuarantineMetric, { rowsIn, quarantine }: Pick<Manifest, 'rowsIn' | 'quarantine'>): Measurement {
  return shareOf(measure, rowsIn, quarantine?.rows ?? {});
}

function shareOf({ reasons }: QuarantineMetric, rows: number, quarantined: Readonly<Record<string, number>>): Measurement {
  const count = reasons.reduce((total, reason) => total + (quarantined[reason] ?? 0), 0);
  return { value: rows === 0 ? 0 : count / rows, rows, sample: [] };
}

/** Adds to a result of a quarantine check where some of the rows came from; other results are returned as they are. */
export async function sampleQuarantine(context: StageContext, result: CheckResult, manifest: Manifest): Promise<CheckResult> {
  const { measure } = result.check;
  const files = manifest.quarantine?.files ?? [];
  if (measure.metric !== 'quarantine-ratio' || files.length === 0) return result;
  const salt = `${context.run.pipeline}/${context.run.window}`;
  await using local = await context.store.localFiles(files, context.signal);
  const sql = quarantineSampleQuery(
    files.map(({ path }) => local.path(path)),
    measure.reasons,
    salt,
  );
  const sample = await context.engine.session(context.limits, context.signal, async (session) => {
    context.computing(session.child);
    const [row] = await session.rows<{ sample: SampleRow[] | null }>(sql, 1);
    return row?.sample ?? [];
  });
  return { ...result, sample };
}
