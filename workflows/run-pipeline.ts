import {
  ActivityCancellationType,
  ActivityFailure,
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  condition,
  isCancellation,
  log,
  patched,
  proxyActivities,
  proxyLocalActivities,
  setHandler,
  TimeoutFailure,
} from '@temporalio/workflow';
import type { ControlActivities, RunTask, StageActivities } from '../activities/tasks';
import { boundedFailures } from '../pipelines/bounded-failure';
import type { FailureInfo } from '../pipelines/failures';
import {
  adoptOutline,
  initialState,
  step,
  wokenHold,
  type FrontierCommand,
  type FrontierEvent,
  type FrontierState,
  type Outcome,
} from '../pipelines/frontier';
import { POOL_PATIENCE_SECONDS } from '../pipelines/pools';
import { retryCommand } from '../pipelines/run-id';
import {
  abandonUpdate,
  cancelUpdate,
  retryUpdate,
  skipUpdate,
  stateQuery,
  type Asked,
  type RunInput,
  type RunResult,
  type StateAnswer,
  type VerbAnswer,
} from './messages';

/** Platform failures are retried for this long, not N times. */
const PLATFORM_RETRY_SECONDS = 1800;
/**
 * Room for a stage to report its own timeout before the server does it less precisely; the worker's clock stands still while
 * the stage waits for a child.
 */
const TIMEOUT_GRACE_SECONDS = 600;

/** The close of a run sees its steps on EMR end. */
const control = proxyActivities<ControlActivities>({
  startToCloseTimeout: '60 seconds',
  heartbeatTimeout: '5 seconds',
  retry: { initialInterval: '200 ms', backoffCoefficient: 2, maximumInterval: '10 seconds' },
});

/** Goes on through half an hour of platform failures, as a stage does. */
const acceptance = proxyActivities<Pick<ControlActivities, 'acceptWindow'>>({
  startToCloseTimeout: '60 seconds',
  scheduleToCloseTimeout: PLATFORM_RETRY_SECONDS * 1000,
  heartbeatTimeout: '10 seconds',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { initialInterval: '200 ms', backoffCoefficient: 2, maximumInterval: '10 seconds' },
});

/** In the workflow task at hand: no order, no queue and no other worker between, so they cost the server nothing. */
const nearby = proxyLocalActivities<Pick<ControlActivities, 'acceptWindow' | 'closeRun'>>({
  startToCloseTimeout: '5 seconds',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { maximumAttempts: 1 },
});

/** One pipeline for one window: executes the frontier's commands, feeds events and verbs back. */
export async function runPipeline(input: RunInput): Promise<RunResult> {
  const runner = new Runner(input);
  setHandler(stateQuery, () => runner.answer());
  setHandler(
    retryUpdate,
    (request) => {
      if (request.plan !== undefined) runner.adoptPlan(request.plan);
      runner.take(request);
      return runner.dispatch({ type: 'retry', reset: request.reset });
    },
    {
      validator(request) {
        runner.expect(request, request.stage, request.expectedEpoch);
        for (const [stage, epoch] of Object.entries<number>(request.others ?? {})) runner.expect(request, stage, epoch);
      },
    },
  );
  setHandler(
    skipUpdate,
    (request) => {
      runner.take(request);
      return runner.dispatch({ type: 'skip', stage: request.stage });
    },
    { validator: (request) => runner.expect(request, request.stage, request.expectedEpoch) },
  );
  setHandler(abandonUpdate, (asked) => runner.end('abandon', asked), { validator: (asked) => runner.expectEnd(asked, 'abandoned') });
  setHandler(cancelUpdate, (asked) => runner.end('cancel', asked), { validator: (asked) => runner.expectEnd(asked, 'cancelled') });
  return runner.run();
}

class Runner {
  state: FrontierState;
  private outline: RunInput['outline'];
  private planHash: string;
  /** Counts the plans adopted. */
  private plans = 0;
  /** Verbs taken that no order has told the ledger of. */
  private readonly untold = new Set<number>();
  private outcome: Outcome | undefined;
  private readonly stages = new CancellationScope();
  /** Orders that were given and have not been answered. */
  private pending = 0;
  /** The acceptance closed the run as well. */
  private closed = false;
  /** An order is out that closes the run: a verb that was taken beside it would come to nothing. */
  private closing = false;

  constructor(private readonly input: RunInput) {
    this.outline = input.outline;
    this.planHash = input.planHash;
    this.state = initialState(input.outline, input.carried);
  }

  async run(): Promise<RunResult> {
    this.dispatch({ type: 'begin' });
    try {
      await condition(() => this.outcome !== undefined);
    } catch (error) {
      if (!isCancellation(error)) throw error;
      // Cancelled from outside Almanac (the Temporal UI): the same path as the verb.
      await CancellationScope.nonCancellable(async () => {
        this.dispatch({ type: 'cancel' });
        await condition(() => this.outcome !== undefined);
      });
    }
    const outcome = this.outcome as Outcome;
    // Every promise of a workflow costs the worker a stack trace: those that say nothing are not made.
    const over = outcome === 'succeeded' && this.closed && this.pending === 0 && allHandlersFinished();
    if (!over) await CancellationScope.nonCancellable(() => this.close(outcome));
    return { outcome };
  }

