import { AlmanacError } from './failures';
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

/** Reads `PIPELINE/WINDOW[~BRANCH][#GENERATION]`; throws `run.usage`. */
export function parseRun(text: string): RunAddress & { readonly generation?: number } {
  const match = /^([^/~#]+)\/([0-9A-Za-z-]+)(?:~([0-9A-Za-z_-]+))?(?:#([1-9]\d*))?$/.exec(text);
  if (match === null) {
    throw new AlmanacError('run.usage', `${JSON.stringify(text)} does not name a run`, {
      next: 'name it as PIPELINE/WINDOW, like audience-index/2011-11-01',
    });
  }
  const [, pipeline = '', window = '', branch = MAIN_BRANCH, generation] = match;
  return { pipeline, window, branch, ...(generation === undefined ? {} : { generation: Number(generation) }) };
}
