import { Duration, Stack } from 'aws-cdk-lib';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import type * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { arguePatterns } from './acknowledge';
import { WorkerTask, type WorkerTaskProps } from './worker-task';

export interface WorkerServiceProps extends Omit<WorkerTaskProps, 'served'> {
  readonly cluster: ecs.ICluster;
  readonly group: ec2.ISecurityGroup;
  readonly count: number;
  /** More of them under load, up to so many. */
  readonly upTo?: number;
  /** On capacity that may be taken away at two minutes' notice. */
  readonly spot?: boolean;
  /** Where it is written what people type in it (`aws ecs execute-command`); undefined: nobody may. */
  readonly commands?: logs.ILogGroup;
}

/** Workers of one role, kept at their number. */
export class WorkerService extends Construct {
  readonly task: WorkerTask;
  readonly service: ecs.FargateService;
  /** How many of them there are to be at least. */
  readonly count: number;

  constructor(scope: Construct, id: string, props: WorkerServiceProps) {
    super(scope, id);
    this.count = props.count;
    this.task = new WorkerTask(this, 'Worker', { ...props, served: true });
    this.service = new ecs.FargateService(this, 'Service', {
      serviceName: props.name,
      cluster: props.cluster,
      taskDefinition: this.task.definition,
      securityGroups: [props.group],
      assignPublicIp: false,
      desiredCount: props.count,
      // Workers are upgraded in place: the old ones end before the new ones start (docs/operating.md).
      minHealthyPercent: 0,
      maxHealthyPercent: 100,
      availabilityZoneRebalancing: ecs.AvailabilityZoneRebalancing.DISABLED,
      circuitBreaker: { enable: true, rollback: true },
      capacityProviderStrategies: [{ capacityProvider: props.spot === true ? 'FARGATE_SPOT' : 'FARGATE', weight: 1 }],
      enableExecuteCommand: props.commands !== undefined,
      propagateTags: ecs.PropagatedTagSource.SERVICE,
    });
    if (props.commands !== undefined) {
      const { partition, region, account } = Stack.of(this);
      const written = `arn:${partition}:logs:${region}:${account}:log-group:${props.commands.logGroupName}:*`;
      arguePatterns(
        this.task.role,
        ['*'],
        'The channels of ECS Exec, and looking for its log group, know no resource; only this one service has them.',
      );
      arguePatterns(this.task.role, [written], 'Streams of one log group.');
    }
    if (props.upTo !== undefined && props.count > 0 && props.upTo > props.count) {
      this.service.autoScaleTaskCount({ minCapacity: props.count, maxCapacity: props.upTo }).scaleOnCpuUtilization('Busy', {
        targetUtilizationPercent: 60,
        scaleOutCooldown: Duration.minutes(2),
        // A worker that is taken away while it computes has its stage done again by another.
        scaleInCooldown: Duration.minutes(30),
      });
    }
  }
}
