import type { EffectState } from '../pipelines/effect';
import type { ChildIdentity } from './compute/engine';
import type { EffectProof } from './compute/emr-sweep';
import type { AttemptRow } from './ledger/attempts';

/** How one attempt of a stopped run is known to do no more harm. */
export interface AttemptProof {
  readonly stage: string;
  readonly attempt: number;
  /**
   * `reported`: it ended by its own report. `child-dead`: its process is gone by pid and start time. `step-ended`: EMR says that its step is over,
   * or there never was one. `ending`: its step is being ended, which the run's close waits for. `fenced`: not seen to stop, but its late commit
   * is refused.
   */
  readonly ended: 'reported' | 'child-dead' | 'step-ended' | 'ending' | 'fenced';
  readonly child?: ChildIdentity;
  /** Of one that computes on EMR. */
  readonly step?: StepFacts;
}

export interface StepFacts {
  readonly cluster: string | null;
  readonly step: string | null;
  /** As the ledger has it; final once the step has ended. */
  readonly state: EffectState;
}

/** Whether a proof may still become another one. */
export function isProven(proof: readonly AttemptProof[]): boolean {
  return !proof.some(({ ended }) => ended === 'ending');
}

/** What is known of attempts whose work is on EMR, in the place of what their workers told: a worker that is gone says nothing of its step. */
export function withSteps(
  proof: readonly AttemptProof[],
  attempts: readonly Pick<AttemptRow, 'stage' | 'attempt' | 'child'>[],
  rounds: readonly EffectProof[],
): AttemptProof[] {
  return proof.map((one) => {
    const child = attempts.find(({ stage, attempt }) => stage === one.stage && attempt === one.attempt)?.child;
    const own = child == null ? roundsOf(one, rounds) : [];
    const told = own.find(({ ended }) => ended !== 'over') ?? own.at(-1);
    if (told === undefined) return one;
    const { cluster, step, state } = told;
    const { stage, attempt } = one;
    return { stage, attempt, ended: told.ended === 'over' ? 'step-ended' : told.ended, step: { cluster, step, state } };
  });
}

/** A round is that of the newest attempt that took it up; one that did not report may have begun what a later one went on with. */
function roundsOf({ stage, attempt, ended }: AttemptProof, rounds: readonly EffectProof[]): readonly EffectProof[] {
  const mine = rounds.filter((round) => round.stage === stage && round.attempt === attempt);
  if (mine.length > 0 || ended === 'reported') return mine;
  return rounds.filter((round) => round.stage === stage && round.attempt > attempt).slice(0, 1);
}
