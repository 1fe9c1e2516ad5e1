import type { WorkflowHandle } from '@temporalio/client';

/** How long the timers of a workflow were to last, in milliseconds, in the order it asked for them. */
export async function timersOf(handle: WorkflowHandle): Promise<number[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).flatMap(({ timerStartedEventAttributes: timer }) =>
    timer ? [Number(timer.startToFireTimeout?.seconds ?? 0) * 1000 + Number(timer.startToFireTimeout?.nanos ?? 0) / 1e6] : [],
  );
}