  private async close(outcome: Outcome): Promise<void> {
    await condition(() => this.pending === 0);
    const task = { ...this.task(), outcome };
    // Closing a stopped run may have to end children first, which takes longer than a workflow task should.
    if (outcome !== 'succeeded') await control.closeRun(task);
    else if (!this.closed)
      await nearbyFirst(
        () => nearby.closeRun(task),
        () => control.closeRun(task),
      );
    await condition(allHandlersFinished);
  }

  dispatch(event: FrontierEvent): VerbAnswer {
    const { state, commands } = step(this.outline, this.state, event);
    this.state = state;
    for (const command of commands) this.execute(command);
    return { held: this.state.held, closed: this.state.closed, woken: wokenHold(this.state), plans: this.plans };
  }

  end(verb: 'abandon' | 'cancel', asked: Asked): VerbAnswer {
    log.info(verb, { who: asked.who, reason: asked.reason });
    this.take(asked);
    return this.dispatch({ type: verb });
  }

  adoptPlan(plan: { readonly hash: string; readonly outline: RunInput['outline'] }): void {
    this.plans += 1;
    this.planHash = plan.hash;
    this.outline = plan.outline;
    this.state = adoptOutline(this.state, plan.outline);
  }

  take({ action }: Asked): void {
    if (action !== undefined) this.untold.add(action);
  }

  /** Refuses a verb whose sender saw an older state; `accept` stands for the acceptance. */
  expect(asked: Asked, stage: string, epoch: number): void {
    this.expectOpen(asked);
    const current = stage === 'accept' ? this.state.acceptanceEpoch : this.state.stages[stage]?.epoch;
    const status = stage === 'accept' ? this.state.acceptance : this.state.stages[stage]?.status;
    if (current === epoch && status === 'running') {
      throw ApplicationFailure.nonRetryable(
        `stage ${stage} is running; it can be asked for when it has failed, or once the run is cancelled`,
        'run.stale',
      );
    }
    if (current === epoch) return;
    throw ApplicationFailure.nonRetryable(
      `stage ${stage} is at order ${current ?? 'none'} (${status ?? 'unknown'}), not ${epoch}`,
      'run.stale',
    );
  }

  expectOpen(asked: Asked): void {
    if (asked.claim !== this.input.claim) throw ApplicationFailure.nonRetryable('the verb was meant for another generation', 'run.stale');
    if (this.state.ending !== undefined) throw ApplicationFailure.nonRetryable(`the run is already ${this.state.ending}`, 'run.stale');
    if (this.closing) throw ApplicationFailure.nonRetryable('the run is being accepted and closed at this moment', 'run.stale');
  }

  /** Ending a run twice in the same way is ending it once; given up is only what is held. */
  expectEnd(asked: Asked, outcome: Outcome): void {
    if (asked.claim === this.input.claim && this.state.ending === outcome) return;
    this.expectOpen(asked);
    if (outcome === 'abandoned' && !this.state.held) {
      throw ApplicationFailure.nonRetryable('is running; abandon gives up a run that is held', 'run.running');
    }
  }

  private execute(command: FrontierCommand): void {
    switch (command.type) {
      case 'start':
        this.startStage(command.stage, command.epoch);
        return;
      case 'accept':
        this.accept(command.epoch);
        return;
      case 'hold':
        this.recordHold(command.number);
        return;
      case 'stop-running':
        this.stages.cancel();
        return;
      case 'close':
        this.outcome = command.outcome;
        return;
    }
  }

  /** Gives an order; what is answered is dispatched by whoever gave it. */
  private order<T>(given: Promise<T>, done: (answer: T) => void, failed?: (error: unknown) => void): void {
    this.pending += 1;
    void given.then(
      (answer) => {
        this.pending -= 1;
        done(answer);
      },
      failed &&
        ((error: unknown) => {
          this.pending -= 1;
          failed(error);
        }),
    );
  }

  private startStage(stage: string, epoch: number): void {
    const { timeoutSeconds = 0, pool, patienceSeconds: declared } = this.outline.find(({ id }) => id === stage) ?? {};
    const patienceSeconds = (this.input.declaredPatience === true ? declared : undefined) ?? this.input.patienceSeconds;
    const runsWithin = timeoutSeconds + patienceSeconds + PLATFORM_RETRY_SECONDS;
    const { runStage } = proxyActivities<StageActivities>({
      taskQueue: this.input.stageQueue,
      startToCloseTimeout: (Math.max(timeoutSeconds, patienceSeconds) + TIMEOUT_GRACE_SECONDS) * 1000,
      ...(pool === undefined
        ? { scheduleToCloseTimeout: runsWithin * 1000 }
        : // It may wait for permits for days, each look of it for a worker as long as any other stage.
          { scheduleToCloseTimeout: (POOL_PATIENCE_SECONDS + runsWithin) * 1000, scheduleToStartTimeout: runsWithin * 1000 }),
      heartbeatTimeout: '10 seconds',
      cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
      retry: { initialInterval: '500 ms', backoffCoefficient: 2, maximumInterval: '30 seconds' },
    });
    const task = { ...this.task(), stage, epoch, patienceSeconds };
    this.order(
      this.stages.run(() => runStage(task)),
      () => {
        this.told(task);
        this.dispatch({ type: 'stage-done', stage, epoch });
      },
      (error) => {
        const failure = toFailureInfo(error, this.input.run, stage);
        if (failure.code === 'run.fenced') this.abandonFenced();
        this.dispatch({ type: 'stage-failed', stage, epoch, failure });
      },
    );
  }

