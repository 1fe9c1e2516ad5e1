import { transaction } from '../../lib/postgres';
import { AlmanacError } from '../../pipelines/failures';
import { isQualityMetric, isRowMetric } from '../../pipelines/quality/metrics';
import { renderCheck } from '../../pipelines/quality/metric-texts';
import { tellsPerson, withheld, withoutValues } from '../../pipelines/quality/personal';
import { otherDatasets } from '../../pipelines/quality/other-datasets';
import {
  baseOf,
  metricOf,
  suiteMetrics,
  versionView,
  type Measurement,
  type SuiteMetric,
  type SuiteScope,
} from '../../pipelines/suite-sql';
import { windowValues } from '../../pipelines/sql-text';
import type { CheckDeclaration, CheckStatus, Metric, PutAsideCheck, StageOutput, SuiteSpec } from '../../pipelines/types';
import { blocks, holds, judge, overrule, summarize, type Baseline, type Unmeasured } from '../../pipelines/verdict';
import type { SessionUsage } from '../compute/engine';
import type { StageBody, StageContext } from '../stage';
import type { Manifest } from '../storage/manifest';
import { excludedBy, readExclusions, type Exclusion } from './exclusions';
import { gateFailure } from './gate-failure';
import { readBaseline, storeMetrics, type MeasuredMetric } from './history';
import { measure, type Measurements } from './measure';
import { putAside } from './put-aside';
import { quarantineRatio, sampleQuarantine } from './quarantine';
import { readOverrides } from './overrides';
import { storeResults, type CheckResult } from './results';
import { mergeSpan, spanOf, type Span } from './spans';

/** Versions this run has of the datasets its suite names. */
type Versions = ReadonlyMap<string, Manifest>;
type Measured = Measurement | Unmeasured;

export interface CheckStageOptions {
  /** Told the status of each check and the gate's own once the results are on record, also of a gate that fails. */
  readonly judged?: (pipeline: string, stage: string, statuses: readonly CheckStatus[], gate: CheckStatus) => void;
}

/**
 * Measures a suite over what the run wrote, judges it, and stores numbers and verdicts whatever they are. Throws
 * `gate.failed` when a check fails or cannot be measured: the run holds before anything is accepted. Checks that put rows aside are judged
 * of what the run wrote, and all others of what goes on without those rows, which later stages read.
 */
export function createCheckStage(options: CheckStageOptions = {}): StageBody {
  return (context) => judgeSuite(context, options);
}

export const checkStage: StageBody = createCheckStage();

