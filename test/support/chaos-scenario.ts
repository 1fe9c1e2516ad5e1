import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { audienceIndex, byKey, membershipsAt, named, type Membership } from './audience-reference';
import { complaints, outcomeOf, type Outcome } from './chaos-facts';
import { plannedKills, type Victim } from './chaos-kills';
import { ChaosStack, type KillReport } from './chaos-stack';
import { writeLanding } from './landing-files';
import { randomLanding, type RandomLanding } from './random-landing';

/** The origin before the first kill, and a quiet day after the last one. */
const QUIET_DAYS = 2;

export interface Disturbed {
  readonly kills: readonly KillReport[];
  readonly outcome: Outcome;
  /** Empty when everything is as it should be. */
  readonly complaints: readonly string[];
}

/** The days of one seed, once undisturbed, then as often as wanted with kills on the way; every stack is new and reads the same files. */
export class ChaosScenario implements Disposable {
  readonly windows: readonly string[];
  private readonly landed = mkdtempSync(path.join(os.tmpdir(), 'almanac-landing-'));

  private constructor(
    readonly landing: RandomLanding,
    private readonly seed: number,
    private readonly kills: number,
  ) {
    this.windows = landing.days.map(({ date }) => date);
  }

  /** With room for so many kills, one a day. */
  static async create(seed: number, kills: number): Promise<ChaosScenario> {
    const scenario = new ChaosScenario(randomLanding(seed, kills + QUIET_DAYS), seed, kills);
    await writeLanding(scenario.landing, scenario.landed);
    return scenario;
  }

  async undisturbed(): Promise<Omit<Disturbed, 'kills'>> {
    await using chaos = await this.start();
    for (const window of this.windows) await chaos.finish(window);
    return { outcome: await outcomeOf(chaos, this.windows), complaints: await complaints(chaos, this.windows) };
  }

  /** Kills the victim once a day but on the first and the last. */
  async disturbed(victim: Victim, tell: (report: KillReport) => void): Promise<Disturbed> {
    const planned = plannedKills(victim, this.kills, this.seed);
    await using chaos = await this.start();
    const kills: KillReport[] = [];
    for (const [day, window] of this.windows.entries()) {
      const kill = planned[day - 1];
      if (kill === undefined) {
        await chaos.finish(window);
        continue;
      }
      const report = await chaos.finishUnder(window, kill);
      kills.push(report);
      tell(report);
    }
    return { kills, outcome: await outcomeOf(chaos, this.windows), complaints: await complaints(chaos, this.windows) };
  }

  /** What readers must see at the end by the definition of the report, without Almanac: sorted lines of the three live tables. */
  reference(): { readonly index: readonly string[]; readonly segments: readonly string[]; readonly pixels: readonly string[] } {
    const { days, segments, pixels } = this.landing;
    const end = days.at(-1)?.end ?? 0;
    const members = (source: 'adds' | 'fires'): Membership[] => membershipsAt(end, byKey(days.flatMap((day) => day[source].accepted)));
    const [adds, fires] = [members('adds'), members('fires')];
    const lines = (names: ReadonlyMap<number, readonly [string, string]>): string[] =>
      [...names].map(([id, [name, group]]) => [id, name, group].join('|')).sort();
    return {
      index: audienceIndex(adds, fires, new Map([...segments].map(([id, [, group]]) => [id, group])))
        .map((row) =>
          indexLine(
            row.pixel,
            row.segment,
            row.group,
            row.usersSegmentPixel,
            row.usersGroupPixel,
            row.usersSegment,
            row.usersGroup,
            row.index,
          ),
        )
        .sort(),
      segments: lines(named(segments, adds)),
      pixels: lines(named(pixels, fires)),
    };
  }

  [Symbol.dispose](): void {
    rmSync(this.landed, { recursive: true, force: true });
  }

  private async start(): Promise<ChaosStack> {
    const chaos = await ChaosStack.start();
    cpSync(this.landed, chaos.stack.data, { recursive: true });
    return chaos;
  }
}

/** Live tables in the form of {@link ChaosScenario.reference}. */
export function liveLines({ live }: Outcome): ReturnType<ChaosScenario['reference']> {
  return {
    index: live.audience_index
      .map((row) =>
        indexLine(
          row.pixel_id,
          row.segment_id,
          row.segment_group,
          row.users_segment_pixel,
          row.users_group_pixel,
          row.users_segment,
          row.users_group,
          Number(row.index),
        ),
      )
      .sort(),
    segments: live.audience_segments.map((row) => [row.segment_id, row.segment_name, row.segment_group].join('|')).sort(),
    pixels: live.audience_pixels.map((row) => [row.pixel_id, row.pixel_name, row.advertiser].join('|')).sort(),
  };
}

function indexLine(...fields: readonly unknown[]): string {
  return fields.map((field, at) => (at === fields.length - 1 ? Number(field).toFixed(6) : field)).join('|');
}
