import { refuseUnknown } from '../lib/settings';
import { settings } from './deployments';

test('what has no sensible default must be given', () => {
  expect(() => settings({ imageTag: '' })).toThrow('almanac:imageTag is ""');
  expect(settings()).toMatchObject({
    name: 'almanac',
    emr: 'none',
    temporalAuthentication: 'api-key',
    controlWorkers: 2,
    backfillWorkers: 0,
  });
});

test.each([
  ['temporalAddress', 'cloud.example', 'HOST:PORT'],
  ['emr', 'sometimes', 'none, transient, existing'],
  ['liveWorkers', '101', 'from 0 to 100'],
  ['natGateways', 'two', 'from 1 to 2'],
  ['name', 'Almanac', 'lower-case'],
  ['alarmEmail', 'me', 'mail address'],
] as const)('%s=%s is refused with what it may be', (name, value, expected) => {
  expect(() => settings({ [name]: value })).toThrow(new RegExp(`almanac:${name} is .*${expected}`));
});

test('a setting nobody knows is refused, and the others are named', () => {
  expect(() => refuseUnknown(['almanac:natGateway'])).toThrow(/almanac:natGateway does not exist; .*almanac:natGateways/);
  expect(() => refuseUnknown(['almanac:natGateways', '@aws-cdk/core:checkSecretUsage'])).not.toThrow();
});

test('every setting can be given', () => {
  expect(() => refuseUnknown(Object.keys(settings()).map((name) => `almanac:${name}`))).not.toThrow();
});
