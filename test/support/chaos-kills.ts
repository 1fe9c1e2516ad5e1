import { Random } from './random';

export const VICTIMS = ['compute-worker', 'compute-child', 'control-worker', 'publisher', 'temporal', 'postgres'] as const;
export type Victim = (typeof VICTIMS)[number];

/** When a victim is killed: at a named point of a stage, or some milliseconds after so many attempts of the run were begun. */
export type Moment =
  { readonly kind: 'point'; readonly name: string } | { readonly kind: 'progress'; readonly attempts: number; readonly delayMs: number };

export interface Kill {
  readonly victim: Victim;
  readonly moment: Moment;
}

/** A run of audience-index begins this many attempts when nothing goes wrong. */
const ATTEMPTS = 13;
/** About as long as one stage takes. */
const LONGEST_DELAY_MS = 150;
/** Share of a worker's kills that hit a point where a completion is lost or a commit is under way. */
const NAMED_SHARE = 0.4;

const TABLES = ['audience_index', 'audience_segments', 'audience_pixels'];
/** Between any two statements of a publication that every day passes; collections come to have work on later days only. */
const PUBLISHER_POINTS = [
  ...[
    'parents-prepared',
    'opened',
    'loaded',
    'attached',
    'views-widened',
    'flip-fenced',
    'flip-moved',
    'flip-committing',
    'flipped',
    'collect-begun',
  ],
  ...['before-close', 'after-close'],
  ...TABLES.flatMap((table) =>
    ['exported', 'created', 'copied', 'keyed', 'loaded', 'analyzed', 'audited', 'attached', 'parent-analyzed'].map(
      (step) => `${step}:${table}`,
    ),
  ),
].map((point) => `publish:${point}`);
const COMPUTE_POINTS = [
  ...['segmentAdds:ingest.written', 'segmentAdds:ingest.committed', 'updateUdb:pass-3'],
  ...['updateUdb', 'countOverlaps', 'aggregate'].flatMap((stage) =>
    ['computed', 'committed', 'before-close', 'after-close'].map((point) => `${stage}:${point}`),
  ),
  ...['landed', 'judge'].flatMap((stage) => [`${stage}:before-close`, `${stage}:after-close`]),
];

/** Before and after the one step that makes a window current. */
const CONTROL_POINTS = ['accept:before', 'accept:after'];

/** The kills of one kind for a seed, the same for the same seed. */
export function plannedKills(victim: Victim, kills: number, seed: number): Kill[] {
  const random = new Random(seed ^ (VICTIMS.indexOf(victim) * 0x9e37));
  return Array.from({ length: kills }, () => ({ victim, moment: moment(victim, random) }));
}

function moment(victim: Victim, random: Random): Moment {
  if (victim === 'publisher') return { kind: 'point', name: random.pick(PUBLISHER_POINTS) };
  const named = { 'compute-worker': COMPUTE_POINTS, 'control-worker': CONTROL_POINTS }[victim as string];
  if (named !== undefined && random.chance(NAMED_SHARE)) return { kind: 'point', name: random.pick(named) };
  return { kind: 'progress', attempts: random.below(ATTEMPTS + 1), delayMs: random.below(LONGEST_DELAY_MS) };
}

export function describeMoment(moment: Moment): string {
  return moment.kind === 'point' ? `at ${moment.name}` : `${moment.delayMs} ms after attempt ${moment.attempts}`;
}
