/** The rules a declaration keeps beyond what its types can say; {@link definePipeline} and the project apply them. */
import { engineProblems } from './engine-rules';
import { isSparkVariant, variedText } from './engine-texts';
import { carriersOf, cleanedBy, cleanersOf, cyclePath, datasetsOf, graphOf, writersOf, writtenBy } from './graph';
import { declarationProblems } from './quality/check-rules';
import { keepsStates } from './quality/personal';
import { tellsElement } from './quality/personal';
import { otherDatasets } from './quality/other-datasets';
import { isTimezone } from './local-day';
import { poolUseProblems } from './pool-rules';
import { isPrevious, isSensed, readDataset } from './reads';
import { sensedReadProblems, senseProblems } from './sense-rules';
import { BUILT_IN_PLACEHOLDERS } from './sql-text';
import type { CheckSpec, ComputeSpec, DatasetSpec, IngestSpec, PipelineSpec, PreviousRead, PublishSpec, StageSpec } from './types';

const MAX_BUCKETS = 256;
const MINUTES_OF_DAY = 1440;

const NAME = /^[a-z][a-z0-9_-]*$/;
const STAGE = /^[a-z][a-zA-Z0-9_-]*$/;
const IDENTIFIER = /^[a-z][a-z0-9_]*$/;
const SQL_FILE = /^[A-Za-z0-9_-][A-Za-z0-9._-]*\.sql$/;
const CSV_FILE = /^[A-Za-z0-9_-][A-Za-z0-9._-]*\.csv$/;
const LOCAL_TIME = /^([01]\d|2[0-3]):[0-5]\d$/;
/** Postgres cuts identifiers at 63 bytes; partitions of a live table are named after it. */
const MAX_NAME = 48;

/** A place in the declaration, such as `stages.judge.suite`, and what is wrong there. */
export interface Problem {
  readonly place: string;
  readonly message: string;
}

/** Everything wrong with a declaration, in its order; empty when it can run. The cron text is checked by {@link definePipeline}. */
export function problemsOf(spec: PipelineSpec): Problem[] {
  return [
    ...nameProblems(spec),
    ...policyProblems(spec),
    ...Object.entries(spec.datasets).flatMap(([name, dataset]) => datasetProblems(`datasets.${name}`, dataset)),
    ...Object.entries(spec.stages).flatMap(([id, stage]) => stageProblems(spec, id, stage)),
    ...graphProblems(spec),
  ];
}

function nameProblems(spec: PipelineSpec): Problem[] {
  const problems: Problem[] = [];
  const name = (place: string, value: string, form: RegExp): void => {
    if (!form.test(value) || value.length > MAX_NAME) {
      problems.push({ place, message: `"${value}" does not match ${form.source} or is longer than ${MAX_NAME} characters` });
    }
  };
  name('id', spec.id, NAME);
  for (const dataset of Object.keys(spec.datasets)) name(`datasets.${dataset}`, dataset, NAME);
  for (const param of Object.keys(spec.params ?? {})) {
    name(`params.${param}`, param, IDENTIFIER);
    if (BUILT_IN_PLACEHOLDERS.includes(param)) problems.push({ place: `params.${param}`, message: `$${param} is given by Almanac itself` });
  }
  for (const [id, stage] of Object.entries(spec.stages)) {
    name(`stages.${id}`, id, STAGE);
    if (stage.kind === 'compute')
      for (const alias of Object.keys(stage.reads ?? {})) name(`stages.${id}.reads.${alias}`, alias, IDENTIFIER);
    if (stage.kind === 'publish') for (const table of Object.keys(stage.tables)) name(`stages.${id}.tables.${table}`, table, IDENTIFIER);
  }
  if (spec.owner.trim() === '') problems.push({ place: 'owner', message: 'names nobody' });
  if (Object.keys(spec.stages).length === 0) problems.push({ place: 'stages', message: 'there is none' });
  return problems;
}

