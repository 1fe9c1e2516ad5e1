import type { FaultOrder } from '../../operator/emr-local/faults';
import type { JobAct } from './fake-spark';
import { Random } from './random';

export const EMR_VICTIMS = [
  'worker',
  'frozen-worker',
  'late-request',
  'emr',
  'spark',
  'frozen-spark',
  'cluster',
  'cancelled-stage',
] as const;
export type EmrVictim = (typeof EMR_VICTIMS)[number];

/** Some milliseconds after a worker passed a point or a job did something; 0 at a point: before it goes on. */
export type EmrMoment = ({ readonly point: string } | { readonly act: JobAct }) & { readonly ms: number };

export interface EmrKill {
  readonly victim: EmrVictim;
  readonly moment: EmrMoment;
  /** Befall the first requests of their operation. */
  readonly faults: readonly FaultOrder[];
  /** Who goes on: the order given again, or an operator's retry. */
  readonly newEpoch: boolean;
  /** How long what is frozen stays so; of a worker, 'end' is until the stage is done. */
  readonly frozenMs: number | 'end';
}

/** In the order in which a stage passes them; those of the cluster once a run. */
export const WORKER_POINTS = [
  ...['cluster-intended', 'cluster-made', 'step-intended', 'step-submitted', 'fenced', 'step-ended'],
  ...['computed', 'committed', 'before-close', 'after-close'],
];
const ACTS: readonly JobAct[] = ['begun', 'claimed', 'wrote', 'put'];
/** About as long as a job takes between two acts. */
const LONGEST_MS = 250;
/** The same at its end. */
const SHORT_MS = 40;
/** Longer than a submission is waited for, so that another one is under way before it arrives. */
const LATE_MS = 1_500;

/** Kills of all kinds in turn for a seed, the same for the same seed. */
export function plannedEmrKills(kills: number, seed: number, victims: readonly EmrVictim[] = EMR_VICTIMS): EmrKill[] {
  const random = new Random(seed ^ 0xe312);
  const order = random.shuffled(victims);
  return Array.from({ length: kills }, (_, at) => plan(order[at % order.length] ?? 'worker', random));
}

function plan(victim: EmrVictim, random: Random): EmrKill {
  const common = { victim, newEpoch: random.chance(0.3), frozenMs: random.chance(0.5) ? ('end' as const) : 100 + random.below(900) };
  if (victim === 'late-request') {
    const [operation, point] = random.pick([['RunJobFlow', 'cluster-intended'] as const, ['AddJobFlowSteps', 'step-intended'] as const]);
    return { ...common, moment: { point, ms: 80 }, faults: [{ fault: 'delay-request', operation, count: 1, milliseconds: LATE_MS }] };
  }
  const lost = (['lose-response', 'lose-request', 'fail', 'throttle'] as const).flatMap((fault) =>
    random.chance(0.15)
      ? [
          {
            fault,
            operation: random.pick(['AddJobFlowSteps', 'RunJobFlow', 'ListSteps', 'ListClusters'] as const),
            count: 1,
            milliseconds: 0,
          },
        ]
      : [],
  );
  const done = random.pick(ACTS);
  const act: EmrMoment = { act: done, ms: random.below(done === 'wrote' || done === 'put' ? SHORT_MS : LONGEST_MS) };
  const at = random.below(WORKER_POINTS.length);
  const lasts = at < WORKER_POINTS.indexOf('fenced');
  const point: EmrMoment = { point: WORKER_POINTS[at] ?? '', ms: lasts && random.chance(0.5) ? random.below(LONGEST_MS) : 0 };
  const ofJob =
    victim === 'spark' ||
    victim === 'frozen-spark' ||
    victim === 'cancelled-stage' ||
    (victim !== 'cluster' ? random.chance(0.4) : random.chance(0.8));
  // A stage that has committed is done, whatever is asked of it.
  const moment = ofJob ? act : point;
  return { ...common, moment, faults: lost };
}

export function describeEmrKill({ victim, moment, faults }: EmrKill): string {
  const when = `${moment.ms} ms after ${'point' in moment ? moment.point : `the job ${moment.act}`}`;
  return `${victim} ${when}${faults.map(({ fault, ...of }) => `, ${fault}${'operation' in of && of.operation !== undefined ? ` of ${of.operation}` : ''}`).join('')}`;
}
