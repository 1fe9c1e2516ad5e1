import { randomUUID } from 'node:crypto';
import { claimRun, latestRun, readRun, storePlan, storeTexts, type RunClaim, type RunRow } from '../../activities/ledger/runs';
import { planReader } from '../../activities/ledger/plans';
import type { KnownGenerations } from '../../activities/storage/dataset-store';
import { AlmanacError } from '../../pipelines/failures';
import { formatRun, MAIN_BRANCH, type RunAddress } from '../../pipelines/run-id';
import { RUN_STATES } from '../../pipelines/status';
import type { EngineName, ParamValue, Plan, RunRef } from '../../pipelines/types';
import { isOver, parseWindow } from '../../pipelines/window';
import { transaction } from '../../lib/postgres';
import { queueNames, type StageQueue } from '../../lib/queues';
import { installPoolsOf } from '../pools';
import { requireReason } from '../reason';
import { builtOn } from '../stale';
import type { OperatorSession } from '../session';
import { claimOrigin, startOfChain } from './chain';
import { startExecution } from './execution';
import { claimUnder } from './head';
import { retryRun } from './retry';

export interface RunRequest {
  readonly pipeline: string;
  readonly window: string;
  /** Default `main`. */
  readonly branch?: string | undefined;
  /** Computes state from all landing data instead of the window before. */
  readonly bootstrap?: boolean | undefined;
  /** Makes a new generation of an accepted or closed window. */
  readonly again?: boolean | undefined;
  readonly params?: Readonly<Record<string, ParamValue>> | undefined;
  /** Computes every stage that computes; default: what each declares. */
  readonly engine?: EngineName | undefined;
  /** Seconds to wait for data and conditions that are not there yet. Default 0: refused at once. */
  readonly patienceSeconds?: number | undefined;
  /** Stages that declare a patience wait that long instead. Default false: only the schedule asks for it. */
  readonly declaredPatience?: boolean | undefined;
  readonly reason?: string | undefined;
  /** Runs this plan, whose texts are stored, instead of the project's code of today: what a schedule installed. */
  readonly plan?: Plan | undefined;
  /** Default: the person at the terminal. */
  readonly who?: string | undefined;
  /** Where its stages run. Default: `live`. */
  readonly queue?: StageQueue | undefined;
}

export interface RunAnswer {
  readonly run: RunRef;
  /** What this call did; `accepted` means there was nothing to do. */
  readonly did: 'started' | 'attached' | 'retried' | 'accepted';
  /** Set when only the store knows that the window is accepted: the ledger has lost the run. */
  readonly ledgerLost?: true;
  readonly origin: boolean;
  /** Accepted windows that were built on what a new generation replaces. */
  readonly builtOn?: readonly RunAddress[];
  /** Params asked for that the run does not have: only a new generation takes them. */
  readonly unusedParams?: readonly string[];
  /** The engine asked for, where the run has another or none: as params. */
  readonly unusedEngine?: EngineName;
}

