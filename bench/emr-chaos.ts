/**
 * The kill tests of EMR at length: one window a kill, of workers that run a whole stage, of the local EMR and of its Spark processes, at seeded
 * moments, with frozen and woken attempts, lost and late requests and lost clusters. Whatever is killed, each stage commits once.
 */
import { parseArgs } from 'node:util';
import { emrComplaints } from '../test/support/emr-chaos-facts';
import { EMR_VICTIMS, plannedEmrKills } from '../test/support/emr-chaos-kills';
import { describeEmrReport, finishStage, playEmrKill, type EmrKillReport } from '../test/support/emr-chaos-scenario';
import { EmrChaosStack } from '../test/support/emr-chaos-stack';
import { ownPostgres } from '../test/support/own-postgres';
import type { RunRef } from '../pipelines/types';
import { machine, median, table } from './report';

function readOptions(): { kills: number; seed: number } {
  const { values } = parseArgs({
    options: { kills: { type: 'string', default: '50' }, seed: { type: 'string', default: String(Date.now() % 1_000_000) } },
  });
  const whole = (name: string, text: string): number => {
    if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
    throw new Error(`--${name} ${text}: expected a whole number from 1`);
  };
  return { kills: whole('kills', values.kills), seed: whole('seed', values.seed) };
}

async function main(): Promise<void> {
  const { kills, seed } = readOptions();
  console.log(`${machine()}\n${kills} kills, seed ${seed}\n`);
  await using postgres = await ownPostgres();
  await using database = await postgres.database();
  await using stack = await EmrChaosStack.start(database);
  // One closed by hand leaves no process behind.
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void stack[Symbol.asyncDispose]().then(() => process.exit(1)));
  const first = await stack.newRun();
  await finishStage(stack, first, 'left', 1);
  await stack.endRun(first, 'succeeded');
  const [undisturbed] = await stack.versions(first, 'left');
  const runs: RunRef[] = [first];
  const reports: EmrKillReport[] = [];
  for (const kill of plannedEmrKills(kills, seed)) {
    const report = await playEmrKill(stack, kill);
    reports.push(report);
    runs.push(...report.runs);
    console.log(`${String(reports.length).padStart(4)} ${describeEmrReport(report)}`);
  }
  const found = await emrComplaints(stack, { runs, digest: undisturbed?.digest ?? '' });
  console.log(
    `\n${table(
      ['killed', 'kills', 'met', 'workers', 'median s', 'max s'],
      EMR_VICTIMS.map((victim) => summary(victim, reports)),
    )}`,
  );
  console.log(found.length === 0 ? '\nas it should be' : `\nNOT as it should be\n${found.map((fault) => `  ${fault}`).join('\n')}`);
  if (found.length > 0) {
    console.log(`\nrepeat with: npm run test:emr-chaos -- --kills ${kills} --seed ${seed}`);
    process.exitCode = 1;
  }
}

function summary(victim: string, all: readonly EmrKillReport[]): string[] {
  const reports = all.filter(({ kill }) => kill.victim === victim);
  const seconds = reports.map((report) => report.seconds);
  return [
    victim,
    String(reports.length),
    String(reports.filter(({ hit }) => hit).length),
    String(reports.reduce((sum, { ends }) => sum + ends.length, 0)),
    seconds.length === 0 ? '-' : median(seconds).toFixed(1),
    seconds.length === 0 ? '-' : Math.max(...seconds).toFixed(1),
  ];
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
