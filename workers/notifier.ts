import type pg from 'pg';
import { addressNotices, endDelivery, pruneNotices, registerHook, takeNotices, type TakenNotice } from '../activities/ledger/notices';
import type { Clock } from '../lib/clock';
import type { Logger } from '../lib/log';
import { noticeMessage, type Hooks, type HookSpec } from '../pipelines/notify';
import { periodically } from './periodic';
import { sendNotice, SEND_TIMEOUT_MS, type SendContext } from './send-notice';

const EVERY_MS = 2000;
const PRUNE_EVERY_MS = 3_600_000;
/** Notices of one hook that are sent one after the other before the outbox is looked at again. */
const BATCH = 5;
/** Longer than a batch can take: who died while sending loses it only then. */
const LEASE_SECONDS = (2 * BATCH * SEND_TIMEOUT_MS) / 1000;
const FIRST_RETRY_MS = 5_000;
const LONGEST_RETRY_MS = 15 * 60_000;
/** A hook that does not take a notice so long never gets it. */
const GIVE_UP_MS = 3 * 86_400_000;

/** A project's hooks, and where its commands run. */
export interface ProjectHooks {
  readonly directory: string;
  readonly hooks: Hooks;
}

export interface Notifier {
  readonly database: pg.Pool;
  readonly clock: Clock;
  readonly log: Logger;
  readonly environment: SendContext['environment'];
  /** Read until it succeeds once: a worker learns of changed hooks when it is started anew. */
  readonly project: () => Promise<ProjectHooks>;
}

/**
 * Sends the notices of the outbox to the hooks, each at least once, until `signal` aborts. Many control workers may do so beside each
 * other. What cannot be sent is tried again, from 5 seconds on up to 15 minutes, for three days.
 */
export async function sendNotices(notifier: Notifier, signal: AbortSignal, everyMs = EVERY_MS): Promise<void> {
  const { database, clock, log } = notifier;
  let known: ProjectHooks | undefined;
  let pruned = -Infinity;
  let told = '';
  const failed = (error: unknown): void => {
    if (told !== String(error)) log.warn({ error: String(error) }, 'notices could not be sent; they stay in the outbox');
    told = String(error);
  };
  const busy = new Map<string, Promise<void>>();
  await periodically(
    everyMs,
    signal,
    async () => {
      known ??= await registered(notifier);
      const context = { directory: known.directory, environment: notifier.environment, signal };
      // Each at its own pace: one that does not answer keeps no other waiting.
      for (const [name, spec] of Object.entries(known.hooks)) {
        if (busy.has(name)) continue;
        const round = tellHook(notifier, name, spec, context).then(() => void (told = ''), failed);
        busy.set(
          name,
          round.finally(() => busy.delete(name)),
        );
      }
      if (performance.now() - pruned > PRUNE_EVERY_MS) {
        await pruneNotices(database, clock.now());
        pruned = performance.now();
      }
    },
    failed,
  );
  await Promise.all(busy.values());
}

async function registered({ project, database, clock }: Notifier): Promise<ProjectHooks> {
  const found = await project();
  for (const name of Object.keys(found.hooks)) await registerHook(database, name, clock.now());
  return found;
}

async function tellHook(notifier: Notifier, name: string, spec: HookSpec, context: SendContext): Promise<void> {
  const { database, clock } = notifier;
  await addressNotices(database, name, spec, clock.now());
  for (const taken of await takeNotices(database, name, BATCH, LEASE_SECONDS, clock.now()))
    await tell(notifier, name, spec, taken, context);
}

async function tell(
  { database, clock, log }: Notifier,
  name: string,
  spec: HookSpec,
  { notice, tries }: TakenNotice,
  context: SendContext,
): Promise<void> {
  try {
    await sendNotice(spec, noticeMessage(notice), context);
  } catch (error) {
    const now = clock.now();
    const text = error instanceof Error ? error.message : String(error);
    const givenUp = now.getTime() - Date.parse(notice.at) > GIVE_UP_MS;
    // A worker that stops did not try in earnest: the next one may at once.
    const wait = context.signal.aborted ? 0 : Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(tries - 1, 20));
    const nextAt = new Date(now.getTime() + wait);
    await endDelivery(database, notice.id, name, givenUp ? { state: 'given-up', error: text } : { state: 'due', error: text, nextAt }, now);
    log.warn({ hook: name, notice: notice.id, tries, error: text }, givenUp ? 'a hook was given up' : 'a hook did not take a notice');
    return;
  }
  await endDelivery(database, notice.id, name, { state: 'delivered' }, clock.now());
}
