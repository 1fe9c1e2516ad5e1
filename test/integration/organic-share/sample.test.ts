import { copyFileSync } from 'node:fs';
import path from 'node:path';
import { organicShare } from '../../../pipelines/organic-share/pipeline';
import { PipelineBench } from '../../support/pipeline-bench';
import { describeOn, sharedData } from '../../support/shared-data';

jest.setTimeout(120_000);

describeOn(sharedData('organic-share'), 'on the real sample', (sample) => {
  test('the real sample gives 192 shares, 91 of them NULL, and the known ones to the last digit', async () => {
    await using bench = await PipelineBench.open(organicShare);
    copyFileSync(path.join(sample, 'sample.parquet'), bench.file('landing/acquisitions/dt=2021-12-13/sample.parquet'));
    const { versions, outputs } = await bench.run('2021-W50');
    const rows = await bench.rows(versions.organic_share);
    expect(rows).toHaveLength(192);
    expect(rows.filter((row) => row.share_organic_p4w === null)).toHaveLength(91);
    const share = (year: number, week: number, country: string): unknown =>
      rows.find((row) => row.year === year && row.week === week && row.country === country)?.share_organic_p4w;
    expect(share(2021, 1, 'FR')).toBe(0.8372093023255814);
    expect(share(2021, 1, 'GB')).toBe(0.455366879576258);
    expect(share(2021, 1, 'IT')).toBe(0.9393939393939394);
    expect(share(2021, 50, 'IT')).toBe(1);
    // A new tracker took the token of another, and the reports tell.
    expect(outputs.landed?.gate).toMatchObject({ status: 'WARN', warned: ['token-has-one-name'], failed: [] });
    expect(outputs.judge?.gate).toMatchObject({ failed: [] });
  });
});
