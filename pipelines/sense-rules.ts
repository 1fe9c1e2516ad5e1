/** The rules of sense stages: within a declaration, and between the pipelines of a project, where their names are looked up. */
import { canonicalJson } from './canonical';
import { durationMs } from './duration';
import { cyclePath, sensedReads, sensersOf } from './graph';
import type { Problem } from './rules';
import type { ComputeSpec, PipelineSpec, ResolvedCondition, SenseCondition, SensedRead, SenseSpec, WindowSpec } from './types';

const SOURCE = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/;
const FOLDER = /^[A-Za-z0-9_][A-Za-z0-9._=-]*(\/[A-Za-z0-9_][A-Za-z0-9._=-]*)*$/;
const MAX_PATIENCE_MS = 100 * 86_400_000;
const MINUTES_OF_DAY = 1440;
const DAYS_OF_WEEK = 7;
/** More windows than a day of single minutes has: every look asks for each. */
const MAX_WINDOWS = 1500;

/** What is wrong with a sense stage by itself. */
export function senseProblems(place: string, stage: SenseSpec): Problem[] {
  const problems: Problem[] = [];
  if (stage.conditions.length === 0)
    problems.push({ place: `${place}.conditions`, message: 'a sense stage without conditions waits for nothing' });
  if (stage.patience !== undefined) {
    const patience = durationMs(stage.patience);
    if (patience === undefined || patience > MAX_PATIENCE_MS)
      problems.push({ place: `${place}.patience`, message: `"${stage.patience}" is not a length of time such as 90m or 2h, at most 100d` });
  }
  for (const [at, condition] of stage.conditions.entries()) problems.push(...conditionProblems(`${place}.conditions.${at}`, condition));
  return problems;
}

function conditionProblems(place: string, condition: SenseCondition): Problem[] {
  const folder = 'marker' in condition ? condition.marker : 'quiet' in condition ? condition.quiet : undefined;
  if (folder === undefined) return [];
  const problems: Problem[] = [];
  const at = 'marker' in condition ? `${place}.marker` : `${place}.quiet`;
  const plain = (member: string, value: string, form: RegExp, what: string): void => {
    if (!form.test(value)) problems.push({ place: `${at}.${member}`, message: `"${value}" is not ${what}` });
  };
  plain('landing', folder.landing, SOURCE, 'a plain name below the landing folder');
  if (folder.folder !== undefined)
    plain('folder', folder.folder.replaceAll('{window}', 'key'), FOLDER, 'a plain path below the folder of its source');
  if ('file' in folder) plain('file', folder.file, SOURCE, 'the plain name of a file');
  if ('minutes' in folder && !(Number.isFinite(folder.minutes) && folder.minutes > 0))
    problems.push({ place: `${at}.minutes`, message: `${folder.minutes} is not a number of minutes above 0` });
  return problems;
}

/** What is wrong with a read of what was sensed: one condition has to name it, so that there is no doubt which windows are meant. */
export function sensedReadProblems(stages: PipelineSpec['stages'], place: string, stage: ComputeSpec, { sensed }: SensedRead): Problem[] {
  if (stage.bootstrap !== undefined)
    return [{ place, message: `a bootstrap computes from all landing data, and "${sensed}" is sensed for the windows of one run only` }];
  const sensers = sensersOf(stages, sensed);
  if (sensers.length === 1) return [];
  if (sensers.length === 0)
    return [{ place, message: `no sense stage waits for { accepted: { dataset: '${sensed}' } }, so nothing says which version is read` }];
  return [
    { place, message: `"${sensed}" is waited for ${sensers.length} times (${sensers.join(', ')}); read it where one condition names it` },
  ];
}

/** What is wrong between the pipelines of a project: names nobody has, windows that cannot be meant, circles that would wait for ever. */
export function projectSenseProblems(pipelines: readonly PipelineSpec[]): Problem[] {
  const problems = pipelines.flatMap((pipeline) =>
    senseStages(pipeline).flatMap(([id, stage]) =>
      stage.conditions.flatMap((condition, at) =>
        betweenProblems(pipelines, pipeline, `${pipeline.id}.stages.${id}.conditions.${at}`, condition),
      ),
    ),
  );
  return problems.length > 0 ? problems : circleProblems(pipelines);
}

