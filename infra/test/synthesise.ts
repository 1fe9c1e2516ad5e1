import { Template } from 'aws-cdk-lib/assertions';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Deployment } from './deployments';

/** Where the global set-up put the deployment. */
export function assembly(deployment: Deployment): string {
  const { ALMANAC_TEST_ASSEMBLIES: root } = process.env;
  if (root === undefined) throw new Error('the global set-up has not run');
  return path.join(root, deployment);
}

/** A template as it would be deployed. */
export function template(deployment: Deployment, stack: string): Template {
  return Template.fromJSON(JSON.parse(readFileSync(path.join(assembly(deployment), `almanac-${stack}.template.json`), 'utf8')) as object);
}

/** The stacks of a deployment. */
export function stackNames(deployment: Deployment): readonly string[] {
  return readdirSync(assembly(deployment)).flatMap((file) => /^almanac-(\w+)\.template\.json$/.exec(file)?.[1] ?? []);
}

export interface Statement {
  readonly Sid?: string;
  readonly Effect: string;
  readonly Action: string | readonly string[];
  readonly Resource: unknown;
  readonly Condition?: unknown;
}

/** All that policies of roles allow, by the logical id of their policy. */
export function allowed(of: Template): ReadonlyMap<string, readonly Statement[]> {
  const policies = { ...of.findResources('AWS::IAM::Policy'), ...of.findResources('AWS::IAM::ManagedPolicy') };
  return new Map(
    Object.entries(policies).map(([id, policy]) => [
      id,
      (policy as { Properties: { PolicyDocument: { Statement: Statement[] } } }).Properties.PolicyDocument.Statement.filter(
        ({ Effect }) => Effect === 'Allow',
      ),
    ]),
  );
}

/** The statements of the policy whose logical id begins so. */
export function policy(of: Template, prefix: string): readonly Statement[] {
  const found = [...allowed(of)].filter(([id]) => id.startsWith(prefix));
  const [only] = found;
  if (only === undefined || found.length > 1)
    throw new Error(`${found.length} policies begin with ${prefix}: ${[...allowed(of).keys()].join(', ')}`);
  return only[1];
}

export function list(value: string | readonly string[]): readonly string[] {
  return typeof value === 'string' ? [value] : value;
}

export function actions(statements: readonly Statement[]): readonly string[] {
  return [...new Set(statements.flatMap(({ Action }) => list(Action)))].sort();
}

/** A resource as text, references and all. */
export function resources({ Resource }: Statement): readonly string[] {
  return (Array.isArray(Resource) ? Resource : [Resource]).map((resource) =>
    typeof resource === 'string' ? resource : JSON.stringify(resource),
  );
}
