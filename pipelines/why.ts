/** Pure: one line on what a run waits for, since when, and the next command. */
import type { FailureInfo } from './failures';
import type { AttemptState, RunState } from './status';
import type { StageOutline } from './types';

export interface WhyRun {
  /** As people type it. */
  readonly name: string;
  readonly pipeline: string;
  readonly window: string;
  readonly state: RunState;
  readonly failure: Readonly<Record<string, FailureInfo>> | null;
  /** ISO instants. */
  readonly claimedAt: string;
  readonly changedAt: string;
  readonly endedAt: string | null;
  /** What of it is tried and fails, beside its stages. */
  readonly failing?: FailingOrder | undefined;
}

/** An order of a run that is no stage's, tried again after it failed. */
export interface FailingOrder {
  readonly order: 'its acceptance' | 'its hold to be recorded' | 'its close';
  /** That failed. */
  readonly tries: number;
  readonly code: string;
  readonly message: string;
  readonly next: string | null;
}

export interface WhyAttempt {
  readonly stage: string;
  readonly attempt: number;
  readonly state: AttemptState;
  readonly worker: string | null;
  readonly failure: FailureInfo | null;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly waitingSince: string | null;
  readonly waitsUntil: string | null;
  readonly polls: number;
  readonly publication?: number | undefined;
  /** Its place in the line when it waits for permits. */
  readonly permits?: PermitWait | undefined;
}

/** A stage in the line of a pool. */
export interface PermitWait {
  readonly stage: string;
  readonly pool: string;
  readonly permits: number;
  /** Permits the pool has. */
  readonly size: number;
  /** From 1. */
  readonly position: number;
  readonly of: number;
  /** When it asked, an ISO instant. */
  readonly since: string;
  /** Since when its turn has come and it waits for a place of its worker, an ISO instant. */
  readonly placeSince: string | null;
  /** Longest first; `since` is an ISO instant. */
  readonly holders: readonly { readonly run: string; readonly stage: string; readonly since: string }[];
}

/** A verb on record for the generation. */
export interface WhyVerb {
  readonly verb: string;
  readonly stage: string | null;
  readonly who: string;
  readonly at: string;
  readonly state: 'intended' | 'done' | 'refused';
}

export interface Why {
  readonly waitsFor: string;
  readonly since: string;
  readonly next: string | null;
}

export function why(run: WhyRun, stages: readonly StageOutline[], attempts: readonly WhyAttempt[], verbs: readonly WhyVerb[] = []): Why {
  const answer = whyOf(run, stages, attempts);
  if (run.endedAt !== null) return answer;
  const open = verbs
    .filter(({ state }) => state === 'intended')
    .map(
      ({ verb, stage, who, at }) => `; whether ${verb}${stage === null ? '' : ` ${stage}`} of ${who} (${at}) was taken is not known yet`,
    );
  return { ...answer, waitsFor: answer.waitsFor + open.join('') };
}

function whyOf(run: WhyRun, stages: readonly StageOutline[], attempts: readonly WhyAttempt[]): Why {
  const newest = new Map<string, WhyAttempt>();
  for (const attempt of attempts) if ((newest.get(attempt.stage)?.attempt ?? -1) < attempt.attempt) newest.set(attempt.stage, attempt);
  switch (run.state) {
    case 'claimed':
      return { waitsFor: 'a control worker to take it', since: run.claimedAt, next: `almanac run ${run.pipeline} --window ${run.window}` };
    case 'held':
      return whyHeld(run);
    case 'running':
      return whyRunning(run, stages, newest);
    case 'succeeded': {
      const publication = [...newest.values()].find((attempt) => attempt.publication !== undefined)?.publication;
      return {
        waitsFor: `nothing: it succeeded${publication === undefined ? '' : `; its publication was ${publication}`}`,
        since: run.endedAt ?? run.changedAt,
        next: null,
      };
    }
    case 'abandoned':
    case 'cancelled':
    case 'lost':
      return {
        waitsFor: `nothing: it was ${run.state}`,
        since: run.endedAt ?? run.changedAt,
        next: `almanac retry ${run.name} --reason …`,
      };
  }
}

function whyHeld(run: WhyRun): Why {
  const failures = Object.entries(run.failure ?? {});
  const [stage, failure] = failures[0] ?? ['', undefined];
  const others = failures.length > 1 ? ` (and ${failures.length - 1} more)` : '';
  return {
    waitsFor:
      failure === undefined
        ? 'an operator'
        : `an operator: stage ${stage}${others} failed with ${failure.code}: ${unended(failure.message)}`,
    since: run.changedAt,
    next: `almanac retry ${run.name}${stage === '' ? '' : ` --stage ${stage}`} --reason …`,
  };
}