/** The pipelines with the conditions of their sense stages resolved; {@link projectSenseProblems} found nothing. */
export function resolveSenses(pipelines: readonly PipelineSpec[]): PipelineSpec[] {
  return pipelines.map((pipeline) => {
    if (senseStages(pipeline).length === 0) return pipeline;
    const stages = Object.entries(pipeline.stages).map(([id, stage]) => {
      if (stage.kind !== 'sense') return [id, stage] as const;
      return [id, { ...stage, resolved: stage.conditions.flatMap((condition) => resolve(pipelines, condition) ?? []) }] as const;
    });
    const read = [...new Set(Object.values(pipeline.stages).flatMap(sensedReads))].sort();
    const foreign = read.flatMap((name) => {
      const dataset = pipelines.find(({ datasets }) => Object.hasOwn(datasets, name))?.datasets[name];
      return dataset === undefined ? [] : [[name, dataset] as const];
    });
    return {
      ...pipeline,
      stages: Object.fromEntries(stages),
      ...(foreign.length === 0 ? {} : { sensed: Object.fromEntries(foreign) }),
    };
  });
}

function senseStages({ stages }: PipelineSpec): [string, SenseSpec][] {
  return Object.entries(stages).flatMap(([id, stage]) => (stage.kind === 'sense' ? [[id, stage] as [string, SenseSpec]] : []));
}

function resolve(pipelines: readonly PipelineSpec[], condition: SenseCondition): ResolvedCondition | undefined {
  if ('marker' in condition) return { kind: 'marker', ...condition.marker };
  if ('quiet' in condition) return { kind: 'quiet', ...condition.quiet };
  const owner = ownerOf(pipelines, condition);
  if (owner === undefined) return undefined;
  const { id: pipeline, window } = owner;
  if ('published' in condition) {
    const { published } = condition;
    const table = 'table' in published ? { table: published.table } : {};
    return { kind: 'published', pipeline, window, windows: published.window ?? 'same', ...table };
  }
  const { accepted } = condition;
  const dataset = 'dataset' in accepted ? { dataset: accepted.dataset } : {};
  return { kind: 'accepted', pipeline, window, windows: accepted.window ?? 'same', ...dataset };
}

type PipelineCondition = Extract<SenseCondition, { readonly accepted: unknown } | { readonly published: unknown }>;

/** The pipeline a condition is about, by its own name or by what belongs to it. */
function ownerOf(pipelines: readonly PipelineSpec[], condition: PipelineCondition): PipelineSpec | undefined {
  const named = 'accepted' in condition ? condition.accepted : condition.published;
  if ('dataset' in named) return pipelines.find(({ datasets }) => Object.hasOwn(datasets, named.dataset));
  if ('table' in named) return pipelines.find((pipeline) => tablesOf(pipeline).includes(named.table));
  return pipelines.find(({ id }) => id === named.pipeline);
}

function tablesOf({ stages }: PipelineSpec): string[] {
  return Object.values(stages).flatMap((stage) => (stage.kind === 'publish' ? Object.keys(stage.tables) : []));
}

function betweenProblems(pipelines: readonly PipelineSpec[], ours: PipelineSpec, place: string, condition: SenseCondition): Problem[] {
  if ('marker' in condition) return unknownSource(pipelines, `${place}.marker.landing`, condition.marker.landing);
  if ('quiet' in condition) return unknownSource(pipelines, `${place}.quiet.landing`, condition.quiet.landing);
  const at = 'accepted' in condition ? `${place}.accepted` : `${place}.published`;
  const named = 'accepted' in condition ? condition.accepted : condition.published;
  const other = ownerOf(pipelines, condition);
  if (other === undefined) {
    if ('dataset' in named)
      return [
        unknown(
          `${at}.dataset`,
          'dataset',
          named.dataset,
          pipelines.flatMap(({ datasets }) => Object.keys(datasets)),
        ),
      ];
    if ('table' in named) return [unknown(`${at}.table`, 'live table', named.table, pipelines.flatMap(tablesOf))];
    return [
      unknown(
        `${at}.pipeline`,
        'pipeline',
        named.pipeline,
        pipelines.map(({ id }) => id),
      ),
    ];
  }
  if (other.id === ours.id)
    return [{ place: at, message: "a pipeline cannot wait for itself; chain: 'ordered' waits for the window before" }];
  if ('published' in condition && tablesOf(other).length === 0) return [{ place: at, message: `"${other.id}" publishes nothing` }];
  return windowProblems(`${at}.window`, ours, other, named.window ?? 'same');
}

