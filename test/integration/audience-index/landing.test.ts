import path from 'node:path';
import { audienceIndex } from '../../../pipelines/audience-index/pipeline';
import type { AudienceEvent } from '../../support/audience-reference';
import { IngestBench, type IngestResult } from '../../support/ingest';
import { writeLanding } from '../../support/landing-files';
import { randomLanding, type LandedSource, type RandomLanding } from '../../support/random-landing';

const DAYS = 8;

describe('random landing files of audience-index', () => {
  let bench: IngestBench;
  let landing: RandomLanding;

  beforeAll(async () => {
    bench = new IngestBench();
    landing = randomLanding(20_261_121, DAYS);
    await writeLanding(landing, path.join(bench.root, 'data'));
  });
  afterAll(() => bench.close());

  const ingest = (source: 'segment-adds' | 'pixel-fires', window: string, bootstrap = false): Promise<IngestResult> => {
    const dataset = audienceIndex.datasets[source === 'segment-adds' ? 'segment_adds' : 'pixel_fires'];
    if (dataset === undefined) throw new Error(`no dataset for ${source}`);
    return bench.ingest({ window, dataset, spec: { landing: source, eventTime: 'ts' }, bootstrap });
  };

  it('give every day the accepted rows, and put the others aside by reason', async () => {
    for (const day of landing.days) {
      const start = day.end - 86_400_000_000;
      for (const [source, landed, id] of [
        ['segment-adds', day.adds, 'segment_id'],
        ['pixel-fires', day.fires, 'pixel_id'],
      ] as const) {
        const { output, accepted } = await ingest(source, day.date);
        expect(accepted.map((row) => [row['user_id'], Number(row[id]), micros(row['ts'])].join()).sort()).toEqual(
          landed.accepted.map(rowText).sort(),
        );
        expect({ ...none, ...output.quarantined }).toEqual({
          late: landed.outside.filter(({ at }) => at < start).length,
          early: landed.outside.filter(({ at }) => at >= day.end).length,
          malformed: landed.malformed,
        });
      }
    }
  });

  it('give a bootstrap the rows accepted up to its window, each by the day of its own folder', async () => {
    const { accepted } = await ingest('segment-adds', landing.days[DAYS - 2]?.date ?? '', true);
    const until = landing.days.slice(0, DAYS - 1).flatMap((day) => day.adds.accepted);
    expect(accepted.map((row) => [row['user_id'], Number(row['segment_id']), micros(row['ts'])].join()).sort()).toEqual(
      until.map(rowText).sort(),
    );
  });

  it('stay below the shares at which a gate fails', () => {
    const rows = ({ accepted, outside, malformed }: LandedSource): number => accepted.length + outside.length + malformed;
    for (const { days } of [landing, randomLanding(1, 70), randomLanding(2, 70)]) {
      for (const day of days) {
        for (const source of [day.adds, day.fires]) {
          const late = source.outside.filter(({ at }) => at < day.end - 86_400_000_000).length;
          expect(late).toBeLessThanOrEqual(0.05 * rows(source));
          expect(source.outside.length - late + source.malformed).toBeLessThanOrEqual(0.2 * rows(source));
        }
      }
    }
  });
});

const none = { late: 0, early: 0, malformed: 0 };

function rowText({ user, id, at }: AudienceEvent): string {
  return [user, id, at].join();
}

/** Microseconds since 1970 of an instant as a session prints it. */
function micros(ts: unknown): number {
  const [, seconds = '', fraction = ''] = /^(.{19})(?:\.(\d+))?/.exec(String(ts)) ?? [];
  return Date.parse(`${seconds.replace(' ', 'T')}Z`) * 1000 + Number(fraction.padEnd(6, '0'));
}
