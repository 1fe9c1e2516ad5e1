/**
 * Backfills at length: an ordered year built over wrong inputs, killed workers, pauses and a plan that drifted, while live runs go on;
 * then the same year undisturbed beside cancels at random moments. Fails when the two builds differ, when two windows of the chain were
 * open at once, when a live run waited for the backfill, or when anything changed after a cancel was proved. With `--live N` only this: N live
 * runs on an idle stack, then N beside a backfill whose stages hold all its places and never end.
 */
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { BackfillScenario, LANES, type CancelReport, type LiveStart } from '../test/support/backfill-scenario';
import { until } from '../test/support/until';
import { machine, median, table } from './report';

/** How much later than on an idle stack the stages of live runs may start, at the 95th percentile. */
const LATER_MS = 1000;
/** A killed worker is back, and what it had begun is begun again, after so long: a live run of that time waits for it, not for a backfill. */
const RECOVERY_MS = 15_000;
const IDLE_STARTS = 40;
const LIVE_EVERY_MS = 3000;
const LIVE_ONLY_EVERY_MS = 100;
/** Places of backfills, and windows that would fill them twice. */
const PLACES = 4;
const SLOW_WINDOWS = 8;
const RUNNING_SLOW = "select from almanac.attempt where pipeline = 'slow' and state = 'running'";

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      windows: { type: 'string', default: '365' },
      cancels: { type: 'string', default: '50' },
      watch: { type: 'string', default: '10' },
      live: { type: 'string' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    },
  });
  const [windows, cancels, watch, seed] = (['windows', 'cancels', 'watch', 'seed'] as const).map((name) => whole(name, values[name]));
  if (windows === undefined || cancels === undefined || watch === undefined || seed === undefined) throw new Error('unreachable');
  console.log(`${machine()}\n${windows} windows, ${cancels} cancels, seed ${seed}`);
  await using scenario = await BackfillScenario.create(windows, seed, PLACES);
  // A stack has processes of its own, which would outlive an interrupted run.
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void scenario[Symbol.asyncDispose]().then(() => process.exit(1)));
  if (values.live !== undefined) {
    await liveOnly(scenario, whole('live', values.live));
    return;
  }
  const faults: string[] = [];
  const idle = await scenario.liveStarts(300, (count) => count >= IDLE_STARTS);
  let built = false;
  const [report, busy] = await Promise.all([
    scenario.build().finally(() => (built = true)),
    scenario.liveStarts(LIVE_EVERY_MS, () => built),
  ]);
  const beside = (start: LiveStart): boolean =>
    report.kills.some((at) => at > start.at - RECOVERY_MS && at < start.at + Math.max(start.ms, RECOVERY_MS));
  const groups: readonly (readonly [string, readonly number[]])[] = [
    ['idle', idle.map(({ ms }) => ms)],
    ['during the build', busy.filter((start) => !beside(start)).map(({ ms }) => ms)],
    ['beside a kill', busy.filter(beside).map(({ ms }) => ms)],
  ];
  const [idleP95 = NaN, busyP95 = NaN] = groups.map(([, times]) => quantile(times, 0.95));
  if (report.widest !== 1) faults.push(`${report.widest} windows of the chain were open at once`);
  if (new Set(report.ran).size !== windows) faults.push(`${new Set(report.ran).size} of ${windows} windows ran`);
  if (!report.drift.startsWith('backfill.drift')) faults.push(`the plan that drifted was answered with ${report.drift}`);
  if (busyP95 > idleP95 + LATER_MS) faults.push('live stages started late');
  console.log(
    `\nbuilt in ${report.seconds.toFixed(0)} s: ${report.kills.length} workers killed, ${report.halts} halts, ${report.pauses} pauses; ${machine()}`,
  );
  console.log(
    table(
      ['live starts', 'runs', 'p50 ms', 'p95 ms', 'max ms'],
      groups.map(([name, times]) => row(name, times)),
    ),
  );

  const clean = await scenario.plan('clean', 1, windows);
  await scenario.start(clean.hash);
  const cancelled = await cancelAll(scenario, cancels, watch * 1000);
  await scenario.reaches(clean.hash, 'done');
  if (!isDeepStrictEqual(await scenario.digests('broken'), await scenario.digests('clean'))) faults.push('the two builds differ');
  faults.push(...cancelled.flatMap(({ lane, complaints }) => complaints.map((complaint) => `${lane}: ${complaint}`)));
  const proofs = cancelled.flatMap(({ ended }) => ended);
  const count = (what: string): number => proofs.filter((ended) => ended === what).length;
  console.log(
    `\n${cancelled.length} cancels, ${cancelled.filter(({ state }) => state === 'done').length} of them after all was done: ${proofs.length} attempts ended, ` +
      `${count('reported')} by their report, ${count('child-dead')} with their process, ${count('fenced')} fenced; each watched for ${watch} s`,
  );
  console.log(faults.length === 0 ? 'all as it should be' : ['NOT as it should be', ...faults].join('\n  '));
  if (faults.length > 0) {
    console.log(`repeat with: npm run test:backfill -- --windows ${windows} --cancels ${cancels} --seed ${seed}`);
    process.exitCode = 1;
  }
}

/** So many live runs in each of two arms, back to back, undisturbed. */
async function liveOnly(scenario: BackfillScenario, runs: number): Promise<void> {
  const arm = async (): Promise<number[]> => (await scenario.liveStarts(LIVE_ONLY_EVERY_MS, (count) => count >= runs)).map(({ ms }) => ms);
  const idle = await arm();
  const { hash } = await scenario.plan('slow', 1, SLOW_WINDOWS, '--concurrency', String(SLOW_WINDOWS));
  await scenario.start(hash);
  await until('stages of the backfill hold its places', async () => (await scenario.rows(RUNNING_SLOW)).length >= PLACES, RECOVERY_MS * 8);
  const beside = await arm();
  const held = (await scenario.rows(RUNNING_SLOW)).length;
  await scenario.stack.ok('backfill', 'cancel', hash, '--reason', 'measured');
  const later = quantile(beside, 0.95) - quantile(idle, 0.95);
  console.log(table(['live starts', 'runs', 'p50 ms', 'p95 ms', 'max ms'], [row('idle', idle), row('beside a backfill', beside)]));
  console.log(
    `${held} stages of the backfill were open to the end; p95 is ${later.toFixed(0)} ms later, at most ${LATER_MS} allowed; ${machine()}`,
  );
  if (later > LATER_MS || held < PLACES) process.exitCode = 1;
}

/** In every lane one after the other, the lanes side by side. */
async function cancelAll(scenario: BackfillScenario, cancels: number, watchMs: number): Promise<CancelReport[]> {
  let begun = 0;
  const lanes = LANES.map(async (lane) => {
    const reports: CancelReport[] = [];
    while (begun < cancels) {
      begun += 1;
      reports.push(await scenario.cancel(lane, watchMs));
    }
    return reports;
  });
  return (await Promise.all(lanes)).flat();
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

function row(name: string, times: readonly number[]): string[] {
  return [name, String(times.length), ...[median(times), quantile(times, 0.95), Math.max(...times)].map((value) => value.toFixed(0))];
}

function whole(name: string, text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new Error(`--${name} ${text}: expected a whole number from 1`);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
