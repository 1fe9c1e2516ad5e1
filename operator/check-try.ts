/** Checks of a suite over a version that is there, and checks that a version suggests. Nothing goes on record. */
import type { Engine, EngineSession } from '../activities/compute/engine';
import { excludedBy, readExclusions, type Exclusion } from '../activities/quality/exclusions';
import { readBaseline } from '../activities/quality/history';
import { measure, type Measurements } from '../activities/quality/measure';
import { ratioOf } from '../activities/quality/quarantine';
import { mergeSpan, spanOf } from '../activities/quality/spans';
import type { Manifest } from '../activities/storage/manifest';
import { AlmanacError } from '../pipelines/failures';
import { renderCheck } from '../pipelines/quality/metric-texts';
import { tellsPerson, withheld, withoutValues } from '../pipelines/quality/personal';
import { windowValues } from '../pipelines/sql-text';
import { profileMetrics, suggestFor, type ColumnMeasurements, type Suggestion } from '../pipelines/quality/suggest';
import { otherDatasets } from '../pipelines/quality/other-datasets';
import { metricOf, versionView, type Measurement, type SuiteMetric, type SuiteScope } from '../pipelines/suite-sql';
import type { CheckDeclaration, CheckStatus, DatasetSpec, PipelineSpec, RunRef } from '../pipelines/types';
import { MAIN_BRANCH } from '../pipelines/run-id';
import { judge, worst, type Baseline, type Unmeasured } from '../pipelines/verdict';
import { parseWindow } from '../pipelines/window';
import { resolveVersion, type DatasetServices, type VersionAddress } from './dataset-names';
import type { OperatorSession } from './session';

export interface TryServices extends DatasetServices {
  readonly engine: Engine;
  readonly config: Pick<OperatorSession['config'], 'worker'>;
}

export interface TriedCheck {
  readonly check: string;
  readonly status: CheckStatus;
  readonly observed: number | null;
  readonly message: string;
  readonly sample: readonly Readonly<Record<string, string | null>>[];
}

export interface Trial {
  readonly dataset: string;
  readonly window: string;
  readonly version: string;
  readonly status: CheckStatus;
  /** The branch whose accepted windows before this one are the history of drift; null where no check asks for one. */
  readonly history: string | null;
  readonly checks: readonly TriedCheck[];
}

/**
 * Judges the checks that a suite (`PIPELINE/STAGE`) has of a dataset over one version, as the project declares them now; drift by the
 * accepted windows before it, as its gate would. Throws `check.unknown` for a suite that is none or has no check of the dataset.
 */
export async function tryChecks(services: TryServices, suite: string, address: VersionAddress): Promise<Trial> {
  const { spec, checks } = await suiteOf(services, suite, address.dataset);
  const manifest = await resolveVersion(services, address);
  const manifests = new Map([[manifest.dataset, manifest]]);
  for (const other of new Set(checks.flatMap(({ measure: of }) => otherDatasets(of)))) {
    if (!manifests.has(other))
      manifests.set(other, await resolveVersion(services, { dataset: other, window: address.window, branch: address.branch }));
  }
  const datasets = Object.fromEntries(
    Object.entries(spec.datasets).map(([name, declared]) => [name, { ...declared, pii: personalOf(declared.pii, manifests.get(name)) }]),
  );
  const scope: SuiteScope = { datasets, salt: suite, reference: parseWindow(spec.window, address.window).end };
  const values = { ...windowValues(parseWindow(spec.window, address.window)), ...spec.params };
  const asked = checks.map((check) => renderCheck(check, values));
  const measurements = await measuredOver(services, [...manifests.values()], distinct(asked, spec.datasets), scope);
  const run = runOf(spec, address, manifest);
  const drifting = checks.some(isDrifting);
  const exclusions = drifting ? await readExclusions(services.database, spec.id) : [];
  const judged: TriedCheck[] = [];
  for (const [index, check] of checks.entries()) {
    const own = measurements.get(metricOf(asked[index] ?? check, spec.datasets[check.dataset])?.key ?? '');
    const found = await foundOf(services, spec, run, check, manifest, own);
    const known = 'value' in found;
    const personal = datasets[check.dataset]?.pii ?? [];
    const baseline = await baselineOf(services, spec, run, check, exclusions);
    const state = known ? withoutValues(check.measure, found, personal).state : undefined;
    const verdict = judge(check, known ? found.value : found, known ? found.rows : 0, baseline, state);
    const { status, observed, message } =
      known && tellsPerson(check.measure, found, personal) ? withheld(check, verdict, personal) : verdict;
    judged.push({ check: check.id, status, observed, message, sample: known ? found.sample : [] });
  }
  const { dataset, window, version } = manifest;
  return {
    dataset,
    window,
    version,
    status: worst(judged.map(({ status }) => status)),
    history: drifting ? run.branch : null,
    checks: judged,
  };
}

function isDrifting({ warn, drift }: CheckDeclaration): boolean {
  return warn === 'drift' || drift !== undefined;
}

/** The run whose gate this trial is like: of a version by its name on the branch that made it, unless another one is named. */
function runOf(spec: PipelineSpec, { window, branch, version }: VersionAddress, { provenance }: Manifest): RunRef {
  const own = version !== undefined && branch === MAIN_BRANCH ? provenance.run.branch : branch;
  return { pipeline: spec.id, window, branch: own, generation: provenance.run.generation };
}

async function baselineOf(
  { database }: TryServices,
  spec: PipelineSpec,
  run: RunRef,
  check: CheckDeclaration,
  exclusions: readonly Exclusion[],
): Promise<Baseline> {
  const { window } = run;
  if (!isDrifting(check)) return { window, accepted: [] };
  const excluded = excludedBy(exclusions, check.dataset, window);
  return excluded === undefined ? readBaseline(database, run, spec.window, check) : { window, accepted: [], excluded };
}

