import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { readEmrSettings } from '../../../lib/emr-settings';
import { AlmanacError } from '../../../pipelines/failures';

const directory = mkdtempSync(path.join(os.tmpdir(), 'almanac-emr-settings-'));
const settings = path.join(directory, 'emr.json');
afterAll(() => rmSync(directory, { recursive: true }));

const JOB = { jar: 's3://code/almanac.jar' };
const MASTER = { role: 'MASTER', onDemand: 1, instances: [{ type: 'm5.xlarge' }] };
const TRANSIENT = {
  release: 'emr-7.5.0',
  logs: 's3://logs/emr',
  serviceRole: 'service',
  instanceProfile: 'instances',
  fleets: [MASTER, { role: 'TASK', spot: 4, instances: [{ type: 'm5.xlarge' }] }],
};

function read(body: unknown, cluster?: string): ReturnType<typeof readEmrSettings> {
  writeFileSync(settings, typeof body === 'string' ? body : JSON.stringify(body));
  return readEmrSettings({ settings, ...(cluster === undefined ? {} : { cluster }) });
}

test('what is not said is as it should be', () => {
  expect(read({ job: JOB, transient: TRANSIENT })).toMatchObject({
    job: { class: 'almanac.Job', sparkArguments: [] },
    transient: {
      subnets: [],
      tags: {},
      idleSeconds: 900,
      steps: 4,
      fleets: [
        { spot: 0, spotTimeoutMinutes: 10 },
        { onDemand: 0, spot: 4 },
      ],
    },
    pollSeconds: 10,
    settleSeconds: 60,
    logSeconds: 90,
  });
  expect(read({ job: JOB, pricePerHour: 2.5 }, 'j-2AXXXXXXGAPLF').pricePerHour).toBe(2.5);
});

test.each([
  ['text that is no JSON', '{', /JSON/],
  ['no job', { transient: TRANSIENT }, /^job: /],
  ['a jar that is no URI', { job: { jar: 'almanac.jar' }, transient: TRANSIENT }, /^job\.jar: expected a URI like s3:/],
  ['a misspelt setting', { job: JOB, transient: TRANSIENT, pollSecond: 3 }, /pollSecond/],
  [
    'a release that is none',
    { job: JOB, transient: { ...TRANSIENT, release: '7.5' } },
    /^transient\.release: expected a release like emr-7/,
  ],
  ['logs that are no URI', { job: JOB, transient: { ...TRANSIENT, logs: 'logs' } }, /^transient\.logs: expected a URI/],
  ['no fleet', { job: JOB, transient: { ...TRANSIENT, fleets: [] } }, /^transient\.fleets: /],
  [
    'a fleet of nothing',
    { job: JOB, transient: { ...TRANSIENT, fleets: [{ ...MASTER, onDemand: 0 }] } },
    /^transient\.fleets\.0: has neither onDemand nor spot capacity/,
  ],
  [
    'a master that may be lost',
    { job: JOB, transient: { ...TRANSIENT, fleets: [{ ...MASTER, spot: 1 }] } },
    /^transient\.fleets\.0: has spot capacity: only TASK fleets may be lost/,
  ],
  [
    'a fleet without machines',
    { job: JOB, transient: { ...TRANSIENT, fleets: [{ ...MASTER, instances: [] }] } },
    /^transient\.fleets\.0\.instances: /,
  ],
  ['a cluster that never ends', { job: JOB, transient: { ...TRANSIENT, idleSeconds: 0 } }, /^transient\.idleSeconds: /],
  ['a poll a millisecond', { job: JOB, transient: TRANSIENT, pollSeconds: 0.001 }, /^pollSeconds: /],
  ['neither cluster', { job: JOB }, /^neither ALMANAC_EMR_CLUSTER nor transient is given/],
])('%s is refused with its place', (_, body, problem) => {
  const refusal = refused(() => read(body));
  expect(refusal).toMatchObject({ code: 'config.invalid', next: expect.stringContaining(settings) });
  expect(refusal.message.replace(`${settings}, which ALMANAC_EMR_SETTINGS names: `, '')).toMatch(problem);
});

test('a cluster that stays and one of each run are not both meant', () => {
  expect(refused(() => read({ job: JOB, transient: TRANSIENT }, 'j-2AXXXXXXGAPLF')).message).toMatch(
    /both ALMANAC_EMR_CLUSTER and transient are given/,
  );
});

test('settings that are not there are named', () => {
  const nowhere = path.join(directory, 'none.json');
  expect(refused(() => readEmrSettings({ settings: nowhere })).message).toContain(nowhere);
});

function refused(body: () => unknown): AlmanacError {
  try {
    body();
  } catch (error) {
    if (error instanceof AlmanacError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}
