import { App, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { SolutionsChecks } from '../lib/acknowledge';
import { grant } from '../lib/grant';
import { createStacks } from '../lib/stacks';
import { FLAGS, settings } from './deployments';

/** Rules of AwsSolutions that a deployment breaks without an argument. */
function broken(app: App): readonly string[] {
  return new SolutionsChecks()
    .validateScope(app)
    .violations.map(({ ruleName, violatingResources }) => `${ruleName} ${violatingResources[0]?.constructPath}`);
}

test('no template is made of stacks that break a rule without an argument', () => {
  // That the global set-up made all of them says that none does.
  const app = new App({ context: FLAGS });
  const { storage } = createStacks(app, settings());
  new s3.Bucket(storage, 'Open');
  expect(() => app.synth()).toThrow(/AwsSolutions-S10/);
});

test('a pattern without an argument is refused, and an argument holds for its own resources only', () => {
  const app = new App();
  const role = new iam.Role(new Stack(app, 'S'), 'Role', { assumedBy: new iam.ServicePrincipal('ec2.amazonaws.com') });
  grant(role, { sid: 'Argued', actions: ['s3:GetObject'], resources: ['arn:aws:s3:::bucket/known/*'], because: 'a test' });
  expect(broken(app)).toEqual([]);
  grant(role, { sid: 'Free', actions: ['s3:GetObject'], resources: ['arn:aws:s3:::bucket/*'] });
  expect(broken(app)).toEqual(['AwsSolutions-IAM5[Resource::arn:aws:s3:::bucket/*] S/Role/DefaultPolicy/Resource']);
});
