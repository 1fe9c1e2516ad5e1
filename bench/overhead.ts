/**
 * What the runner costs: no-op stages through everything a real stage goes through (operator layer, ledger, workflow,
 * compute worker, metrics, logs, acceptance, close) beside no-op activities of bare Temporal on the same server. The
 * arms alternate. Measured in both: from the call that starts the runs to the close of the last of them as the client
 * sees it, by a long poll on the history; what comes after a close (export of the history) is waited for in between and in
 * neither figure.
 */
import os from 'node:os';
import { parseArgs } from 'node:util';
import { stackEnvironment } from '../operator/stack/environment';
import { startAlmanacArm } from './almanac-arm';
import { startBareArm } from './bare-arm';
import { SHAPES, shapeName, type Shape } from './overhead-shapes';
import { machine, median, table } from './report';

const REPEATS = 5;
/** Seconds of ours over those of bare Temporal: at most this for the chain. */
const CHAIN_GOAL = 1.5;
/** Throughput of ours over that of bare Temporal: at least this for the windows. */
const WINDOWS_GOAL = 0.7;
/** The same with schedules that fire, pools, a hook and scrapes beside it. */
const EVERYTHING_GOAL = 0.6;

interface Measurement {
  readonly shape: string;
  readonly stages: number;
  /** Seconds, one figure a repeat. */
  readonly bare: number[];
  readonly almanac: number[];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      repeats: { type: 'string' },
      /** One repeat of a tenth of the work: shows that both arms work, no more. */
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      /** Schedules fire, windows take permits, a hook is told and metrics are scraped beside what is measured. */
      everything: { type: 'boolean', default: false },
      /** Exit 1 when a goal is missed. */
      check: { type: 'boolean', default: false },
    },
  });
  const repeats = values.repeats === undefined ? (values.quick ? 1 : REPEATS) : Number(values.repeats);
  if (!Number.isSafeInteger(repeats) || repeats < 1) throw new Error(`--repeats ${values.repeats ?? ''}: expected a whole number from 1`);
  const shapes = values.quick ? SHAPES.map(tenth) : SHAPES;
  const say = (line: string): void => console.error(line);
  await using almanac = await startAlmanacArm(shapes, say, values.everything);
  await using bare = await startBareArm(await almanac.session.temporal(), stackEnvironment(almanac.session.config).temporalAddress);

  const measurements: Measurement[] = shapes.map((shape) => ({
    shape: shapeName(shape),
    stages: shape.stages * shape.runs,
    bare: [],
    almanac: [],
  }));
  const loads = [os.loadavg()[0] ?? 0];
  for (let repeat = 0; repeat <= repeats; repeat++) {
    for (const [index, shape] of shapes.entries()) {
      const one = await seconds(() => bare.run(shape));
      const other = await seconds(() => almanac.run(shape));
      await almanac.idle();
      say(`${repeat === 0 ? 'warm-up' : `repeat ${repeat}`}, ${shapeName(shape)}: bare ${one.toFixed(2)} s, Almanac ${other.toFixed(2)} s`);
      if (repeat === 0) continue;
      measurements[index]?.bare.push(one);
      measurements[index]?.almanac.push(other);
    }
    loads.push(os.loadavg()[0] ?? 0);
  }

  const windowsGoal = values.everything ? EVERYTHING_GOAL : WINDOWS_GOAL;
  const results = measurements.map((measurement) => summary(measurement));
  const load = { from: Math.min(...loads), to: Math.max(...loads) };
  if (values.json) {
    console.log(JSON.stringify({ machine: machine(), load, repeats, places: almanac.session.config.worker.places, results }, undefined, 2));
  } else {
    console.log(`\n${machine()}; load ${load.from.toFixed(1)} to ${load.to.toFixed(1)} during the run`);
    console.log(`medians of ${repeats}; start call to close seen by the client\n`);
    console.log(
      table(
        ['shape', 'bare s', 'Almanac s', 'ratio', 'of pairs', 'bare stages/s', 'Almanac stages/s', 'throughput'],
        results.map((result) => [
          result.shape,
          result.bareSeconds.toFixed(2),
          result.almanacSeconds.toFixed(2),
          result.ratio.toFixed(2),
          `${result.lowestRatio.toFixed(2)}-${result.highestRatio.toFixed(2)}`,
          (result.stages / result.bareSeconds).toFixed(0),
          (result.stages / result.almanacSeconds).toFixed(0),
          result.throughput.toFixed(2),
        ]),
      ),
    );
    console.log(
      `\ngoals: chain at most ${CHAIN_GOAL} x bare, ${goal(meetsChain(results))}; windows at least ${windowsGoal} x its throughput, ${goal(meetsWindows(results, windowsGoal))}`,
    );
  }
  if (values.check && !(meetsChain(results) && meetsWindows(results, windowsGoal))) process.exitCode = 1;
}

interface Result extends Measurement {
  readonly bareSeconds: number;
  readonly almanacSeconds: number;
  /** Median over median, and the extremes of the repeats. */
  readonly ratio: number;
  readonly lowestRatio: number;
  readonly highestRatio: number;
  readonly throughput: number;
}

function summary(measurement: Measurement): Result {
  const { bare, almanac } = measurement;
  const pairs = almanac.map((value, repeat) => value / (bare[repeat] ?? Number.NaN));
  const [bareSeconds, almanacSeconds] = [median(bare), median(almanac)];
  return {
    ...measurement,
    bareSeconds,
    almanacSeconds,
    ratio: almanacSeconds / bareSeconds,
    lowestRatio: Math.min(...pairs),
    highestRatio: Math.max(...pairs),
    throughput: bareSeconds / almanacSeconds,
  };
}

function meetsChain(results: readonly Result[]): boolean {
  return (results[0]?.ratio ?? Number.NaN) <= CHAIN_GOAL;
}

function meetsWindows(results: readonly Result[], atLeast: number): boolean {
  return (results[2]?.throughput ?? Number.NaN) >= atLeast;
}

function goal(met: boolean): string {
  return met ? 'met' : 'missed';
}

function tenth(shape: Shape): Shape {
  return shape.runs > 1 ? { ...shape, runs: Math.ceil(shape.runs / 10) } : { ...shape, stages: Math.ceil(shape.stages / 10) };
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
