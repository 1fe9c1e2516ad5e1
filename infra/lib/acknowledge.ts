import { Stack, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { flattenCfnReference } from 'cdk-nag/lib/utils/flatten-cfn-reference';
import type { IConstruct } from 'constructs';

interface Argued {
  readonly resources: readonly string[];
  readonly because: string;
}

const WILDCARDS = new WeakMap<IConstruct, Argued[]>();

/** Puts on record why a rule of cdk-nag does not hold here. */
export function acknowledge(construct: IConstruct, rule: string, reason: string): void {
  Validations.of(construct).acknowledge({ id: rule, reason });
}

/** Puts on record why policies of `construct` name these resources by a pattern. */
export function arguePatterns(construct: IConstruct, resources: readonly string[], because: string): void {
  WILDCARDS.set(construct, [...(WILDCARDS.get(construct) ?? []), { resources, because }]);
}

/**
 * The pack AwsSolutions, with the arguments of {@link arguePatterns}: cdk-nag knows a finding by its resource as the template spells
 * it, which is known only once references between stacks are resolved.
 */
export class SolutionsChecks extends AwsSolutionsChecks {
  override validateScope(scope: IConstruct): ReturnType<AwsSolutionsChecks['validateScope']> {
    for (const construct of scope.node.findAll()) {
      for (const { resources, because } of WILDCARDS.get(construct) ?? []) {
        for (const resource of resources) {
          const finding = flattenCfnReference(Stack.of(construct).resolve(resource));
          acknowledge(construct, `AwsSolutions-IAM5[Resource::${finding}]`, because);
        }
      }
    }
    return super.validateScope(scope);
  }
}