function windowProblems(place: string, ours: PipelineSpec, other: PipelineSpec, windows: string): Problem[] {
  if (windows === 'newest') return [];
  if (!['same', 'previous'].includes(windows)) return [{ place, message: `"${windows}" is not one of same, previous, newest` }];
  const [mine, theirs] = [minutesOf(ours.window), minutesOf(other.window)];
  if (theirs > mine)
    return [{ place, message: `the windows of "${other.id}" are longer than those of "${ours.id}", which can only wait for the 'newest'` }];
  if (mine / theirs <= MAX_WINDOWS) return [];
  return [{ place, message: `a window of "${ours.id}" has more than ${MAX_WINDOWS} windows of "${other.id}"` }];
}

function minutesOf(window: WindowSpec): number {
  if (window.every === 'minutes') return window.minutes;
  return window.every === 'day' ? MINUTES_OF_DAY : DAYS_OF_WEEK * MINUTES_OF_DAY;
}

function unknownSource(pipelines: readonly PipelineSpec[], place: string, landing: string): Problem[] {
  const known = pipelines.flatMap(({ stages }) =>
    Object.values(stages).flatMap((stage) => (stage.kind === 'ingest' && stage.landing !== undefined ? [stage.landing] : [])),
  );
  return known.includes(landing) ? [] : [unknown(place, 'landing source', landing, known)];
}

function unknown(place: string, noun: string, name: string, known: readonly string[]): Problem {
  const names = [...new Set(known)].sort().join(', ');
  return { place, message: `no pipeline of the project has the ${noun} "${name}"${names === '' ? '' : `; there are ${names}`}` };
}

interface Wait {
  readonly from: PipelineSpec;
  readonly to: PipelineSpec;
  readonly previous: boolean;
}

/**
 * Pipelines that wait for each other wait for ever, unless one of them waits for the window before; and that is sure only where all in the
 * circle have the same windows: others overlap, and the window before may lead back to the same one.
 */
function circleProblems(pipelines: readonly PipelineSpec[]): Problem[] {
  const waits = pipelines.flatMap((from) => waitsOf(pipelines, from));
  const lasting = waits.filter((wait) => !leadsBack(waits, wait));
  const cycle = cyclePath(pipelines.map(({ id }) => ({ id, needs: lasting.filter(({ from }) => from.id === id).map(({ to }) => to.id) })));
  return cycle === undefined ? [] : [{ place: 'pipelines', message: `they wait for each other in a circle: ${cycle.join(' → ')}` }];
}

function waitsOf(pipelines: readonly PipelineSpec[], from: PipelineSpec): Wait[] {
  return senseStages(from).flatMap(([, { conditions }]) =>
    conditions.flatMap((condition) => {
      if ('marker' in condition || 'quiet' in condition) return [];
      const to = ownerOf(pipelines, condition);
      const { window } = 'accepted' in condition ? condition.accepted : condition.published;
      return to === undefined ? [] : [{ from, to, previous: window === 'previous' }];
    }),
  );
}

/** Whether a wait leads to earlier windows on every circle it is part of. */
function leadsBack(waits: readonly Wait[], { from, to, previous }: Wait): boolean {
  const reach = (start: PipelineSpec, way: 'from' | 'to'): Set<PipelineSpec> => {
    const found = new Set([start]);
    for (const one of found) for (const wait of waits) if (wait[way === 'from' ? 'to' : 'from'] === one) found.add(wait[way]);
    return found;
  };
  const before = reach(from, 'from');
  const circle = [...reach(to, 'to')].filter((pipeline) => before.has(pipeline));
  return previous && circle.every(({ window }) => canonicalJson(window) === canonicalJson(from.window));
}