/** The measurement a check judges: of the version, of the windows before it together with it, or of the quarantine of what was read. */
async function foundOf(
  services: TryServices,
  spec: PipelineSpec,
  run: RunRef,
  check: CheckDeclaration,
  manifest: Manifest,
  own: Measurement | Unmeasured | undefined,
): Promise<Measurement | Unmeasured> {
  const { measure: of } = check;
  if (of.metric === 'quarantine-ratio') {
    const stage = spec.stages[of.stage];
    const dataset = stage?.kind === 'ingest' ? stage.writes : manifest.dataset;
    const { window, provenance } = manifest;
    const sibling = { dataset, window, branch: provenance.run.branch };
    const ingested = dataset === manifest.dataset ? manifest : await resolveVersion(services, sibling);
    return ratioOf(of, ingested);
  }
  const found = own ?? { reason: 'it was not measured' };
  const over = spanOf(of);
  if (over === undefined) return found;
  return (await mergeSpan({ database: services.database, run, plan: spec }, check, found, over)).measured;
}

/** Checks that one version of a dataset suggests, column by column. */
export async function suggestChecks(services: TryServices, address: VersionAddress): Promise<readonly Suggestion[]> {
  const manifest = await resolveVersion(services, address);
  const { dataset, columns } = manifest;
  const declared = columns.flatMap((column) => profileMetrics(column).map((of) => ({ column, check: profileCheck(dataset, of) })));
  const declaredPii = [...(await services.project()).pipelines.values()].flatMap(({ spec }) => spec.datasets[dataset]?.pii ?? []);
  const personal = personalOf(declaredPii, manifest);
  const datasets: Record<string, DatasetSpec> = {
    [dataset]: { columns: Object.fromEntries(columns.map(({ name, type }) => [name, type])), pii: personal },
  };
  const metrics = distinct(
    declared.map(({ check }) => check),
    datasets,
  );
  const measurements = await measuredOver(services, [manifest], metrics, { datasets, salt: dataset });
  return columns.flatMap((column) => {
    const own = declared
      .filter((one) => one.column === column)
      .map(({ check }) => [check.measure.metric, measurements.get(metricOf(check, datasets[dataset])?.key ?? '')] as const);
    const known = Object.fromEntries(own.filter(([, found]) => found !== undefined && 'value' in found)) as ColumnMeasurements;
    return suggestFor(dataset, column, known, personal.includes(column.name));
  });
}

/** Columns that hold personal data, by declaration or by what the version was written with. */
function personalOf(declared: readonly string[] = [], manifest?: Manifest): string[] {
  return [...new Set([...declared, ...(manifest?.pii ?? [])])];
}

function profileCheck(dataset: string, of: CheckDeclaration['measure']): CheckDeclaration {
  return { id: 'profile', dataset, measure: of, why: 'A profile.', sample: [] };
}

function distinct(checks: readonly CheckDeclaration[], datasets: Readonly<Record<string, DatasetSpec>>): SuiteMetric[] {
  const metrics = checks.flatMap((check) => metricOf(check, datasets[check.dataset]) ?? []);
  return [...new Map(metrics.map((metric) => [metric.key, metric])).values()];
}

async function measuredOver(
  services: TryServices,
  manifests: readonly Manifest[],
  metrics: readonly SuiteMetric[],
  scope: SuiteScope,
): Promise<Measurements> {
  const { memoryBytes, threads } = services.config.worker;
  await using local = await services.store.localFiles(manifests.flatMap(({ files }) => files));
  const readable = ({ files }: Manifest): string[] => files.map(({ path }) => local.path(path));
  const maskValues = Object.values(scope.datasets).some(({ pii }) => (pii ?? []).length > 0);
  // Awaited here, for the files are read until it is over.
  return await services.engine.session(
    { memoryBytes, threads, maskValues },
    new AbortController().signal,
    async (session: EngineSession) => {
      await session.confine({ files: manifests.flatMap(readable), folders: [] });
      for (const manifest of manifests) await session.exec(versionView(manifest.dataset, manifest.columns, readable(manifest)));
      return measure(session, metrics, scope);
    },
  );
}

async function suiteOf(
  { project }: TryServices,
  suite: string,
  dataset: string,
): Promise<{ spec: PipelineSpec; checks: readonly CheckDeclaration[] }> {
  const [pipeline = '', stage = ''] = suite.split('/');
  const { pipelines } = await project();
  const suites = [...pipelines.values()].flatMap(({ spec }) =>
    Object.entries(spec.stages).flatMap(([id, { kind }]) => (kind === 'check' ? [`${spec.id}/${id}`] : [])),
  );
  const spec = pipelines.get(pipeline)?.spec;
  const declared = spec?.stages[stage];
  if (spec === undefined || declared?.kind !== 'check') {
    throw new AlmanacError('check.unknown', `there is no suite ${suite}; there are ${suites.join(', ') || 'none'}`, {
      next: `almanac check try ${suites[0] ?? 'PIPELINE/STAGE'} ${dataset}@WINDOW`,
    });
  }
  const checks = declared.suite.checks.filter((check) => check.dataset === dataset);
  if (checks.length > 0) return { spec, checks };
  const named = [...new Set(declared.suite.checks.map((check) => check.dataset))].join(', ');
  throw new AlmanacError('check.unknown', `the suite ${suite} has no check of ${dataset}; it judges ${named}`, {
    next: 'Name a version of one of those.',
  });
}