/** The idempotent `run`: accepted → says so; open → attaches; held by the platform → retries; else the failure itself. */
export async function startRun(session: OperatorSession, request: RunRequest): Promise<RunAnswer> {
  const { database, clock, config } = session;
  const reason = request.reason === undefined ? undefined : requireReason(request.reason, 'run');
  const { plan, texts } = await codeOf(session, request);
  const window = parseWindow(plan.window, request.window);
  if (!isOver(window, clock.now())) {
    throw new AlmanacError('window.open', `${request.pipeline}/${window.key} ends at ${window.end}; its data are not complete`, {
      next: `run it after ${window.end}`,
    });
  }
  const branch = request.branch ?? MAIN_BRANCH;
  const under = await claimUnder(session, { pipeline: request.pipeline, window: window.key, branch });
  // The store first: what it names and the ledger does not know after that, the ledger has lost.
  const stored = await session.datasets.generations(request.pipeline, branch, window.key);
  const latest = await latestRun(database, request.pipeline, window.key, branch);
  const lost = acceptedWithoutLedger(stored, latest, request);
  if (lost !== undefined) return lost;
  if (latest !== undefined) {
    const settled = await settle(session, latest, request);
    if (settled !== undefined) return { ...settled, ...(await unused(session, latest, plan, request)) };
  }
  const run: RunRef = {
    pipeline: request.pipeline,
    window: window.key,
    branch,
    generation: Math.max(latest?.run.generation ?? 0, stored.highest) + 1,
  };
  const bootstrap = request.bootstrap === true;
  const chain = { database, datasets: session.datasets, plan, branch };
  const { pins, origin, pinsTainted } = await startOfChain(chain, window.key, bootstrap);
  const later = run.generation === 1 ? [] : await builtOn(database, run);
  const claim = randomUUID();
  const verb = run.generation === 1 ? 'run' : 'run --again';
  if (texts !== undefined) {
    await storeTexts(database, texts);
    await storePlan(database, plan);
    await installPoolsOf(session, plan);
  }
  const claimed: RunClaim = {
    run,
    claim,
    planHash: plan.hash,
    pins,
    bootstrap,
    origin,
    pinsTainted,
    matrix: {
      code: 'latest',
      inputs: 'latest',
      params: request.params ?? {},
      ...(plan.engine === undefined ? {} : { engine: plan.engine }),
      patienceSeconds: request.patienceSeconds ?? 0,
      ...under,
      ...(request.declaredPatience === true ? { declaredPatience: true } : {}),
      ...(request.queue === undefined ? {} : { queue: request.queue }),
    },
    verb,
    who: request.who ?? config.actor,
    reason,
    detail: { planHash: plan.hash, origin },
    now: clock.now(),
  };
  const won = origin
    ? await transaction(database, async (client) => {
        await claimOrigin({ ...chain, database: client }, window.key, bootstrap);
        return claimRun(client, claimed);
      })
    : await claimRun(database, claimed);
  if (!won) {
    const other = await readRun(database, run);
    if (other === undefined) throw new AlmanacError('internal', `the claim of ${formatRun(run)} was lost`, { next: 'almanac run again' });
    const settled = await settle(session, other, request);
    if (settled === undefined) throw stale(other, 'somebody faster made a new generation, and it ended');
    return { ...settled, ...(await unused(session, other, plan, request)) };
  }
  await startExecution(await session.temporal(), queueNames(config, request.queue), { run, claim, planHash: plan.hash }, plan, [], {
    seconds: request.patienceSeconds ?? 0,
    declared: request.declaredPatience === true,
  });
  return { run, did: 'started', origin, ...(run.generation === 1 ? {} : { builtOn: later }) };
}

/** The plan asked for, stored before; else that of the project's code with its texts. */
async function codeOf(session: OperatorSession, request: RunRequest): Promise<{ plan: Plan; texts?: ReadonlyMap<string, string> }> {
  if (request.plan !== undefined) return { plan: request.plan };
  const pipeline = (await session.project()).pipeline(request.pipeline);
  return { plan: pipeline.plan(request.params, request.engine), texts: pipeline.texts };
}

/** What is current stays so without the ledger: an accepted set that it does not know is as good an answer as one it knows. */
function acceptedWithoutLedger({ accepted }: KnownGenerations, latest: RunRow | undefined, request: RunRequest): RunAnswer | undefined {
  if (accepted === undefined || request.again === true || accepted.run.generation <= (latest?.run.generation ?? 0)) return undefined;
  if (latest !== undefined && RUN_STATES[latest.state].open) return undefined;
  return { run: accepted.run, did: 'accepted', origin: accepted.origin === true, ledgerLost: true };
}

