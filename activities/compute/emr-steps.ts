import type { EmrConfig, EmrSettings } from '../../lib/emr-settings';
import { changeEffect, takeUpEffect, type EffectRow } from '../ledger/effects';
import { Stopped } from '../stopped';
import { SUBMISSION_CONF } from './emr-client';
import { clusterOf } from './emr-cluster';
import { emrFailure, overtaken, roundFailure } from './emr-failures';
import { endKnownStep, finishRound, isOpen, type Round, type RoundServices } from './emr-rounds';
import type { PlacedOrder, SparkEnd, SparkRunner, SparkWork } from './spark-runner';

export interface EmrRunnerOptions {
  readonly services: RoundServices;
  readonly config: Pick<EmrConfig, 'cluster'>;
  readonly settings: EmrSettings;
  /** How the jobs read and write objects, as settings of Spark. */
  readonly objects: Readonly<Record<string, string>>;
}

/** How long a stage that was told to stop sees its step end; what takes longer is ended by the close of the run or the sweeper. */
const STOP_MS = 15_000;

/** Runs Spark jobs as steps on EMR; killed anywhere, the next attempt finds its step by its name. */
export function createEmrRunner(options: EmrRunnerOptions): SparkRunner {
  return {
    async run(work, signal) {
      try {
        return await run(options, work, signal);
      } catch (error) {
        throw emrFailure(error, work.run, work.stage);
      }
    },
  };
}

async function run(options: EmrRunnerOptions, work: SparkWork, signal: AbortSignal): Promise<SparkEnd> {
  for (;;) {
    const row = await takeUp(options, work);
    if (isOpen(row) && row.candidate !== work.candidate) {
      work.log(`round ${row.round} computes from other inputs and is ended`);
      await finishRound(options.services, roundOf(options, work, row), signal);
      continue;
    }
    const order = await work.place(row.round);
    if (!isOpen(row)) {
      work.log(`step ${row.step} completed before and is adopted`);
      return { round: row.round, order, seconds: row.seconds ?? 0 };
    }
    return follow(options, work, row, order, signal);
  }
}

async function follow(
  options: EmrRunnerOptions,
  work: SparkWork,
  row: EffectRow,
  order: PlacedOrder,
  signal: AbortSignal,
): Promise<SparkEnd> {
  try {
    const placed = row.token === order.token ? row : await roundOf(options, work, row).write({ token: order.token });
    if (placed === undefined) throw overtaken(row.run);
    const cluster = row.cluster ?? (await clusterFor(options, work, signal));
    const round = {
      ...roundOf(options, work, placed),
      cluster,
      args: (submission: string) => stepArgs(options, order, submission),
    };
    const ended = await finishRound(options.services, round, signal);
    if (ended.why !== undefined) throw roundFailure(ended.row, ended.why);
    const { seconds, cost } = ended.row;
    work.log(
      `step ${ended.row.step} completed: ${seconds ?? '?'} s${cost === null ? '' : `, about ${cost.toFixed(4)} by the prices in the settings`}`,
    );
    return { round: row.round, order, seconds: seconds ?? 0 };
  } catch (error) {
    if (signal.aborted && signal.reason instanceof Stopped && signal.reason.why !== 'lost') await endOnWord(options, work, row);
    throw error;
  }
}

/** Ends what the stage began, on the run's word. What fails here is left to the close of the run, to the sweeper, or to the next attempt. */
async function endOnWord(options: EmrRunnerOptions, work: SparkWork, begun: EffectRow): Promise<void> {
  try {
    const row = await takeUp(options, work);
    if (row.round !== begun.round || !isOpen(row)) return;
    // The next look may be minutes away where EMR throttles, and nobody ends the rounds of a run that is held.
    await endKnownStep(options.services, row);
    const { row: ended } = await finishRound(options.services, roundOf(options, work, row), AbortSignal.timeout(STOP_MS));
    work.log(`step ${ended.step ?? '(not submitted)'} ended: ${ended.state}`);
  } catch (error) {
    work.log(`the step could not be seen to end yet: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function takeUp({ services }: EmrRunnerOptions, work: SparkWork): Promise<EffectRow> {
  const { run, stage, attempt, candidate } = work;
  const row = await takeUpEffect(services.database, { run, stage, attempt, candidate, now: services.clock.now() });
  if (row === undefined) throw overtaken(run);
  return row;
}

function roundOf({ services }: EmrRunnerOptions, work: SparkWork, row: EffectRow): Round {
  return {
    row,
    maskValues: work.maskValues === true,
    write: (change) => changeEffect(services.database, row, change, services.clock.now()),
    log: (line) => work.log(line),
    point: (name) => work.point(name),
  };
}

async function clusterFor({ services, config, settings }: EmrRunnerOptions, work: SparkWork, signal: AbortSignal): Promise<string> {
  if (config.cluster !== undefined) return config.cluster;
  if (settings.transient === undefined) throw new TypeError('the settings of EMR name no cluster');
  return clusterOf({ ...services, log: (line) => work.log(line), point: (name) => work.point(name) }, work.run, settings.transient, signal);
}

/** In client mode the driver is a process of the step: who cancels the step ends it. */
function stepArgs({ settings: { job }, objects }: EmrRunnerOptions, { uri }: PlacedOrder, submission: string): string[] {
  const conf = Object.entries({ [SUBMISSION_CONF]: submission, ...objects }).flatMap(([name, value]) => ['--conf', `${name}=${value}`]);
  return ['spark-submit', '--deploy-mode', 'client', '--class', job.class, ...conf, ...job.sparkArguments, job.jar, uri];
}
