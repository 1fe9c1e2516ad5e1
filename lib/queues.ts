import type { Config } from './config';

/** The queues of one stack: workflows and short activities on one, live stages on the other. */
export function queueNames(config: Pick<Config, 'queue'>): { readonly control: string; readonly stages: string } {
  return { control: `${config.queue}-control`, stages: `${config.queue}-live` };
}

/** The one execution of the clock on a namespace. */
export const CLOCK_WORKFLOW_ID = 'almanac-clock';