async function unused(session: OperatorSession, row: RunRow, wanted: Plan, request: RunRequest): Promise<Partial<RunAnswer>> {
  const asked = Object.keys(request.params ?? {});
  if (asked.length === 0 && request.engine === undefined) return {};
  const { params, engine } = await planReader(session.database)(row.planHash);
  const unusedParams = asked.filter((name) => params[name] !== wanted.params[name]);
  return {
    ...(unusedParams.length === 0 ? {} : { unusedParams }),
    ...(request.engine === undefined || request.engine === engine ? {} : { unusedEngine: request.engine }),
  };
}

/** What an earlier generation already answers; undefined when a new one is to be made. */
async function settle(session: OperatorSession, latest: RunRow, request: RunRequest): Promise<RunAnswer | undefined> {
  const name = formatRun(latest.run);
  if (RUN_STATES[latest.state].open) {
    if (request.again === true) {
      throw new AlmanacError('run.stale', `${name} is ${latest.state}; a new generation needs the open one to end`, {
        next: `almanac cancel ${name} --reason …, or leave --again out to attach`,
      });
    }
    return attach(session, latest, request);
  }
  if (request.again === true) return undefined;
  if (latest.state === 'succeeded') return { run: latest.run, did: 'accepted', origin: latest.origin };
  throw new AlmanacError('run.closed', `${name} ended as ${latest.state}`, {
    next: `almanac retry ${name} --reason … goes on where it stopped; almanac run ${latest.run.pipeline} --window ${latest.run.window} --again starts over`,
  });
}

async function attach(session: OperatorSession, row: RunRow, request: RunRequest): Promise<RunAnswer> {
  if (row.state === 'claimed') {
    // The claimer may have died between the claim and the start; starting twice is the same as once.
    const carried = Array.isArray(row.matrix.carried) ? (row.matrix.carried as string[]) : [];
    const seconds = Number(row.matrix.patienceSeconds ?? request.patienceSeconds ?? 0);
    const patience = { seconds, declared: row.matrix.declaredPatience === true };
    const queues = queueNames(session.config, row.matrix.queue === 'backfill' ? 'backfill' : 'live');
    const plan = await planReader(session.database)(row.planHash);
    await startExecution(await session.temporal(), queues, row, plan, carried, patience);
  }
  if (row.state !== 'held') return { run: row.run, did: 'attached', origin: row.origin };
  const [stage, failure] = Object.entries(row.failure ?? {})[0] ?? ['', undefined];
  if (failure === undefined) return { run: row.run, did: 'attached', origin: row.origin };
  if (failure.class === 'platform') {
    const stages = Object.entries(row.failure ?? {}).flatMap(([id, { class: failureClass }]) => (failureClass === 'platform' ? [id] : []));
    return retryHeld(session, row, stages, request);
  }
  throw new AlmanacError(failure.code, `${formatRun(row.run)} is held at stage ${stage}: ${failure.message}`, {
    next: `mend it, then: almanac retry ${formatRun(row.run)} --stage ${stage} --reason …`,
    details: failure.details,
  });
}

/** Of several who run it, one retries what is held; the others get the run as that one left it. */
async function retryHeld(session: OperatorSession, row: RunRow, stages: readonly string[], request: RunRequest): Promise<RunAnswer> {
  const { pipeline, window, branch } = row.run;
  const reason = 'run again after a platform failure';
  try {
    const { run } = await retryRun(session, { address: row.run, stages, reason, inputs: 'pinned', onlyHeld: true, who: request.who });
    return { run, did: 'retried', origin: row.origin };
  } catch (error) {
    if (!(error instanceof AlmanacError) || error.code !== 'run.stale') throw error;
    const now = await latestRun(session.database, pipeline, window, branch);
    if (now === undefined || now.state === 'held') throw error;
    const settled = await settle(session, now, request);
    if (settled === undefined) throw error;
    return settled;
  }
}

function stale({ run, state }: RunRow, why: string): AlmanacError {
  return new AlmanacError('run.stale', `${formatRun(run)}: ${why}; generation ${run.generation} is ${state}`, {
    next: `almanac show ${formatRun(run)}`,
  });
}
