import { AlmanacError } from '../../../pipelines/failures';
import { listenerProfiles } from '../../../pipelines/listener-profiles/pipeline';
import { PipelineBench, textOf } from '../../support/pipeline-bench';

jest.setTimeout(120_000);

const TRACKS = Array.from({ length: 40 }, (_, n) => `${n},${n % 3},${n % 7},"2014-10-01 ${String(n % 24).padStart(2, '0')}:00:00",1,"1"\n`);

async function open(junk = '', change?: { readonly file: string; readonly by: (text: string) => string }): Promise<PipelineBench> {
  const bench = await PipelineBench.open(listenerProfiles, change && { [change.file]: change.by(textOf(listenerProfiles, change.file)) });
  bench.put('landing/tracks/dt=2014-10-01/a.csv', TRACKS.join('') + junk);
  bench.put('reference/cust.csv', 'CustID,Name,Gender,Level,Campaign\n0,Ada,1,1,1\n1,Bob,0,1,1\n2,Eve,1,1,1\n');
  return bench;
}

async function failureOf(bench: PipelineBench): Promise<AlmanacError> {
  return bench.run('2014-10-01').then(
    () => {
      throw new Error('every gate let it through');
    },
    (error: unknown) => {
      if (error instanceof AlmanacError) return error;
      throw error;
    },
  );
}

test('a file of which more than a fifth cannot be read holds the run', async () => {
  await using bench = await open('no record\n'.repeat(20));
  expect(await failureOf(bench)).toMatchObject({
    code: 'gate.failed',
    message: expect.stringContaining('gate landed'),
    details: { failed: [{ check: 'tracks-unusable' }] },
  });
});

test.each<[what: string, check: string, file: string, change: (text: string) => string, named: string]>([
  [
    'an hour that is counted in two parts of the day',
    'parts-sum-to-plays',
    'add-listens.sql',
    (text) => text.replace('between 5 and 11', 'between 4 and 11'),
    '"customer":"1"',
  ],
  [
    'plays that are lost on the way',
    'plays-sum-to-events',
    'add-listens.sql',
    (text) => text.replace('from new_plays', 'from new_plays where event <> 7'),
    '"events":"40"',
  ],
  [
    'a customer that is left out',
    'every-customer-profiled',
    'name-customers.sql',
    (text) => `${text.trimEnd()}\nwhere customer_plays.customer <> 2`,
    '"profiles":"2"',
  ],
  [
    'a customer that is there twice',
    'listener_profiles-key-unique',
    'name-customers.sql',
    (text) =>
      text.replace('from customer_plays', 'from (from customer_plays union all from customer_plays where customer = 1) as customer_plays'),
    '"customer":"1"',
  ],
  [
    'more mobile plays than plays',
    'mobile-within-plays',
    'profile.sql',
    (text) => text.replace('cast(sum(mobile) as bigint)', 'cast(sum(mobile) + 1 as bigint)'),
    '"customer":"0"',
  ],
])('staging → final holds %s', async (_what, check, file, change, named) => {
  await using bench = await open('', { file, by: change });
  const error = await failureOf(bench);
  expect(error.message).toContain('gate judge');
  expect(error.details).toMatchObject({ failed: expect.arrayContaining([expect.objectContaining({ check })]) });
  const { rows } = await bench.database.pool.query('select * from almanac.check_result where check_id = $1', [check]);
  expect(JSON.stringify(rows)).toContain(named);
});
