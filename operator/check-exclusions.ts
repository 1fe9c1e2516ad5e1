/** Windows that operators put on record as like no others: no baseline, no drift. */
import { excludeWindows, readExclusions, withdrawExclusion, type Exclusion } from '../activities/quality/exclusions';
import { AlmanacError } from '../pipelines/failures';
import { enumerate } from '../pipelines/window';
import { requireReason } from './reason';
import type { OperatorSession } from './session';

type ExclusionServices = Pick<OperatorSession, 'config' | 'database' | 'clock' | 'project'>;

export interface ExclusionRequest {
  readonly pipeline: string;
  readonly from: string;
  readonly to: string;
  readonly dataset?: string;
  readonly reason: string;
}

/** Throws `check.unknown` for a pipeline or dataset that is none, `window.invalid`, `reason.missing`. */
export async function exclude(services: ExclusionServices, request: ExclusionRequest): Promise<Exclusion> {
  const { pipeline, from, to, dataset } = request;
  const reason = requireReason(request.reason, 'an exclusion');
  const { pipelines } = await services.project();
  const spec = pipelines.get(pipeline)?.spec;
  if (spec === undefined || (dataset !== undefined && !Object.hasOwn(spec.datasets, dataset))) {
    const what = spec === undefined ? `pipeline ${pipeline}` : `dataset ${String(dataset)} in ${pipeline}`;
    const known = spec === undefined ? [...pipelines.keys()] : Object.keys(spec.datasets);
    throw new AlmanacError('check.unknown', `there is no ${what}; there are ${known.join(', ') || 'none'}`, {
      next: 'Use one of those names.',
    });
  }
  enumerate(spec.window, from, to);
  const exclusion = { pipeline, dataset: dataset ?? null, from, to, reason, who: services.config.actor };
  return { ...exclusion, id: await excludeWindows(services.database, exclusion, services.clock.now()) };
}

export function exclusions({ database }: ExclusionServices, pipeline?: string): Promise<Exclusion[]> {
  return readExclusions(database, pipeline);
}

/** Throws `check.unknown` when there is none of that number. */
export async function include({ database, clock }: ExclusionServices, id: number): Promise<void> {
  if (await withdrawExclusion(database, id, clock.now())) return;
  throw new AlmanacError('check.unknown', `there is no exclusion ${id} that stands`, { next: '`almanac check exclusions` lists them.' });
}
