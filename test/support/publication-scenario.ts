import { collectPublications } from '../../activities/publish/collect';
import { prepareParents } from '../../activities/publish/live-schema';
import { advance, openPublication } from '../../activities/publish/publication-ledger';
import { withPublishSession } from '../../activities/publish/publish-session';
import { preparePublication, publicationRequest, publishStage } from '../../activities/publish/publish-stage';
import type { StageContext } from '../../activities/stage';
import { createPublishing, day, stampedRows } from './publishing';
import { startReaders, type HeldTransaction, type ReadersReport, type SnapshotSession } from './readers';

export interface ScenarioOptions {
  readonly databaseUrl: string;
  readonly publications: number;
  readonly readers: number;
  readonly queriesPerSecond: number;
  readonly pixels: number;
  readonly segments: number;
}

export interface ScenarioReport extends ReadersReport {
  readonly publications: number;
  /** Publications whose tables were dropped while the readers ran. */
  readonly collected: number;
  readonly seconds: number;
  /** 99th percentile while publishing, by that while only loading and attaching. */
  readonly p99Ratio: number;
}

/** A transaction that stays open over ten publications, then none for ten. */
const LONG_EVERY = 20;
const LONG_LASTS = 10;
/** REPEATABLE READ sessions begin before one flip in ten and read again after six more, collections included. */
const SNAPSHOT_EVERY = 10;
const SNAPSHOT_LASTS = 6;
const LOCK_DEADLINE_MS = 60_000;

/**
 * Publishes under readers. Each publication alternates with a control: the same COPY, index, analyze and attach of
 * another window, which is never flipped to and dropped again. Beside them a long transaction and REPEATABLE READ sessions.
 */
export async function publishUnderReaders(
  options: ScenarioOptions,
  progress: (publication: number) => void = () => undefined,
): Promise<ScenarioReport> {
  await using publishing = createPublishing({ databaseUrl: options.databaseUrl });
  const rows = (stamp: number): ReturnType<typeof stampedRows> => stampedRows(stamp, options.pixels, options.segments);
  await publishing.publish(publishStage, await publishing.accept(day(0), rows(0)));
  const readers = await startReaders({ ...options, rowsPerPixel: options.segments });
  const begun = performance.now();
  let snapshot: SnapshotSession | undefined;
  let held: HeldTransaction | undefined;
  try {
    for (let i = 1; i <= options.publications; i++) {
      const control = await publishing.accept(day(2 * i + 1), rows(-i));
      const accepted = await publishing.accept(day(2 * i), rows(i));
      if (i % LONG_EVERY === 1) held = readers.holdTransaction(Number.POSITIVE_INFINITY);
      if (i % SNAPSHOT_EVERY === 1) snapshot = await readers.snapshot(i % (2 * SNAPSHOT_EVERY) === 1);
      // Which of the two comes first alternates, so that neither always follows the pause between.
      const arms = [
        ['flip', () => publishing.publish(publishStage, accepted)],
        ['control', () => loadWithoutFlip(publishing.context(control))],
      ] as const;
      for (const [name, run] of i % 2 === 0 ? arms : [...arms].reverse()) {
        readers.arm(name);
        await run();
      }
      readers.arm('between');
      if (i % SNAPSHOT_EVERY === SNAPSHOT_LASTS + 1) {
        await snapshot?.readAgain();
        snapshot = undefined;
      }
      if (i % LONG_EVERY === LONG_LASTS) await held?.end();
      progress(i);
    }
    await snapshot?.readAgain();
  } catch (error) {
    await readers.stop();
    throw error;
  }
  const report = await readers.stop();
  const collected = await publishing.pool.query<{ n: number }>(
    `select count(*)::int as n from almanac.publication where state = 'collected'`,
  );
  return {
    ...report,
    publications: options.publications,
    collected: collected.rows[0]?.n ?? 0,
    seconds: (performance.now() - begun) / 1000,
    p99Ratio: (report.arms.flip?.p99 ?? Number.NaN) / (report.arms.control?.p99 ?? Number.NaN),
  };
}

/** Everything a publication does but the flip. */
async function loadWithoutFlip(context: StageContext): Promise<void> {
  const { run, point, signal } = context;
  const now = (): Date => context.clock.now();
  await withPublishSession(context.database, signal, LOCK_DEADLINE_MS, async (session) => {
    const request = await publicationRequest(context);
    await prepareParents(session, run.pipeline, request.tables);
    const open = await openPublication(session, request);
    await preparePublication(context, session, open, request.tables);
    await advance(session, open, 'failed', now(), { detail: { why: 'control arm' } });
    await collectPublications(session, { pipeline: run.pipeline, point, now }).catch((error: unknown) => context.log(String(error)));
  });
}