async function judgeSuite(context: StageContext, { judged: observe }: CheckStageOptions): Promise<StageOutput> {
  const suite = suiteOf(context);
  const incoming = await resolveVersions(context, suite);
  const now = context.clock.now();
  // First what puts rows aside: everything else is judged of what goes on without them.
  const aside = suite.checks.filter(isPutAside);
  const first = await judgeAll(context, aside, incoming, now);
  const held = first.results.some(({ verdict }) => holds(verdict));
  const measurable = aside.filter(({ id }) => first.results.some(({ check, verdict }) => check.id === id && verdict.status !== 'ERROR'));
  const cleaned =
    held || aside.length === 0
      ? new Map<string, Manifest>()
      : await putAside(
          context,
          measurable.map((check) => rendered(context, check)),
          incoming,
        );
  const versions = new Map([...incoming, ...cleaned]);
  const second = await judgeAll(
    context,
    suite.checks.filter((check) => !isPutAside(check)),
    versions,
    now,
  );
  const judged = new Map([...first.results, ...second.results].map((result) => [result.check.id, result]));
  const results = suite.checks.flatMap(({ id }) => judged.get(id) ?? []).map((result) => toldAside(result, cleaned));
  const metrics = [...first.metrics, ...second.metrics].map((metric) => ({
    ...metric,
    // Of what goes on, so that they are accepted with it.
    version: cleaned.get(metric.dataset)?.version ?? metric.version,
  }));
  await context.point('check:measured');
  await transaction(context.database, async (client) => {
    await storeMetrics(client, context.run, context.stage.id, metrics, now);
    await storeResults(client, context.run, context.stage.id, context.attempt, results, now);
  });
  await context.point('check:stored');
  const gate = summarize(results.map(({ check, verdict }) => ({ ...verdict, check: check.id })));
  observe?.(
    context.run.pipeline,
    context.stage.id,
    results.map(({ verdict }) => verdict.status),
    gate.status,
  );
  for (const { verdict } of results) {
    const { status, message, overridden } = verdict;
    const by = overridden === undefined ? '' : `, overridden by ${overridden.who} until ${overridden.until}`;
    if (status !== 'PASS') context.log(`${status}${by} ${message}`);
  }
  for (const { dataset, rows, version, quarantine } of cleaned.values())
    context.log(`${dataset} goes on as ${version} with ${rows} rows; put aside are ${quarantine?.rows['check'] ?? 0}`);
  context.log(`${gate.status}: ${gate.checks} checks, ${gate.warned.length} warned, ${gate.failed.length} failed`);
  if (gate.failed.length > 0) throw gateFailure(context.run, context.stage.id, gate, results);
  const read = [...incoming.values()];
  const written = [...cleaned.values()];
  const usage = second.usage ?? first.usage;
  return {
    versions: written.map(({ dataset, window, version, digest }) => ({ dataset, window, version, digest })),
    rowsIn: sum(read.map(({ rows }) => rows)),
    rowsOut: sum(written.map(({ rows }) => rows)),
    bytesIn: sum(read.map(({ bytes }) => bytes)),
    bytesOut: sum(written.map(({ bytes }) => bytes)),
    gate,
    ...(written.length === 0 ? {} : { quarantined: { check: sum(written.map(({ quarantine }) => quarantine?.rows['check'] ?? 0)) } }),
    ...(usage === undefined ? {} : { cpuSeconds: usage.cpuSeconds, peakMemoryBytes: usage.peakMemoryBytes }),
  };
}

interface Judged {
  readonly results: readonly CheckResult[];
  readonly metrics: readonly MeasuredMetric[];
  readonly usage: SessionUsage | undefined;
}

/** Measures some checks of the suite over these versions and judges them, under what operators let pass. */
async function judgeAll(context: StageContext, checks: readonly CheckDeclaration[], versions: Versions, now: Date): Promise<Judged> {
  if (checks.length === 0) return { results: [], metrics: [], usage: undefined };
  const asked = new Map(checks.map((check) => [check, rendered(context, check)]));
  const { measurements, usage } = await measureSuite(context, { checks: [...asked.values()] }, versions);
  const drifting = checks.some((check) => check.warn === 'drift' || check.drift !== undefined);
  const exclusions = drifting ? await readExclusions(context.database, context.run.pipeline) : [];
  const judged: CheckResult[] = [];
  const metrics: MeasuredMetric[] = [];
  for (const check of checks) {
    const manifest = versions.get(check.dataset);
    const own =
      manifest === undefined ? unwritten(check.dataset) : await measuredFor(context, asked.get(check) ?? check, manifest, measurements);
    const over = spanOf(check.measure);
    const span = over === undefined ? undefined : await mergeSpan(context, check, own, over);
    const personal = personalOf(context, check.dataset, manifest);
    const result = told(resultOf(check, span?.measured ?? own, await baselineFor(context, check, exclusions), personal), span);
    judged.push(manifest === undefined || result.verdict.status === 'PASS' ? result : await sampleQuarantine(context, result, manifest));
    if (manifest === undefined) continue;
    const { dataset, measure: declared } = check;
    metrics.push(...storable({ dataset, version: manifest.version, measure: declared }, span?.measured ?? own, personal));
    // What longer spans are merged from.
    if (span !== undefined) metrics.push(...storable({ dataset, version: manifest.version, measure: baseOf(declared) }, own, personal));
  }
  return { results: await overruled(context, judged, now), metrics, usage };
}

