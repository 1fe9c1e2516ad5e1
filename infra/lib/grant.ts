import * as iam from 'aws-cdk-lib/aws-iam';
import { arguePatterns } from './acknowledge';

export interface Grant {
  readonly sid: string;
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly conditions?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Why the resources are a pattern; without it cdk-nag refuses one. */
  readonly because?: string;
}

/** Allows a role exactly this. */
export function grant(role: iam.Role, { sid, actions, resources, conditions, because }: Grant): void {
  role.addToPolicy(
    new iam.PolicyStatement({
      sid,
      actions: [...actions],
      resources: [...resources],
      ...(conditions === undefined ? {} : { conditions: { ...conditions } }),
    }),
  );
  if (because !== undefined) arguePatterns(role, resources, because);
}