  private accept(epoch: number): void {
    const closes = !this.outline.some(({ kind }) => kind === 'publish');
    const task = this.task();
    this.closing = closes;
    this.order(
      this.stages.run(() =>
        nearbyFirst(
          () => nearby.acceptWindow({ ...task, ...(closes && { closes }) }),
          // That one may take half an hour, with verbs between: it leaves the close to the state they lead to.
          () => {
            this.closing = false;
            return acceptance.acceptWindow(task);
          },
        ),
      ),
      ({ closed = false }) => {
        this.told(task);
        this.closed = closed;
        this.closing = false;
        this.dispatch({ type: 'accepted', epoch });
      },
      (error) => {
        this.closing = false;
        const failure = toFailureInfo(error, this.input.run, 'accept');
        // Builds before held such a run; one that is held so stays as it is.
        if (failure.code === 'run.fenced' && patched('fenced-acceptance-abandons')) this.abandonFenced();
        this.dispatch({ type: 'accept-failed', epoch, failure });
      },
    );
  }

  /** The ledger or the store knows another claim or generation than ours: this execution has no business here and leaves nothing behind. */
  private abandonFenced(): void {
    this.dispatch({ type: 'abandon' });
  }

  /** What the run answers of itself; several long failures would not fit. */
  answer(): StateAnswer {
    const failures = this.failures();
    const stages = Object.entries(this.state.stages).map(
      ([id, stage]) => [id, failures[id] === undefined ? stage : { ...stage, failure: failures[id] }] as const,
    );
    return {
      ...this.state,
      stages: Object.fromEntries(stages),
      claim: this.input.claim,
      ...(failures.accept && { acceptanceFailure: failures.accept }),
    };
  }

  private failures(): Record<string, FailureInfo> {
    const failures: Record<string, FailureInfo> = {};
    for (const [stage, { failure }] of Object.entries(this.state.stages)) if (failure !== undefined) failures[stage] = failure;
    if (this.state.acceptanceFailure !== undefined) failures.accept = this.state.acceptanceFailure;
    return boundedFailures(failures);
  }

  private recordHold(hold: number): void {
    const failures = this.failures();
    log.info('held', { stages: Object.keys(failures) });
    const task = { ...this.task(), hold, failures };
    this.order(
      CancellationScope.nonCancellable(() => control.recordHold(task)),
      () => this.told(task),
    );
  }

  private task(): RunTask {
    const taken = { woken: wokenHold(this.state), plans: this.plans, actions: [...this.untold] };
    return { run: this.input.run, claim: this.input.claim, planHash: this.planHash, taken };
  }

  /** An order was carried out, so the ledger knows what it carried. */
  private told({ taken }: RunTask): void {
    for (const action of taken?.actions ?? []) this.untold.delete(action);
  }
}

/** One try in the workflow task; what fails there, unless for good, gets an activity with its own retries. */
async function nearbyFirst<T>(here: () => Promise<T>, there: () => Promise<T>): Promise<T> {
  try {
    return await here();
  } catch (error) {
    const cause = error instanceof ActivityFailure ? error.cause : error;
    if (isCancellation(error) || (cause instanceof ApplicationFailure && cause.nonRetryable === true)) throw error;
    return there();
  }
}

/** What the activity said, when it could say it; else what Temporal saw. */
function toFailureInfo(error: unknown, run: RunInput['run'], stage: string): FailureInfo {
  const again = retryCommand(run, stage);
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) {
    const info = cause.details?.[0] as FailureInfo | undefined;
    if (info?.code !== undefined) return info;
    return { code: 'internal', class: 'platform', message: cause.message, next: again, details: {} };
  }
  if (cause instanceof TimeoutFailure) {
    return {
      code: 'stage.unreachable',
      class: 'platform',
      message: `stage ${stage}: no worker finished it in ${PLATFORM_RETRY_SECONDS / 60} minutes of retries (${cause.timeoutType})`,
      next: `almanac status shows the workers; then: ${again}`,
      details: {},
    };
  }
  if (cause instanceof CancelledFailure || isCancellation(error)) {
    return { code: 'stage.cancelled', class: 'refused', message: `stage ${stage} was cancelled`, next: again, details: {} };
  }
  return { code: 'internal', class: 'platform', message: String(error), next: again, details: {} };
}
