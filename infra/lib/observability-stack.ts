import { CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as sns from 'aws-cdk-lib/aws-sns';
import * as subscriptions from 'aws-cdk-lib/aws-sns-subscriptions';
import type { Construct } from 'constructs';
import { databaseAlarms } from './database-alarms';
import type { DatabaseStack } from './database-stack';
import type { EmrStack } from './emr-stack';
import type { Settings } from './settings';
import type { WorkerService } from './worker-service';
import type { WorkersStack } from './workers-stack';

export interface ObservabilityStackProps extends StackProps {
  readonly settings: Settings;
  readonly database: DatabaseStack;
  readonly workers: WorkersStack;
  readonly emr: EmrStack | undefined;
}

/** An alarm as it is told: its metric, from where on it is one, and what to do. */
export interface AlarmSpec {
  readonly id: string;
  readonly metric: cloudwatch.IMetric;
  readonly threshold: number;
  readonly below?: boolean;
  /** Periods in a row. */
  readonly periods: number;
  /** What is wrong and the next step: the text of the mail. */
  readonly says: string;
  /** What to make of no data; default: nothing. */
  readonly silence?: cloudwatch.TreatMissingData;
}

/**
 * Alarms on what runs Almanac: services, Postgres, clusters. What Almanac itself knows (held runs, missed slots, deadlines) is for its
 * hooks and for Prometheus: dashboards/prometheus.
 */
export class ObservabilityStack extends Stack {
  readonly topic: sns.Topic;

  constructor(scope: Construct, id: string, { settings, database, workers, emr, ...props }: ObservabilityStackProps) {
    super(scope, id, props);
    this.topic = this.alarmTopic(settings);
    for (const service of [workers.control, workers.live, workers.backfill]) this.watchService(workers, service);
    for (const alarm of databaseAlarms(database.instance, settings)) this.alarm(alarm);
    this.watchTasks(workers);
    if (emr !== undefined) this.watchClusters(emr, settings);
    new CfnOutput(this, 'AlarmTopic', { value: this.topic.topicArn });
  }

  private alarmTopic(settings: Settings): sns.Topic {
    const key = new kms.Key(this, 'Key', { description: `${settings.name}: alarms`, enableKeyRotation: true });
    const tellers = [new iam.ServicePrincipal('cloudwatch.amazonaws.com'), new iam.ServicePrincipal('events.amazonaws.com')];
    for (const teller of tellers) {
      key.addToResourcePolicy(
        new iam.PolicyStatement({
          principals: [teller],
          actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
          resources: ['*'],
          conditions: { StringEquals: { 'aws:SourceAccount': this.account } },
        }),
      );
    }
    const topic = new sns.Topic(this, 'Alarms', { topicName: `${settings.name}-alarms`, masterKey: key, enforceSSL: true });
    if (settings.alarmEmail !== undefined) topic.addSubscription(new subscriptions.EmailSubscription(settings.alarmEmail));
    return topic;
  }

  private watchService(workers: WorkersStack, { service, task, count, node }: WorkerService): void {
    const dimensionsMap = { ClusterName: workers.cluster.clusterName, ServiceName: service.serviceName };
    const insight = (metricName: string): cloudwatch.Metric =>
      new cloudwatch.Metric({
        namespace: 'ECS/ContainerInsights',
        metricName,
        dimensionsMap,
        period: Duration.minutes(1),
        statistic: 'Minimum',
      });
    if (count > 0) {
      this.alarm({
        id: `${node.id}-missing`,
        metric: insight('RunningTaskCount'),
        threshold: count,
        below: true,
        periods: 10,
        says: `Fewer ${node.id} workers run than there should: look at the service's events and its log.`,
        silence: cloudwatch.TreatMissingData.BREACHING,
      });
    }
    this.alarm({
      id: `${node.id}-memory`,
      metric: service.metricMemoryUtilization({ period: Duration.minutes(1), statistic: 'Maximum' }),
      threshold: 95,
      periods: 10,
      says: `${node.id} workers are about to be killed for memory: fewer places (ALMANAC_PLACES) or a bigger task.`,
    });
    const errors = new logs.MetricFilter(this, `${node.id}Errors`, {
      logGroup: task.log,
      filterPattern: logs.FilterPattern.stringValue('$.level', '=', 'error'),
      metricNamespace: 'Almanac',
      metricName: `${node.id}-errors`,
      metricValue: '1',
      defaultValue: 0,
    });
    this.alarm({
      id: `${node.id}-errors`,
      metric: errors.metric({ period: Duration.minutes(5), statistic: 'Sum' }),
      threshold: 10,
      periods: 3,
      says: `${node.id} workers log errors for a quarter of an hour: read their log group.`,
    });
  }

  /** A task that ended by itself; what a deployment or a scale-in stops is no news. */
  private watchTasks(workers: WorkersStack): void {
    const rule = new events.Rule(this, 'TaskEnded', {
      description: 'A worker ended by itself',
      eventPattern: {
        source: ['aws.ecs'],
        detailType: ['ECS Task State Change'],
        detail: {
          clusterArn: [workers.cluster.clusterArn],
          lastStatus: ['STOPPED'],
          stopCode: ['EssentialContainerExited', 'TaskFailedToStart'],
        },
      },
    });
    rule.addTarget(
      new targets.SnsTopic(this.topic, {
        message: events.RuleTargetInput.fromText(
          `A task of ${events.EventField.fromPath('$.detail.group')} ended by itself: ${events.EventField.fromPath('$.detail.stoppedReason')}`,
        ),
      }),
    );
  }

  private watchClusters(emr: EmrStack, settings: Settings): void {
    const rule = new events.Rule(this, 'ClusterLost', {
      description: 'A cluster ended with errors',
      eventPattern: { source: ['aws.emr'], detailType: ['EMR Cluster State Change'], detail: { state: ['TERMINATED_WITH_ERRORS'] } },
    });
    rule.addTarget(
      new targets.SnsTopic(this.topic, {
        message: events.RuleTargetInput.fromText(
          `EMR cluster ${events.EventField.fromPath('$.detail.clusterId')} ended with errors: ${events.EventField.fromPath('$.detail.message')}. Almanac retries its stages on another.`,
        ),
      }),
    );
    const { cluster } = emr;
    if (cluster === undefined) return;
    const metric = (metricName: string, statistic: string): cloudwatch.Metric =>
      new cloudwatch.Metric({
        namespace: 'AWS/ElasticMapReduce',
        metricName,
        dimensionsMap: { JobFlowId: cluster.ref },
        period: Duration.minutes(5),
        statistic,
      });
    this.alarm({
      id: 'cluster-unhealthy',
      metric: metric('MRUnhealthyNodes', 'Maximum'),
      threshold: 1,
      periods: 3,
      says: `Nodes of the cluster of ${settings.name} are unhealthy: look at its instances.`,
    });
    this.alarm({
      id: 'cluster-idle',
      metric: metric('IsIdle', 'Minimum'),
      threshold: 1,
      periods: 144,
      says: `The cluster of ${settings.name} had nothing to do for twelve hours: deploy with almanac:emr=transient, or leave it.`,
    });
  }

  private alarm({ id, metric, threshold, below, periods, says, silence }: AlarmSpec): void {
    const { ComparisonOperator: Compare, TreatMissingData } = cloudwatch;
    const alarm = new cloudwatch.Alarm(this, id, {
      alarmDescription: says,
      metric,
      threshold,
      comparisonOperator: below === true ? Compare.LESS_THAN_THRESHOLD : Compare.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      evaluationPeriods: periods,
      treatMissingData: silence ?? TreatMissingData.NOT_BREACHING,
    });
    alarm.addAlarmAction(new SnsAction(this.topic));
    alarm.addOkAction(new SnsAction(this.topic));
  }
}
