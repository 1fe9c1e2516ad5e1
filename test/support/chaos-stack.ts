import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type pg from 'pg';
import type { ChildIdentity } from '../../activities/compute/engine';
import { deliver } from '../../operator/stack/process-identity';
import { readStackState, type ProcessRecord } from '../../operator/stack/stack-state';
import { describeMoment, type Kill, type Victim } from './chaos-kills';
import { EmbeddedStack } from './embedded-stack';
import { until } from './until';

export const PIPELINE = 'audience-index';
/** For a window to be done whatever was killed: the longest wait of the runner is the 10 s of a lost heartbeat. */
const RUN_DEADLINE_MS = 180_000;
const BACK_DEADLINE_MS = 60_000;
const LOOK_MS = 10;
/** Exit code of failures of class `platform`: running again is the answer. */
const PLATFORM = 12;

/** What became of one kill. */
export interface KillReport {
  readonly kill: Kill;
  /** `mid-run`, or `too late` when the run had ended before its moment came. */
  readonly hit: 'mid-run' | 'too late';
  /** From the kill until the victim ran again; undefined for what nobody restarts. */
  readonly backSeconds: number | undefined;
  /** From the kill to the next attempt of a stage, if one was still to come. */
  readonly nextAttemptSeconds: number | undefined;
  /** From the kill to the end of the run. */
  readonly doneSeconds: number;
  readonly attemptsLost: number;
  /** Times `almanac run` was typed. */
  readonly commands: number;
}

/** An embedded stack whose processes can be killed at chosen moments. */
export class ChaosStack implements AsyncDisposable {
  private static readonly running = new Set<ChaosStack>();

  private constructor(
    readonly stack: EmbeddedStack,
    private readonly faults: string,
  ) {
    ChaosStack.running.add(this);
  }

  /** Ends every stack of this process, for who is interrupted. */
  static async endAll(): Promise<void> {
    await Promise.all([...ChaosStack.running].map((chaos) => chaos[Symbol.asyncDispose]()));
  }

  static async start(): Promise<ChaosStack> {
    const faults = mkdtempSync(path.join(os.tmpdir(), 'almanac-faults-'));
    return new ChaosStack(await EmbeddedStack.start({ env: { ALMANAC_TEST_FAULTS: faults } }), faults);
  }

  /** Runs the window to its end, typing `almanac run` again after platform failures only; returns how often it was typed. */
  async finish(window: string): Promise<number> {
    const deadline = Date.now() + RUN_DEADLINE_MS;
    for (let typed = 1; ; typed++) {
      const { code, stdout, stderr } = await this.stack.run('run', PIPELINE, '--window', window, '--wait');
      if (code === 0) return typed;
      if (code !== PLATFORM || Date.now() > deadline)
        throw new Error(`${PIPELINE}/${window} ended with ${String(code)} at command ${typed}: ${stdout}${stderr}`);
      await until('the stack is whole again', () => this.processes().every(({ state }) => state === 'running'), BACK_DEADLINE_MS, LOOK_MS);
    }
  }

  /** Runs the window and kills the victim on the way. */
  async finishUnder(window: string, kill: Kill): Promise<KillReport> {
    const database = await this.stack.database();
    let done: number | undefined;
    const finished = this.finish(window).then((commands) => {
      done = Date.now();
      return commands;
    });
    // Reported by whichever of the two is awaited first.
    finished.catch(() => undefined);
    const struck = await this.strike(database, window, kill, () => done !== undefined, finished);
    const commands = await finished;
    const seconds = (at: number): number => Math.max(0, at - struck.at) / 1000;
    const { rows } = await database.query<{ next: Date | null; lost: number }>(
      `select min(started_at) filter (where started_at > $2) as next, count(*) filter (where state <> 'succeeded')::int as lost from almanac.attempt where window_key = $1 and attempt > 0`,
      [window, new Date(struck.at)],
    );
    const { next = null, lost = 0 } = rows[0] ?? {};
    return {
      kill,
      hit: struck.hit,
      backSeconds: struck.back === undefined ? undefined : seconds(await struck.back),
      nextAttemptSeconds: next === null ? undefined : seconds(next.getTime()),
      doneSeconds: seconds(done ?? Date.now()),
      attemptsLost: lost,
      commands,
    };
  }

