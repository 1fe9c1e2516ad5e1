import { App } from 'aws-cdk-lib';
import { readSettings, refuseUnknown } from '../lib/settings';
import { createStacks } from '../lib/stacks';

const app = new App();
refuseUnknown(Object.keys(app.node.getAllContext()));
createStacks(
  app,
  readSettings((key) => app.node.tryGetContext(key) as unknown),
);
app.synth();