/** A sentence that another clause follows. */
function unended(message: string): string {
  return message.replace(/\.$/, '');
}

/**
 * `a permit of pool warehouse for stage load (position 3 of 7, held by plays/2026-01-02 load since … and 1 more)`, or what it waits
 * for when its turn has come: who holds permits is not what it waits for then.
 */
function permitText({ stage, pool, permits, size, position, of, placeSince, holders }: PermitWait, worker: string | null): string {
  if (placeSince !== null) {
    const turn = `its turn for ${permits === 1 ? 'a permit' : `${permits} permits`} of pool ${pool} came ${placeSince}`;
    return `a place on ${worker ?? 'a worker'} for stage ${stage} (${turn})`;
  }
  const [first, ...others] = holders;
  const more = others.length === 0 ? '' : ` and ${others.length} more`;
  const facts = [
    `position ${position} of ${of}`,
    ...(first === undefined ? [] : [`held by ${first.run} ${first.stage} since ${first.since}${more}`]),
    ...(size === 0 ? ['the pool is closed'] : permits > size ? [`the pool has ${size}`] : []),
  ];
  return `${permits === 1 ? 'a permit' : `${permits} permits`} of pool ${pool} for stage ${stage} (${facts.join(', ')})`;
}

/** What one stage waits for and until when; the failure says what is missing and where. */
function waitText({ stage, worker, failure, waitsUntil, polls, permits }: WhyAttempt): string {
  if (permits !== undefined) return permitText(permits, worker);
  const missing = failure === null ? '' : `, ${failure.code}: ${unended(failure.message)}`;
  return `the data of stage ${stage} until ${waitsUntil ?? 'its patience is over'} (looked ${polls === 1 ? 'once' : `${polls} times`}${missing})`;
}

function whyRunning(run: WhyRun, stages: readonly StageOutline[], newest: ReadonlyMap<string, WhyAttempt>): Why {
  // One that looks whether it is its turn runs for that moment only.
  const waits = ({ state, permits }: WhyAttempt): boolean => state === 'waiting' || permits !== undefined;
  const waiting = [...newest.values()].filter(waits);
  const patient = waiting.map(waitText).join('; ');
  const current = [...newest.values()].filter((attempt) => attempt.state === 'running' && !waits(attempt));
  const first = current[0];
  if (first !== undefined) {
    const names = current.map(({ stage, attempt }) => (attempt === 1 ? stage : `${stage} (attempt ${attempt})`)).join(', ');
    return {
      waitsFor: `stage ${names} on ${first.worker ?? 'a worker'}${patient === '' ? '' : `; ${patient}`}`,
      since: first.startedAt,
      next: `almanac logs ${run.name} ${first.stage}`,
    };
  }
  if (waiting[0] !== undefined) {
    return {
      waitsFor: patient,
      since: waiting[0].permits?.since ?? waiting[0].waitingSince ?? waiting[0].startedAt,
      next:
        waiting[0].permits === undefined
          ? `nothing once that is mended, it goes on by itself; almanac cancel ${run.name} --reason … ends the wait`
          : waiting[0].permits.placeSince === null
            ? `almanac pool show ${waiting[0].permits.pool}`
            : 'almanac status',
    };
  }
  const retrying = [...newest.values()].find(({ state }) => state === 'failed' || state === 'lost');
  if (retrying !== undefined) {
    const reason = retrying.failure === null ? 'its worker was lost' : `${retrying.failure.code}: ${retrying.failure.message}`;
    return {
      waitsFor: `the next try of stage ${retrying.stage} (${reason})`,
      since: retrying.endedAt ?? retrying.startedAt,
      next: 'almanac status',
    };
  }
  if (run.failing !== undefined) {
    const { order, tries, code, message, next } = run.failing;
    const failed = tries === 1 ? 'tried once and failed' : `tried ${tries} times and failed`;
    return {
      waitsFor: `${order}, ${failed}, last with ${code}: ${unended(message)}`,
      since: run.changedAt,
      next: next ?? 'almanac status',
    };
  }
  const ready = stages.filter(({ id, needs }) => !newest.has(id) && needs.every((need) => newest.has(need))).map(({ id }) => id);
  return {
    waitsFor: ready.length === 0 ? 'its acceptance' : `a place for stage ${ready.join(', ')}`,
    since: run.changedAt,
    next: 'almanac status',
  };
}
