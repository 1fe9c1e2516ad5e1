import { readFileSync } from 'node:fs';
import path from 'node:path';
import { readSettings, type Settings } from '../lib/settings';

type Given = Partial<Record<keyof Settings, string>>;

/** What `cdk synth` sets for every app. */
export const { context: FLAGS } = JSON.parse(readFileSync(path.join(__dirname, '..', 'cdk.json'), 'utf8')) as {
  context: Record<string, unknown>;
};

/** Of each way to deploy one. */
export const DEPLOYMENTS = {
  plain: {},
  transient: { emr: 'transient', backfillWorkers: '3', databaseStorage: '200', databaseInstance: 'r7g.xlarge' },
  existing: { emr: 'existing', backfillWorkers: '1', alarmEmail: 'owner@example.com', natGateways: '2' },
  certificate: { temporalAuthentication: 'certificate' },
  open: { temporalAuthentication: 'none', controlWorkers: '0', liveWorkers: '0' },
} as const satisfies Readonly<Record<string, Given>>;

export type Deployment = keyof typeof DEPLOYMENTS;

const REQUIRED = { imageTag: 'a1b2c3', temporalAddress: 'temporal.example:7233' };

export function settings(given: Given = {}): Settings {
  const all: Record<string, string> = { ...REQUIRED, ...given };
  return readSettings((key) => all[key.replace('almanac:', '')]);
}
