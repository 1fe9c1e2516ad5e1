import { randomUUID } from 'node:crypto';
import { sha256 } from '../../lib/sha256';
import { canonicalJson } from '../../pipelines/canonical';
import { AlmanacError } from '../../pipelines/failures';
import { formatRun } from '../../pipelines/run-id';
import { liveTables, type LiveTable } from '../../pipelines/publish-sql';
import type { StageOutput, VersionRef } from '../../pipelines/types';
import type { SessionUsage } from '../compute/engine';
import type { StageBody, StageContext } from '../stage';
import type { AcceptedSet } from '../storage/manifest';
import { analyzeParents, attachTables } from './attach-tables';
import { collectPublications } from './collect';
import { assertCurrent } from './fence';
import { flip, readLive, supersedes, type FlipOutcome } from './flip';
import { prepareParents, widenViews } from './live-schema';
import { loadTable } from './load-table';
import { withLockRetries } from './lock-retry';
import {
  advance,
  explainLoss,
  openPublication,
  type OpenPublication,
  type PublicationRequest,
  type TableAudit,
} from './publication-ledger';
import { withPublishSession, type PublishSession } from './publish-session';

/** Told what a publication cost; the workers' metrics listen. */
export interface PublishOptions {
  /** Seconds from the first to the last statement of the flip. */
  readonly flipped?: (pipeline: string, seconds: number) => void;
  /** Seconds one attempt waited for locks, 0 when it met none. */
  readonly waitedForLock?: (pipeline: string, seconds: number) => void;
  /** How long one lock may be waited for before the stage fails with `publish.locked`. */
  readonly lockDeadlineMs?: number;
}

/** Long enough for a report to end, short of the 30 minutes the runner retries anyway. */
const LOCK_DEADLINE_MS = 5 * 60 * 1000;

/** The body of publish stages. Killed anywhere, the next attempt of the same accepted set goes on where this one stood. */
export function createPublishStage(options: PublishOptions = {}): StageBody {
  return (context) =>
    withPublishSession(context.database, context.signal, options.lockDeadlineMs ?? LOCK_DEADLINE_MS, (session) =>
      publish(context, session, options),
    );
}

export const publishStage: StageBody = createPublishStage();

/** Sums of a load. */
export interface PreparedPublication {
  readonly audit: Readonly<Record<string, TableAudit>>;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly usage?: SessionUsage;
}

async function publish(context: StageContext, session: PublishSession, options: PublishOptions): Promise<StageOutput> {
  const { run } = context;
  if (run.branch !== 'main') {
    context.log(`branch ${run.branch} publishes nothing until it is promoted`);
    return output({});
  }
  const request = await publicationRequest(context);
  let open: OpenPublication | undefined;
  try {
    await withLockRetries(session, 'reading the ledger', () => assertCurrent(session, run));
    await prepareParents(session, run.pipeline, request.tables);
    await context.point('parents-prepared');
    open = await withLockRetries(session, 'opening the publication', () => openPublication(session, request));
    await context.point('opened');
    return await goOn(context, session, open, request, options);
  } catch (error) {
    if (context.signal.aborted) throw error;
    if (!(error instanceof AlmanacError)) throw await explainLoss(session, request, error);
    // Bad rows stay bad: the next try loads a corrected version, or this one anew.
    if (open !== undefined && (error.class === 'data' || error.code === 'publish.audit-failed'))
      await recordFailed(context, session, open, error);
    throw error;
  }
}