function policyProblems({ window, chain, schedule, deadline, stages }: PipelineSpec): Problem[] {
  const problems: Problem[] = [];
  problems.push(...windowProblems(window));
  if (schedule !== undefined) {
    if (!isTimezone(schedule.timezone)) {
      problems.push({ place: 'schedule.timezone', message: `"${schedule.timezone}" is not an IANA time zone` });
    }
    if (chain === 'ordered') {
      const allowed = { catchUp: 'all', overlap: 'queue', gap: 'shift' } as const;
      for (const policy of ['catchUp', 'overlap', 'gap'] as const) {
        if (schedule[policy] !== allowed[policy]) {
          problems.push({
            place: `schedule.${policy}`,
            message: `'${schedule[policy]}' would leave a hole in an ordered chain, which needs '${allowed[policy]}'`,
          });
        }
      }
    }
  }
  if (deadline !== undefined) {
    if (!LOCAL_TIME.test(deadline.published)) {
      problems.push({ place: 'deadline.published', message: `"${deadline.published}" is not a local time such as 06:00` });
    }
    if (schedule === undefined)
      problems.push({ place: 'deadline', message: 'a deadline is a local time of the schedule, and there is no schedule' });
    if (!Object.values(stages).some(({ kind }) => kind === 'publish'))
      problems.push({ place: 'deadline', message: 'a deadline is met by a publication, and no stage publishes' });
  }
  return problems;
}

function windowProblems(window: PipelineSpec['window']): Problem[] {
  if (window.every !== 'minutes')
    return isTimezone(window.timezone) ? [] : [{ place: 'window.timezone', message: `"${window.timezone}" is not an IANA time zone` }];
  const { minutes } = window;
  if (Number.isInteger(minutes) && minutes >= 1 && MINUTES_OF_DAY % minutes === 0) return [];
  return [{ place: 'window.minutes', message: `${minutes} is not a divisor of the ${MINUTES_OF_DAY} minutes of a day` }];
}

function datasetProblems(place: string, dataset: DatasetSpec): Problem[] {
  const problems: Problem[] = [];
  const columns = Object.keys(dataset.columns);
  if (columns.length === 0) problems.push({ place: `${place}.columns`, message: 'there is none' });
  for (const column of columns) {
    if (!IDENTIFIER.test(column)) problems.push({ place: `${place}.columns`, message: `"${column}" does not match ${IDENTIFIER.source}` });
  }
  problems.push(
    ...unknownColumns(`${place}.key`, dataset, dataset.key ?? []),
    ...unknownColumns(`${place}.optional`, dataset, dataset.optional ?? []),
    ...unknownColumns(`${place}.pii`, dataset, dataset.pii ?? []),
  );
  if (dataset.file !== undefined && !CSV_FILE.test(dataset.file))
    problems.push({ place: `${place}.file`, message: `"${dataset.file}" is not the plain name of a .csv file` });
  if (dataset.buckets !== undefined) {
    const { by, count } = dataset.buckets;
    problems.push(...unknownColumns(`${place}.buckets.by`, dataset, [by]));
    if (dataset.columns[by] === 'double')
      problems.push({ place: `${place}.buckets.by`, message: `"${by}" is double, whose text and bucket differ on Spark and DuckDB` });
    if (!Number.isInteger(count) || count < 1 || count > MAX_BUCKETS) {
      problems.push({ place: `${place}.buckets.count`, message: `${count} is not a whole number from 1 to ${MAX_BUCKETS}` });
    }
  }
  return problems;
}

function unknownColumns(place: string, dataset: DatasetSpec | undefined, columns: readonly string[]): Problem[] {
  if (dataset === undefined) return [];
  return columns
    .filter((column) => !Object.hasOwn(dataset.columns, column))
    .map((column) => ({ place, message: `there is no column "${column}" among ${Object.keys(dataset.columns).join(', ')}` }));
}

function stageProblems(spec: PipelineSpec, id: string, stage: StageSpec): Problem[] {
  const place = `stages.${id}`;
  const problems: Problem[] = [];
  for (const need of stage.needs ?? []) problems.push(...unknownStage(spec, `${place}.needs`, need));
  const { timeoutSeconds } = stage;
  if (timeoutSeconds !== undefined && !(Number.isInteger(timeoutSeconds) && timeoutSeconds > 0)) {
    problems.push({ place: `${place}.timeoutSeconds`, message: `${timeoutSeconds} is not a whole number of seconds above 0` });
  }
  if (stage.pool !== undefined) problems.push(...poolUseProblems(`${place}.pool`, stage.pool));
  const written = writtenBy(stage);
  if (written !== undefined) problems.push(...undeclared(spec, `${place}.writes`, written));
  for (const dataset of datasetsOf(stage)) problems.push(...unwritten(spec, place, dataset));
  switch (stage.kind) {
    case 'ingest':
      return [...problems, ...ingestProblems(spec, place, stage)];
    case 'sense':
      return [...problems, ...senseProblems(place, stage)];
    case 'compute':
      return [...problems, ...computeProblems(spec, place, stage)];
    case 'check':
      return [...problems, ...checkProblems(spec, place, stage)];
    case 'publish':
      return [...problems, ...publishProblems(spec, place, stage)];
  }
}

