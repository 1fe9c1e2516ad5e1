import { planReader } from '../../activities/ledger/plans';
import type { ClockActivities } from '../../activities/tasks';
import { MAIN_BRANCH } from '../../pipelines/run-id';
import { startRun } from '../runs/start';
import { tellToStop } from '../runs/stop';
import type { OperatorSession } from '../session';
import { lookAtSlots, type SlotRuns } from './tick';

/** Who starts the runs of slots, in the ledger. */
export const CLOCK = 'clock';

/** How long a scheduled run waits for what is not there yet when its schedule does not say. */
const PATIENCE_MINUTES = 360;

/** The activities of the clock workflow, and what the reconciler of a control worker calls beside it. */
export function createClock(session: OperatorSession): ClockActivities {
  const plan = planReader(session.database);
  const runs: SlotRuns = {
    start: async (schedule, window, reason) =>
      startRun(session, {
        pipeline: schedule.pipeline,
        window,
        plan: await plan(schedule.planHash),
        patienceSeconds: (schedule.spec.patienceMinutes ?? PATIENCE_MINUTES) * 60,
        declaredPatience: true,
        who: CLOCK,
        reason,
      }),
    async cancel(pipeline, window, reason) {
      await tellToStop(session, { address: { pipeline, window, branch: MAIN_BRANCH }, verb: 'cancel', reason, who: CLOCK });
    },
  };
  return { lookAtSlots: () => lookAtSlots(session, runs) };
}
