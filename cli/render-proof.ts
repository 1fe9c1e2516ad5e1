import type { AttemptProof } from '../activities/attempt-proof';

const ENDED = {
  'reported': 'ended by its own report',
  'child-dead': 'its process is dead',
  'step-ended': 'its step on EMR is over',
  'ending': 'its step on EMR is being ended',
  'fenced': 'fenced, not seen to stop',
} as const satisfies Record<AttemptProof['ended'], string>;

/** How an attempt is known to do no more harm, in one line. */
export function renderProofLine({ stage, attempt, ended, child, step }: AttemptProof): string {
  return `${stage}#${attempt}: ${ENDED[ended]}${child === undefined ? '' : ` (pid ${child.pid})`}${step === undefined ? '' : ` (${stepText(step)})`}`;
}

function stepText({ cluster, step, state }: NonNullable<AttemptProof['step']>): string {
  return cluster === null ? 'never submitted' : `${step ?? 'no step'} on ${cluster}, ${state}`;
}