function ingestProblems(spec: PipelineSpec, place: string, stage: IngestSpec): Problem[] {
  const problems: Problem[] = [];
  if ((stage.landing === undefined) === (stage.reference === undefined)) {
    problems.push({ place, message: 'an ingest names either `landing` or `reference`' });
  }
  const folders = stage.folders ?? 'window';
  if (stage.landing !== undefined && (spec.window.every === 'minutes' || (spec.window.every === 'week' && folders === 'window')))
    problems.push({
      place: `${place}.landing`,
      message: 'landing folders are days (`dt=YYYY-MM-DD`), and the windows of this pipeline are not',
    });
  problems.push(...shapeProblems(spec, place, stage));
  for (const source of [stage.landing, stage.reference]) {
    if (source !== undefined && !/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(source)) {
      problems.push({ place, message: `"${source}" is not a plain name below the landing or reference folder` });
    }
  }
  if (stage.eventTime !== undefined) {
    const dataset = spec.datasets[stage.writes];
    problems.push(...unknownColumns(`${place}.eventTime`, dataset, [stage.eventTime]));
    const type = dataset?.columns[stage.eventTime];
    if (type !== undefined && type !== 'timestamp')
      problems.push({ place: `${place}.eventTime`, message: `"${stage.eventTime}" is ${type}, not timestamp` });
  }
  return problems;
}

/** How files lie and what they call their columns. */
function shapeProblems(spec: PipelineSpec, place: string, stage: IngestSpec): Problem[] {
  const dataset = spec.datasets[stage.writes];
  const problems = unknownColumns(`${place}.names`, dataset, Object.keys(stage.names ?? {}));
  if (stage.landing === undefined) {
    for (const member of ['folders', 'folderDate'] as const) {
      if (stage[member] !== undefined) problems.push({ place: `${place}.${member}`, message: 'a reference lies in no `dt=` folder' });
    }
  }
  if (stage.folders === 'every') {
    for (const member of ['eventTime', 'ready'] as const) {
      if (stage[member] !== undefined)
        problems.push({ place: `${place}.${member}`, message: "speaks of the window's own folder, and folders: 'every' reads them all" });
    }
  }
  if (stage.header === false && stage.names !== undefined)
    problems.push({ place: `${place}.names`, message: 'files without a header name no columns' });
  if (stage.folderDate !== undefined) {
    problems.push(...unknownColumns(`${place}.folderDate`, dataset, [stage.folderDate]));
    const type = dataset?.columns[stage.folderDate];
    if (type !== undefined && type !== 'date')
      problems.push({ place: `${place}.folderDate`, message: `"${stage.folderDate}" is ${type}, not date` });
  }
  return problems;
}

function carriedProblems(spec: PipelineSpec, place: string, { since }: PreviousRead): Problem[] {
  if (since === undefined) return [];
  const writer = writersOf(spec.stages).get(since);
  const stage = writer === undefined ? undefined : spec.stages[writer];
  if (stage?.kind === 'ingest' && stage.folders === 'every') {
    const other = carriersOf(spec.stages, since).find((id) => spec.stages[id]?.kind === 'ingest');
    if (other === undefined) return [];
    return [{ place, message: `what is carried since "${since}" would be made of "${other}" as well, of which nothing says what is new` }];
  }
  return [{ place, message: `"${since}" is not written by an ingest with folders: 'every', so nothing says what is new` }];
}

