import { App } from 'aws-cdk-lib';
import { mkdtempSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createStacks } from '../lib/stacks';
import { DEPLOYMENTS, FLAGS, settings } from './deployments';

/** Synthesises each deployment once for all suites, as `cdk synth` does it, in no account and no region. A rule of cdk-nag that does not hold ends it. */
export default function synthesiseAll(): void {
  const root = mkdtempSync(path.join(os.tmpdir(), 'almanac-infra-'));
  for (const [name, given] of Object.entries(DEPLOYMENTS)) {
    const app = new App({ context: FLAGS, analyticsReporting: false, outdir: path.join(root, name) });
    createStacks(app, settings(given));
    app.synth();
  }
  process.env.ALMANAC_TEST_ASSEMBLIES = root;
}