  processes(): readonly ProcessRecord[] {
    return readStackState(this.stack.home)?.processes ?? [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!ChaosStack.running.delete(this)) return;
    await this.stack[Symbol.asyncDispose]();
    rmSync(this.faults, { recursive: true, force: true });
  }

  private async strike(
    database: pg.Pool,
    window: string,
    { victim, moment }: Kill,
    isDone: () => boolean,
    finished: Promise<number>,
  ): Promise<{ at: number; hit: KillReport['hit']; back: Promise<number> | undefined }> {
    const name = processOf(victim);
    const before = this.record(name);
    if (moment.kind === 'point') {
      const order = path.join(this.faults, moment.name);
      writeFileSync(order, 'SIGKILL');
      await Promise.race([until(`${window} passes ${moment.name}`, () => !existsSync(order), RUN_DEADLINE_MS, LOOK_MS), finished]);
      if (existsSync(order)) throw new Error(`${window} ended without passing ${moment.name}`);
      return { at: Date.now(), hit: 'mid-run', back: this.back(name, before) };
    }
    const begun = async (): Promise<number> => {
      const { rows } = await database.query<{ attempts: number }>(
        'select (select count(*)::int from almanac.attempt where window_key = $1) as attempts from almanac.run where window_key = $1',
        [window],
      );
      return rows[0]?.attempts ?? -1;
    };
    await until(`${window} is at its moment`, async () => isDone() || (await begun()) >= moment.attempts, RUN_DEADLINE_MS, LOOK_MS);
    await new Promise((resolve) => setTimeout(resolve, moment.delayMs));
    if (victim === 'compute-child') {
      const child = await this.leasedChild(database, window, isDone);
      if (child !== undefined) deliver(child.pid, 'SIGKILL');
      return { at: Date.now(), hit: child === undefined ? 'too late' : 'mid-run', back: undefined };
    }
    if (before?.identity === undefined) throw new Error(`${name} does not run`);
    const at = Date.now();
    deliver(before.identity.pid, 'SIGKILL');
    return { at, hit: isDone() ? 'too late' : 'mid-run', back: this.back(name, before) };
  }

  /** A child that computes a stage right now; undefined when the run ends before there is one. */
  private async leasedChild(database: pg.Pool, window: string, isDone: () => boolean): Promise<ChildIdentity | undefined> {
    let child: ChildIdentity | undefined;
    await until(
      `a child computes for ${window}`,
      async () => {
        const { rows } = await database.query<{ child: ChildIdentity }>(
          "select child from almanac.attempt where window_key = $1 and state = 'running' and child is not null order by started_at limit 1",
          [window],
        );
        child = rows[0]?.child;
        return child !== undefined || isDone();
      },
      RUN_DEADLINE_MS,
      LOOK_MS,
    );
    return child;
  }

  private record(name: string): ProcessRecord | undefined {
    return this.processes().find((process) => process.name === name);
  }

  private hasEnded(name: string, before: ProcessRecord | undefined): boolean {
    return this.record(name)?.restarts !== before?.restarts;
  }

  /** When the process runs again after its next end. */
  private async back(name: string, before: ProcessRecord | undefined): Promise<number> {
    await until(`${name} is back`, () => this.hasEnded(name, before) && this.record(name)?.state === 'running', RUN_DEADLINE_MS, LOOK_MS);
    return Date.now();
  }
}

function processOf(victim: Victim): string {
  switch (victim) {
    case 'compute-worker':
    case 'compute-child':
    case 'publisher':
      return 'worker-compute';
    case 'control-worker':
      return 'worker-control';
    case 'temporal':
    case 'postgres':
      return victim;
  }
}

/** One line for a person. */
export function describeReport({ kill, hit, backSeconds, nextAttemptSeconds, doneSeconds, attemptsLost, commands }: KillReport): string {
  const after = (what: string, seconds: number | undefined): string[] => (seconds === undefined ? [] : [`${what} ${seconds.toFixed(1)} s`]);
  return [
    `${kill.victim} ${describeMoment(kill.moment)}${hit === 'too late' ? ' (after the end)' : ''}: ${after('back', backSeconds).concat(after('next attempt', nextAttemptSeconds), after('done', doneSeconds)).join(', ')}`,
    `${attemptsLost} attempts lost`,
    `${commands} commands`,
  ].join('; ');
}
