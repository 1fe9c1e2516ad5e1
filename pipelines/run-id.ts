import type { RunRef } from './types';

/** The live chain. */
export const MAIN_BRANCH = 'main';

export type RunAddress = Pick<RunRef, 'pipeline' | 'window' | 'branch'>;

/** `PIPELINE/WINDOW`, on a branch `PIPELINE/WINDOW~BRANCH`: the workflow id and what people type. */
export function formatRun(run: RunAddress): string {
  const base = `${run.pipeline}/${run.window}`;
  return run.branch === MAIN_BRANCH ? base : `${base}~${run.branch}`;
}

/** The command that goes on with a stage, or with `accept`, once what stopped it is mended. */
export function retryCommand(run: RunAddress, stage: string): string {
  return `almanac retry ${formatRun(run)} --stage ${stage} --reason …`;
}
