import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow';

/** Stages of one bare run: one after the other, or all at once. */
export interface BareShape {
  readonly stages: number;
  readonly wide: boolean;
  /** Task queue of the activities; they have a process of their own, as stages do. */
  readonly activityQueue: string;
}

export interface BareActivities {
  nothing(): Promise<void>;
}

/** What a run costs in Temporal alone: the same activities with the same options, which do nothing and are written down nowhere. */
export async function bareRun({ stages, wide, activityQueue }: BareShape): Promise<void> {
  const { nothing } = proxyActivities<BareActivities>({
    taskQueue: activityQueue,
    startToCloseTimeout: '1 hour',
    scheduleToCloseTimeout: '2 hours',
    heartbeatTimeout: '10 seconds',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '500 ms', backoffCoefficient: 2, maximumInterval: '30 seconds' },
  });
  if (wide) await Promise.all(Array.from({ length: stages }, () => nothing()));
  else for (let stage = 0; stage < stages; stage++) await nothing();
}
