import type { Config } from './config';

/** Whose stages: no live one waits for one of a backfill. */
export type StageQueue = 'live' | 'backfill';

/** The queues of one stack: workflows and short activities on one, live stages and those of backfills on others. */
export function queueNames(
  config: Pick<Config, 'queue'>,
  stages: StageQueue = 'live',
): { readonly control: string; readonly stages: string } {
  return { control: `${config.queue}-control`, stages: `${config.queue}-${stages}` };
}

/** The one execution of the clock on a namespace. */
export const CLOCK_WORKFLOW_ID = 'almanac-clock';

/** The one execution of a backfill's controller. */
export function backfillWorkflowId(hash: string): string {
  return `almanac-backfill-${hash}`;
}
