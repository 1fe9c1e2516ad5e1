import { copyFileSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { listenerProfiles } from '../../../pipelines/listener-profiles/pipeline';
import { exportPath } from '../../../activities/storage/store-paths';
import { averagesOf, profilesOf, type Play } from '../../support/listener-reference';
import { PipelineBench } from '../../support/pipeline-bench';
import { describeOn, sharedData } from '../../support/shared-data';

jest.setTimeout(120_000);

describeOn(sharedData('listeners'), 'on the real sample', (sample) => {
  test('the real events of three months, in one file, give the profiles and averages of a plain recompute', async () => {
    await using bench = await PipelineBench.open(listenerProfiles);
    const file = path.join(sample, 'tracks_head_22941.csv');
    copyFileSync(file, bench.file('landing/tracks/dt=2014-12-30/tracks.csv'));
    copyFileSync(path.join(sample, 'cust.csv'), bench.file('reference/cust.csv'));
    const { versions, outputs } = await bench.run('2014-12-30');
    const plays = readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line): Play => {
        const [event, customer, track, ts, mobile] = line.replaceAll('"', '').split(',');
        return {
          event: Number(event),
          customer: Number(customer),
          track: Number(track),
          ts: ts ?? '',
          mobile: mobile === '1',
          landedOn: '2014-12-30',
        };
      });
    expect(plays).toHaveLength(22_941);
    const names = new Map(
      readFileSync(path.join(sample, 'cust.csv'), 'utf8')
        .trim()
        .split('\n')
        .slice(1)
        .map((line) => {
          const [, id, name, gender, rest] = /^(\d+),"([^"]*)",(\d),(.*)$/.exec(line) ?? [];
          const [, level, campaign] = (rest ?? '').split(',').slice(-4);
          return [Number(id), { name: name ?? '', gender: Number(gender), level: Number(level), campaign: Number(campaign) }] as const;
        }),
    );
    const expected = profilesOf(plays, '2014-12-30');
    expect(expected).toHaveLength(4796);
    const rows = await bench.rows(versions.listener_profiles);
    expect(rows).toEqual(
      expected.map(({ customer, ...counts }) => ({ customer: String(customer), ...names.get(customer), ...asTexts(counts) })),
    );
    const averages = await bench.rows(versions.listener_averages);
    for (const { metric, mean, variance, ...exact } of averagesOf(expected)) {
      const found = averages.find((row) => row.metric === metric);
      expect(found).toMatchObject({ min: exact.min, max: exact.max, non_zeros: String(exact.nonZeros), count: '4796' });
      expect(Number(found?.mean)).toBeCloseTo(mean, 10);
      expect(Number(found?.variance)).toBeCloseTo(variance, 8);
    }
    expect(outputs.landed?.gate?.status).toBe('PASS');
    // No earlier windows to compare the size with yet.
    expect(outputs.judge?.gate).toMatchObject({ status: 'NO_HISTORY', failed: [], warned: [] });
    expect(await bench.rows(versions.counted_events)).toEqual([{ first_event: '0', last_event: '22940' }]);

    const csv =
      (
        await bench.store.get(exportPath(versions.listener_profiles ?? { dataset: '', window: '', version: '' }, 'live_table.csv'))
      )?.toString() ?? '';
    const [header, first, ...others] = csv.trim().split('\n');
    expect(header).toBe('customer,name,gender,level,campaign,unique_tracks,night,morning,afternoon,evening,mobile');
    expect(first).toBe(Object.values(rows[0] ?? {}).join(','));
    expect(others).toHaveLength(4795);
    const aggregates = await bench.store.get(
      exportPath(versions.listener_averages ?? { dataset: '', window: '', version: '' }, 'agg_table.csv'),
    );
    expect(aggregates?.toString()).toMatch(/^metric,mean,variance,min,max,non_zeros,count\nafternoon,/);
  });
});

function asTexts(counts: Readonly<Record<string, number>>): Record<string, string> {
  return Object.fromEntries(Object.entries(counts).map(([name, value]) => [name, String(value)]));
}
