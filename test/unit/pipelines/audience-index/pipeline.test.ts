import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { audienceIndex } from '../../../../pipelines/audience-index/pipeline';
import { landedSuite, reportSuite } from '../../../../pipelines/audience-index/suites';
import { placeholdersOf } from '../../../../pipelines/sql-text';
import type { CheckDeclaration } from '../../../../pipelines/types';

const SQL = path.join(__dirname, '../../../../pipelines/audience-index/sql');

function checkOf(id: string): CheckDeclaration {
  const check = [...landedSuite.checks, ...reportSuite.checks].find((one) => one.id === id);
  if (check === undefined) throw new Error(`there is no check ${id}`);
  return check;
}

describe('the declaration of audience-index', () => {
  it('uses every text in its folder, and no placeholder but the window’s', () => {
    const used = Object.values(audienceIndex.stages).flatMap((stage) => (stage.kind === 'compute' ? [stage.sql, stage.bootstrap] : []));
    const files = readdirSync(SQL);
    expect(used.filter((file) => file !== undefined).sort()).toEqual(files.filter((file) => !file.endsWith('.spark.sql')).sort());
    expect(files).toEqual(expect.arrayContaining(files.map((file) => file.replace('.spark.sql', '.sql'))));
    const placeholders = files.flatMap((file) => placeholdersOf(readFileSync(path.join(SQL, file), 'utf8')).map(({ name }) => name));
    expect(new Set(placeholders)).toEqual(new Set(['window_end', 'as_of']));
  });

  it('computes no state before the landed rows were judged', () => {
    for (const id of ['updateUdb', 'updateSite']) expect(audienceIndex.stages[id]?.needs).toContain('landed');
  });

  it('cuts landing and state by user alike, so that a bucket is complete', () => {
    const cuts = ['segment_adds', 'pixel_fires', 'udb', 'site'].map((dataset) => audienceIndex.datasets[dataset]?.buckets);
    expect(new Set(cuts.map((cut) => JSON.stringify(cut)))).toEqual(new Set(['{"by":"user_id","count":8}']));
    // On Spark the text itself names the bucket.
    const spark = readFileSync(path.join(SQL, 'count-overlaps.spark.sql'), 'utf8');
    expect([...spark.matchAll(/% (\d+)/g)].map(([, count]) => count)).toEqual(['8', '8']);
  });

  it('keeps the names of users out of samples and logs', () => {
    for (const [name, dataset] of Object.entries(audienceIndex.datasets)) {
      expect([name, dataset.pii ?? []]).toEqual([name, 'user_id' in dataset.columns ? ['user_id'] : []]);
    }
  });

  it('publishes three tables in one flip', () => {
    expect(audienceIndex.stages['publish']).toMatchObject({
      mode: 'newest',
      tables: {
        audience_index: { from: 'report', key: ['pixel_id', 'segment_id'] },
        audience_segments: { from: 'audience_segments', key: ['segment_id'] },
        audience_pixels: { from: 'audience_pixels', key: ['pixel_id'] },
      },
    });
  });
});

describe('the gates of audience-index', () => {
  it.each(['segmentAdds', 'pixelFires'])('hold %s to its share of quarantine', (stage) => {
    expect(checkOf(`${stage}-late`)).toMatchObject({ measure: { stage, reasons: ['late'] }, warn: { max: 0.001 }, fail: { max: 0.05 } });
    expect(checkOf(`${stage}-unusable`)).toMatchObject({
      measure: { stage, reasons: ['early', 'malformed'] },
      warn: { max: 0.01 },
      fail: { max: 0.2 },
    });
  });

  it.each([
    ['report', ['pixel_id', 'segment_id']],
    ['audience_segments', ['segment_id']],
    ['audience_pixels', ['pixel_id']],
  ])('fail a duplicate or missing key of %s', (dataset, key) => {
    expect(checkOf(`${dataset}-key-unique`)).toMatchObject({ dataset, measure: { metric: 'duplicate-keys', key }, fail: { max: 0 } });
    for (const column of key)
      expect(checkOf(`${dataset}-${column}-complete`)).toMatchObject({ measure: { metric: 'null-count', column }, fail: { max: 0 } });
  });

  it.each(['audience_segments', 'audience_pixels'])('warn of any id %s does not know, and fail above a tenth', (names) => {
    expect(checkOf(`${names}-unknown`)).toMatchObject({ as: 'ratio', warn: { max: 0 }, fail: { max: 0.1 } });
  });

  it.each(['udb', 'site', 'report'])('only warn of a size of %s unlike its history', (dataset) => {
    const check = checkOf(`${dataset}-size`);
    expect([check.warn, check.fail]).toEqual(['drift', undefined]);
  });

  it('have each its own name and say why', () => {
    const checks = [...landedSuite.checks, ...reportSuite.checks];
    expect(new Set(checks.map(({ id }) => id)).size).toBe(checks.length);
    for (const { why } of checks) expect(why).toMatch(/^[A-Z].+\.$/);
  });
});