/** The check as the engine is asked; what goes on record is the declared one, so that windows have a history together. */
function rendered<C extends CheckDeclaration>({ window, plan }: StageContext, check: C): C {
  return renderCheck(check, { ...windowValues(window), ...plan.params });
}

function isPutAside(check: CheckDeclaration): check is PutAsideCheck {
  return check.onFail === 'quarantine';
}

/** The result with how many rows the check put aside. */
function toldAside(result: CheckResult, cleaned: Versions): CheckResult {
  const { check, verdict } = result;
  const rows = isPutAside(check) ? (cleaned.get(check.dataset)?.quarantine?.checks?.[check.id] ?? 0) : 0;
  if (rows === 0) return result;
  const message = `${verdict.message} ${rows === 1 ? 'One row is' : `${rows} rows are`} put aside.`;
  return { ...result, verdict: { ...verdict, message } };
}

function suiteOf({ stage }: StageContext): SuiteSpec {
  if (stage.spec.kind === 'check') return stage.spec.suite;
  throw new AlmanacError('internal', `stage ${stage.id} is of kind ${stage.spec.kind} and was sent to the gate`, {
    next: 'Report it with the log of the run.',
  });
}

/** Manifests by dataset; what the run did not write is left out and makes its checks ERROR. */
async function resolveVersions(context: StageContext, suite: SuiteSpec): Promise<Versions> {
  const named = suite.checks.flatMap(({ dataset, measure: metric }) => [dataset, ...otherDatasets(metric)]);
  const versions = new Map<string, Manifest>();
  for (const dataset of new Set(named)) {
    const ref = context.inputs[dataset];
    if (ref !== undefined) versions.set(dataset, await context.datasets.manifest(ref));
  }
  return versions;
}

/** One engine session for the suite; none when nothing needs the engine. */
async function measureSuite(
  context: StageContext,
  suite: SuiteSpec,
  versions: Versions,
): Promise<{ measurements: Measurements; usage: SessionUsage | undefined }> {
  const salt = `${context.run.pipeline}/${context.run.window}`;
  const marked = [...versions].map(([name, manifest]) => {
    const declared = context.plan.datasets[name];
    return [name, { columns: {}, ...declared, pii: personalOf(context, name, manifest) }] as const;
  });
  const datasets = { ...context.plan.datasets, ...Object.fromEntries(marked) };
  const scope: SuiteScope = { datasets, salt, reference: context.window.end };
  const metrics = suiteMetrics(suite, scope.datasets);
  const possible = metrics.filter((metric) => datasetsOf(metric).every((dataset) => versions.has(dataset)));
  const impossible = metrics.filter((metric) => !possible.includes(metric));
  const lacking = new Map(
    impossible.map((metric) => [metric.key, unwritten(datasetsOf(metric).find((dataset) => !versions.has(dataset)) ?? metric.dataset)]),
  );
  if (possible.length === 0) return { measurements: lacking, usage: undefined };
  const files = [...versions.values()].flatMap((manifest) => manifest.files);
  await using local = await context.store.localFiles(files, context.signal);
  // Awaited here, for the files are read until it is over.
  return await context.engine.session(context.limits, context.signal, async (session) => {
    context.computing(session.child);
    await session.confine({ files: files.map(({ path }) => local.path(path)), folders: [] });
    for (const dataset of new Set(possible.flatMap(datasetsOf))) {
      const manifest = versions.get(dataset);
      if (manifest === undefined) continue;
      await session.exec(
        versionView(
          dataset,
          manifest.columns,
          manifest.files.map(({ path }) => local.path(path)),
        ),
      );
    }
    const measurements = await measure(session, possible, scope);
    return { measurements: new Map([...lacking, ...measurements]), usage: await session.usage() };
  });
}