/** The rows are what the operator must hear of; a publication that could not be marked is loaded and refused again, or taken over. */
async function recordFailed(context: StageContext, session: PublishSession, open: OpenPublication, { code }: AlmanacError): Promise<void> {
  try {
    await advance(session, open, 'failed', context.clock.now(), { detail: { code } });
  } catch (error) {
    context.log(`publication ${open.id} could not be recorded as failed: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function goOn(
  context: StageContext,
  session: PublishSession,
  open: OpenPublication,
  request: PublicationRequest,
  options: PublishOptions,
): Promise<StageOutput> {
  const { run } = context;
  const place = { window: run.window, windowEnd: request.windowEnd, acceptedSequence: request.acceptedSequence };
  if (isFinal(open)) {
    context.log(
      `publication ${open.id} of this accepted set is ${open.state} already${open.state === 'withdrawn' ? '; only a new accepted set or another restore brings it back' : ''}`,
    );
    await collect(context, session);
    return output({ open, adopted: true, audit: open.audit ?? {} });
  }
  const live = await readLive(session, run.pipeline);
  if (live !== undefined && supersedes(live, place)) {
    await advance(session, open, 'superseded', context.clock.now(), { detail: { by: live.id } });
    context.log(`publication ${open.id} is superseded: publication ${live.id} of window ${live.window} is live`);
    return output({ open });
  }
  const stoppable = { ...context, point: stoppablePoint(context) };
  const prepared = await preparePublication(stoppable, session, open, request.tables);
  const flipped = await flip(session, open, {
    ...place,
    run,
    tables: request.tables,
    point: stoppable.point,
    now: () => context.clock.now(),
  });
  await context.point('flipped');
  report(context, session, open, prepared, flipped, options);
  await collect(context, session);
  return output({ open, ...prepared });
}

/** Until the flip is committed a stop undoes everything; after it there is nothing to stop. */
function stoppablePoint({ signal, point }: StageContext): StageContext['point'] {
  return async (name) => {
    await point(name);
    signal.throwIfAborted();
  };
}

/** Loads, audits, attaches: everything readers do not notice. Leaves the publication `attached`. */
export async function preparePublication(
  context: StageContext,
  session: PublishSession,
  open: OpenPublication,
  tables: readonly LiveTable[],
): Promise<PreparedPublication> {
  const { point } = context;
  const names = tables.map(({ name }) => name);
  let prepared: PreparedPublication = { audit: open.audit ?? {}, bytesIn: 0, bytesOut: 0 };
  if (open.state === 'loading') {
    prepared = await load(context, session, open, tables);
    await advance(session, open, 'loaded', context.clock.now(), { audit: prepared.audit });
    await point('loaded');
  }
  await attachTables(session, open, names, point);
  await analyzeParents(session, names, point);
  if (open.state !== 'attached') await advance(session, open, 'attached', context.clock.now());
  await point('attached');
  await widenViews(session, open.pipeline, tables);
  await point('views-widened');
  return prepared;
}

async function load(
  context: StageContext,
  session: PublishSession,
  open: OpenPublication,
  tables: readonly LiveTable[],
): Promise<PreparedPublication> {
  return context.engine.session(context.limits, context.signal, async (engine) => {
    context.computing(engine.child);
    const audit: Record<string, TableAudit> = {};
    let bytesIn = 0;
    let bytesOut = 0;
    for (const table of tables) {
      const manifest = await context.datasets.manifest(inputOf(context, table));
      const { rows, checksum, bytes } = await loadTable(context, session, engine, open, table, manifest);
      audit[table.name] = { rows, checksum };
      bytesIn += manifest.bytes;
      bytesOut += bytes;
    }
    return { audit, bytesIn, bytesOut, usage: await engine.usage() };
  });
}

function inputOf(context: StageContext, table: LiveTable): VersionRef {
  const version = context.inputs[table.from];
  if (version !== undefined) return version;
  throw notAccepted(context, `the run wrote no version of ${table.from}`);
}

/** Asks the store what is accepted: nothing else is published. Throws `publish.not-accepted`. */
export async function publicationRequest(context: StageContext): Promise<PublicationRequest> {
  const { run, stage, plan, window } = context;
  if (stage.spec.kind !== 'publish')
    throw new AlmanacError('internal', `stage ${stage.id} is of kind ${stage.spec.kind}, not publish`, { next: 'almanac validate' });
  const others = plan.stages.filter(({ kind, id }) => kind === 'publish' && id !== stage.id);
  if (others[0] !== undefined) {
    throw new AlmanacError(
      'pipeline.invalid',
      `pipeline ${run.pipeline} has two publish stages, ${stage.id} and ${others[0].id}: its tables could not go live together`,
      {
        next: 'declare all live tables in one publish stage, then almanac validate',
      },
    );
  }
  const tables = liveTables(run.pipeline, stage.spec, plan.datasets);
  const accepted = await context.datasets.accepted(run.pipeline, run.branch, run.window);
  if (accepted === undefined) throw notAccepted(context, 'the window has no accepted set');
  const versions = Object.fromEntries(tables.map((table) => [table.name, acceptedVersion(context, accepted, table)]));
  const content = sha256(canonicalJson({ tables, versions }));
  const gates = Object.fromEntries(Object.entries(accepted.gates).map(([id, status]) => [id, context.outputs[id]?.gate ?? { status }]));
  return {
    run,
    stage: stage.id,
    attempt: context.attempt,
    windowEnd: window.end,
    acceptedSequence: accepted.sequence,
    content,
    gates,
    versions,
    tables,
    fence: randomUUID(),
    now: context.clock.now(),
  };
}

function acceptedVersion(context: StageContext, accepted: AcceptedSet, table: LiveTable): VersionRef {
  const input = inputOf(context, table);
  const found = accepted.versions.find(({ dataset }) => dataset === table.from);
  if (found?.version === input.version) return found;
  throw notAccepted(
    context,
    `version ${input.version} of ${table.from} is not in accepted set ${accepted.sequence} of ${formatRun(accepted.run)}#${accepted.run.generation}`,
  );
}

function notAccepted({ run, stage }: StageContext, why: string): AlmanacError {
  const name = `${run.pipeline}/${run.window}`;
  return new AlmanacError('publish.not-accepted', `${name}, stage ${stage.id}: ${why}`, { next: `almanac show ${name}`, details: { run } });
}

function isFinal({ state }: OpenPublication): boolean {
  return state !== 'loading' && state !== 'loaded' && state !== 'attached';
}

function report(
  context: StageContext,
  session: PublishSession,
  open: OpenPublication,
  prepared: PreparedPublication,
  flipped: FlipOutcome,
  options: PublishOptions,
): void {
  if (flipped.outcome === 'superseded') {
    context.log(`publication ${open.id} is superseded: publication ${flipped.by.id} of window ${flipped.by.window} went live meanwhile`);
    return;
  }
  const tables = Object.entries(prepared.audit).map(([table, { rows }]) => `${table} ${rows} rows`);
  context.log(
    `publication ${open.id} is live, replacing ${flipped.previous ?? 'nothing'}: ${tables.join(', ')}; ` +
      `flip ${flipped.seconds.toFixed(3)} s, lock wait ${session.lockWaitSeconds.toFixed(3)} s`,
  );
  options.flipped?.(open.pipeline, flipped.seconds);
  options.waitedForLock?.(open.pipeline, session.lockWaitSeconds);
}

/** What is left for the next collection harms nobody, so its failure is a line of the log. */
async function collect(context: StageContext, session: PublishSession): Promise<void> {
  if (context.signal.aborted) return;
  try {
    const report = await collectPublications(session, {
      pipeline: context.run.pipeline,
      point: context.point,
      now: () => context.clock.now(),
    });
    if (report.collected.length > 0) context.log(`collected publications ${report.collected.join(', ')}`);
    for (const { publication, why } of report.kept) context.log(`publication ${publication} is kept: ${why}`);
  } catch (error) {
    context.log(`old publications are left for the next collection: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function output(parts: {
  open?: OpenPublication;
  adopted?: boolean;
  audit?: Readonly<Record<string, TableAudit>>;
  bytesIn?: number;
  bytesOut?: number;
  usage?: SessionUsage;
}): StageOutput {
  const rows = Object.values(parts.audit ?? {}).reduce((sum, table) => sum + table.rows, 0);
  return {
    versions: [],
    rowsIn: rows,
    rowsOut: rows,
    bytesIn: parts.bytesIn ?? 0,
    bytesOut: parts.bytesOut ?? 0,
    ...(parts.open === undefined ? {} : { publication: parts.open.id }),
    ...(parts.adopted === true ? { adopted: true } : {}),
    ...(parts.usage === undefined ? {} : { cpuSeconds: parts.usage.cpuSeconds, peakMemoryBytes: parts.usage.peakMemoryBytes }),
  };
}