function computeProblems(spec: PipelineSpec, place: string, stage: ComputeSpec): Problem[] {
  const problems = engineProblems(place, stage.engine);
  if (stage.engine === 'none') {
    for (const member of ['sql', 'bootstrap', 'writes', 'each'] as const) {
      if (stage[member] !== undefined) problems.push({ place: `${place}.${member}`, message: "engine 'none' computes and writes nothing" });
    }
  } else {
    for (const member of ['sql', 'writes'] as const) {
      if (stage[member] === undefined) problems.push({ place: `${place}.${member}`, message: 'is missing' });
    }
  }
  for (const file of [stage.sql, stage.bootstrap]) {
    if (file !== undefined && !SQL_FILE.test(file))
      problems.push({ place, message: `"${file}" is not the name of a .sql file under sql/` });
    else if (file !== undefined && isSparkVariant(file))
      problems.push({ place, message: `"${file}" is what Spark runs in the place of "${variedText(file)}"; name that one` });
  }
  for (const [alias, read] of Object.entries(stage.reads ?? {})) {
    if (typeof read === 'string') continue;
    if (isSensed(read)) {
      problems.push(...sensedReadProblems(spec.stages, `${place}.reads.${alias}`, stage, read));
      continue;
    }
    problems.push(...unwritten(spec, `${place}.reads.${alias}`, read.previous), ...carriedProblems(spec, `${place}.reads.${alias}`, read));
    if (spec.chain !== 'ordered' && read.since === undefined) {
      problems.push({ place: `${place}.reads.${alias}`, message: `previous('${read.previous}') needs chain: 'ordered'` });
    }
  }
  return stage.each === 'bucket' ? [...problems, ...bucketProblems(spec, place, stage)] : problems;
}

function bucketProblems(spec: PipelineSpec, place: string, stage: ComputeSpec): Problem[] {
  const reads = Object.values(stage.reads ?? {}).map(readDataset);
  const bucketed = reads.filter((dataset) => spec.datasets[dataset]?.buckets !== undefined);
  if (bucketed.length === 0) return [{ place: `${place}.each`, message: "'bucket' needs a read of a dataset with `buckets`" }];
  if (stage.writes !== undefined && spec.datasets[stage.writes]?.buckets !== undefined) bucketed.push(stage.writes);
  const kinds = new Map(bucketed.map((dataset) => [bucketText(spec.datasets[dataset]), dataset]));
  if (kinds.size < 2) return [];
  const shown = [...kinds].map(([text, dataset]) => `${dataset} has ${text}`).join(', ');
  return [{ place: `${place}.each`, message: `buckets do not match: ${shown}` }];
}

function bucketText(dataset: DatasetSpec | undefined): string {
  return dataset?.buckets === undefined ? 'none' : `${dataset.buckets.count} by ${dataset.buckets.by}`;
}

function checkProblems(spec: PipelineSpec, place: string, stage: CheckSpec): Problem[] {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  for (const check of stage.suite.checks) {
    const at = `${place}.suite.${check.id}`;
    if (!STAGE.test(check.id)) problems.push({ place: at, message: `the id does not match ${STAGE.source}` });
    if (seen.has(check.id)) problems.push({ place: at, message: 'two checks have this id' });
    seen.add(check.id);
    const dataset = spec.datasets[check.dataset];
    problems.push(...unknownColumns(at, dataset, check.sample ?? []));
    const { measure } = check;
    problems.push(...declarationProblems(check).map((message) => ({ place: at, message })));
    const byValue = check.drift?.method === 'psi' || check.drift?.method === 'js';
    const personal = dataset?.pii ?? [];
    if (
      ((check.warn === 'drift' || check.drift !== undefined) && tellsElement(measure, personal)) ||
      (byValue && !keepsStates(measure, personal))
    )
      problems.push({
        place: at,
        message: `drift needs a history, and values of personal columns are not kept; give ${measure.metric} a band`,
      });
    if ('over' in measure && measure.over !== undefined && !keepsStates(measure, personal)) {
      const message = `${measure.metric} cannot be merged over windows, since nothing that personal columns hold is kept; approx-count-distinct can`;
      problems.push({ place: at, message });
    }
    problems.push(...otherDatasets(measure).flatMap((other) => undeclared(spec, at, other)));
    if ('column' in measure) problems.push(...unknownColumns(at, dataset, [measure.column]));
    if ('columns' in measure && measure.metric !== 'schema-match') problems.push(...unknownColumns(at, dataset, measure.columns));
    if (measure.metric === 'duplicate-keys') problems.push(...unknownColumns(at, dataset, measure.key));
    if (measure.metric === 'missing-references') {
      problems.push(...unknownColumns(at, spec.datasets[measure.in.dataset], [measure.in.column]));
    }
    if (measure.metric === 'quarantine-ratio') {
      const ingest = spec.stages[measure.stage];
      if (ingest === undefined) problems.push(...unknownStage(spec, at, measure.stage));
      else if (ingest.kind !== 'ingest')
        problems.push({ place: at, message: `"${measure.stage}" is no ingest stage and has no quarantine` });
    }
  }
  if (stage.suite.checks.length === 0) problems.push({ place: `${place}.suite`, message: 'a gate without checks judges nothing' });
  return problems;
}