function datasetsOf({ dataset, measure: metric }: SuiteMetric): string[] {
  return [dataset, ...otherDatasets(metric)];
}

function unwritten(dataset: string): Unmeasured {
  return { reason: `the run has no version of ${dataset}` };
}

async function measuredFor(
  context: StageContext,
  check: CheckDeclaration,
  manifest: Manifest,
  measurements: Measurements,
): Promise<Measured> {
  if (check.measure.metric === 'quarantine-ratio') return quarantineRatio(context.outputs, check.measure, manifest);
  const metric = metricOf(check, context.plan.datasets[check.dataset]);
  return measurements.get(metric?.key ?? '') ?? { reason: 'it was not measured' };
}

async function baselineFor(context: StageContext, check: CheckDeclaration, exclusions: readonly Exclusion[]): Promise<Baseline> {
  if (check.warn !== 'drift' && check.drift === undefined) return { window: context.run.window, accepted: [] };
  const excluded = excludedBy(exclusions, check.dataset, context.run.window);
  if (excluded !== undefined) return { window: context.run.window, accepted: [], excluded };
  return readBaseline(context.database, context.run, context.plan.window, check);
}

/** Columns of a dataset that hold personal data, by its declaration now or when the version was written. */
function personalOf({ plan }: StageContext, dataset: string, manifest: Manifest | undefined): string[] {
  return [...new Set([...(plan.datasets[dataset]?.pii ?? []), ...(manifest?.pii ?? [])])];
}

/** Values only: what is not a number is nobody's history. What personal columns hold is not kept, only what was counted of it. */
function storable(
  metric: Pick<MeasuredMetric, 'dataset' | 'version' | 'measure'>,
  measured: Measured,
  personal: readonly string[],
): MeasuredMetric[] {
  if (!('value' in measured) || !Number.isFinite(measured.value) || tellsPerson(metric.measure, measured, personal)) return [];
  const { sample: _, ...kept } = withoutValues(metric.measure, measured, personal);
  return [{ ...metric, ...kept }];
}

/** The result with the windows it is of, where it is over many. */
function told(result: CheckResult, span: Span | undefined): CheckResult {
  if (span === undefined || !('value' in span.measured)) return result;
  const message = `${result.verdict.message} It is of ${span.windows} of the last ${span.over} windows.`;
  return { ...result, verdict: { ...result.verdict, message } };
}

function resultOf(check: CheckDeclaration, found: Measured, baseline: Baseline, personal: readonly string[]): CheckResult {
  if (!('value' in found)) return { check, verdict: judge(check, found, 0, baseline), failedRows: null, sample: [] };
  const { value, rows, sample, state } = withoutValues(check.measure, found, personal);
  const verdict = judge(check, value, rows, baseline, state);
  if (tellsPerson(check.measure, found, personal)) return { check, verdict: withheld(check, verdict, personal), failedRows: null, sample };
  return { check, verdict, failedRows: failedRows(check.measure, value, rows), sample };
}

/** The results under what operators let pass; asked only when something would hold the run. */
async function overruled(context: StageContext, results: readonly CheckResult[], now: Date): Promise<readonly CheckResult[]> {
  if (!results.some(({ verdict }) => blocks(verdict.status))) return results;
  const overrides = await readOverrides(context.database, context.run, context.stage.id, now);
  return results.map((result) => ({ ...result, verdict: overrule(result.verdict, overrides.get(result.check.id) ?? [], now) }));
}

/** How many rows a metric counts as failing; the size of a dataset says nothing of any one row. */
function failedRows(measure: Metric, value: number, rows: number): number | null {
  const { metric } = measure;
  if (metric === 'rows' || !Number.isFinite(value)) return null;
  if (isRowMetric(measure)) return Math.round((1 - value) * rows);
  if (metric === 'unexpected-rows' || metric === 'primary-key') return value;
  if (isQualityMetric(measure)) return null;
  return metric === 'quarantine-ratio' ? Math.round(value * rows) : value;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
