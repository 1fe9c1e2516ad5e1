/**
 * The kill tests at length: days of audience-index on real stacks, one SIGKILL a day at a seeded moment, fifty of each kind of process.
 * Every kind must end with the versions and live tables of the undisturbed days, and leave nothing half written.
 */
import { parseArgs, isDeepStrictEqual } from 'node:util';
import { VICTIMS, type Victim } from '../test/support/chaos-kills';
import { ChaosScenario, liveLines, type Disturbed } from '../test/support/chaos-scenario';
import { ChaosStack, describeReport, type KillReport } from '../test/support/chaos-stack';
import { machine, median, table } from './report';

interface Options {
  readonly kills: number;
  readonly seed: number;
  readonly victims: readonly Victim[];
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '50' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      victim: { type: 'string', multiple: true },
    },
  });
  const whole = (name: string, text: string): number => {
    if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
    throw new Error(`--${name} ${text}: expected a whole number from 1`);
  };
  const victims = (values.victim ?? VICTIMS).map((name) => {
    const victim = VICTIMS.find((known) => known === name);
    if (victim === undefined) throw new Error(`--victim ${name}: expected one of ${VICTIMS.join(', ')}`);
    return victim;
  });
  return { kills: whole('kills', values.kills), seed: whole('seed', values.seed), victims };
}

async function main(): Promise<void> {
  const options = readOptions();
  const stopped = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.abort());
  // A stack has processes of its own, which would outlive an interrupted run.
  stopped.signal.addEventListener('abort', () => void ChaosStack.endAll().then(() => process.exit(1)));
  console.log(`${machine()}\n${options.kills} kills of each kind, seed ${options.seed}\n`);
  using scenario = await ChaosScenario.create(options.seed, options.kills);
  const undisturbed = await scenario.undisturbed();
  const faults = [...undisturbed.complaints];
  if (!isDeepStrictEqual(liveLines(undisturbed.outcome), scenario.reference()))
    faults.push('the live tables are not what the definition gives');
  say('undisturbed', faults);
  const rows: string[][] = [];
  let failed = faults.length > 0;
  for (const victim of options.victims) {
    const reports: KillReport[] = [];
    const found = await disturb(scenario, victim, undisturbed.outcome, reports);
    say(victim, found);
    failed ||= found.length > 0;
    rows.push(summary(victim, reports));
  }
  console.log(
    `\n${table(['killed', 'kills', 'mid-run', 'back median s', 'done median s', 'done max s', 'lost attempts', 'commands'], rows)}`,
  );
  if (failed) {
    console.log(`\nrepeat with: npm run test:chaos -- --kills ${options.kills} --seed ${options.seed}`);
    process.exitCode = 1;
  }
}

/** What is wrong after the kills of one kind; a run that failed is one of it. */
async function disturb(scenario: ChaosScenario, victim: Victim, reference: Disturbed['outcome'], reports: KillReport[]): Promise<string[]> {
  try {
    const { outcome, complaints } = await scenario.disturbed(victim, (report) => {
      reports.push(report);
      console.log(`${String(reports.length).padStart(4)} ${describeReport(report)}`);
    });
    return [...complaints, ...(isDeepStrictEqual(outcome, reference) ? [] : ['versions or live tables differ from the undisturbed days'])];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

function summary(victim: Victim, reports: readonly KillReport[]): string[] {
  const back = reports.flatMap(({ backSeconds }) => backSeconds ?? []);
  const done = reports.map(({ doneSeconds }) => doneSeconds);
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
  return [
    victim,
    String(reports.length),
    String(reports.filter(({ hit }) => hit === 'mid-run').length),
    back.length === 0 ? '-' : median(back).toFixed(1),
    median(done).toFixed(1),
    Math.max(...done).toFixed(1),
    String(sum(reports.map(({ attemptsLost }) => attemptsLost))),
    String(sum(reports.map(({ commands }) => commands))),
  ];
}

function say(what: string, faults: readonly string[]): void {
  console.log(
    [`${what}: ${faults.length === 0 ? 'as it should be' : 'NOT as it should be'}`, ...faults.map((fault) => `  ${fault}`)].join('\n'),
  );
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