function publishProblems(spec: PipelineSpec, place: string, stage: PublishSpec): Problem[] {
  const problems: Problem[] = [];
  if (Object.keys(stage.tables).length === 0) problems.push({ place: `${place}.tables`, message: 'there is none' });
  for (const [table, { from, key, indexes }] of Object.entries(stage.tables)) {
    const at = `${place}.tables.${table}`;
    const dataset = spec.datasets[from];
    if (key.length === 0) problems.push({ place: `${at}.key`, message: 'a live table needs a key' });
    problems.push(...unknownColumns(`${at}.key`, dataset, key));
    for (const index of indexes ?? []) problems.push(...unknownColumns(`${at}.indexes`, dataset, index));
  }
  return problems;
}

function graphProblems(spec: PipelineSpec): Problem[] {
  const problems: Problem[] = [];
  const writers = writersOf(spec.stages);
  const publisher = Object.keys(spec.stages).find((id) => spec.stages[id]?.kind === 'publish');
  for (const [id, stage] of Object.entries(spec.stages)) {
    if (stage.kind === 'publish' && id !== publisher) {
      problems.push({
        place: `stages.${id}`,
        message: `"${publisher}" publishes already; all live tables of a pipeline belong into one publish stage, so that they move together`,
      });
    }
    for (const cleaned of cleanedBy(stage)) {
      if (carriedDatasets(spec).has(cleaned)) {
        problems.push({
          place: `stages.${id}.suite`,
          message: `"${cleaned}" is carried from window to window by what made it, and a gate after that cannot put rows of it aside`,
        });
      }
      const cleaner = cleanersOf(spec.stages).get(cleaned);
      if (cleaner !== id) {
        problems.push({
          place: `stages.${id}.suite`,
          message: `rows of "${cleaned}" are put aside by "${cleaner}" already; one gate of a dataset may do so`,
        });
      }
    }
    const dataset = writtenBy(stage);
    const first = dataset === undefined ? undefined : writers.get(dataset);
    if (first !== undefined && first !== id) {
      problems.push({ place: `stages.${id}.writes`, message: `"${dataset}" is written by "${first}" already; a dataset has one writer` });
    }
    for (const need of stage.needs ?? []) {
      // The publish stage starts when all others are done and the window is accepted.
      if (stage.kind !== 'publish' && spec.stages[need]?.kind === 'publish') {
        problems.push({ place: `stages.${id}.needs`, message: `"${need}" publishes, and no stage can come after that` });
      }
    }
  }
  const cycle = cyclePath(graphOf(spec.stages));
  if (cycle !== undefined) problems.push({ place: 'stages', message: `the stages need each other in a circle: ${cycle.join(' → ')}` });
  return problems;
}

/** Datasets read as of where an ingest goes on. */
function carriedDatasets({ stages }: PipelineSpec): Set<string> {
  const reads = Object.values(stages).flatMap((stage) => (stage.kind === 'compute' ? Object.values(stage.reads ?? {}) : []));
  return new Set(reads.flatMap((read) => (isPrevious(read) && read.since !== undefined ? [read.previous] : [])));
}

function unknownStage(spec: PipelineSpec, place: string, id: string): Problem[] {
  if (Object.hasOwn(spec.stages, id)) return [];
  return [{ place, message: `there is no stage "${id}" among ${Object.keys(spec.stages).join(', ')}` }];
}

function undeclared(spec: PipelineSpec, place: string, dataset: string): Problem[] {
  if (Object.hasOwn(spec.datasets, dataset)) return [];
  return [{ place, message: `the dataset "${dataset}" is not declared among ${Object.keys(spec.datasets).join(', ')}` }];
}

function unwritten(spec: PipelineSpec, place: string, dataset: string): Problem[] {
  const problems = undeclared(spec, place, dataset);
  if (problems.length === 0 && !writersOf(spec.stages).has(dataset)) {
    problems.push({ place, message: `no stage writes the dataset "${dataset}"` });
  }
  return problems;
}
