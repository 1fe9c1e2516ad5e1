import { AlmanacError } from './failures';
import { MAIN_BRANCH, type RunAddress } from './run-id';

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
