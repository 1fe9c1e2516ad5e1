import { template } from './synthesise';

const observability = template('existing', 'observability');
const alarms = Object.values(observability.findResources('AWS::CloudWatch::Alarm')).map(({ Properties }) => Properties);

test('every alarm is told, as is its end, and says what to do', () => {
  for (const alarm of alarms) {
    expect(alarm.AlarmActions).toHaveLength(1);
    expect(alarm.OKActions).toHaveLength(1);
    expect(alarm.AlarmDescription).toMatch(/[:,] /);
  }
});

test('services, Postgres and the cluster are watched', () => {
  const watched = new Set(alarms.map(({ Namespace, MetricName }) => `${Namespace} ${MetricName}`));
  for (const metric of [
    'ECS/ContainerInsights RunningTaskCount',
    'AWS/ECS MemoryUtilization',
    'Almanac control-errors',
    'AWS/RDS FreeStorageSpace',
    'AWS/RDS CPUUtilization',
    'AWS/RDS FreeableMemory',
    'AWS/RDS DatabaseConnections',
    'AWS/RDS MaximumUsedTransactionIDs',
    'AWS/ElasticMapReduce MRUnhealthyNodes',
    'AWS/ElasticMapReduce IsIdle',
  ])
    expect(watched).toContain(metric);
});

test('a service that reports nothing at all is an alarm, one that is meant to be empty is none', () => {
  const missing = (deployment: 'plain' | 'existing') =>
    Object.values(template(deployment, 'observability').findResources('AWS::CloudWatch::Alarm'))
      .map(({ Properties }) => Properties)
      .filter(({ MetricName }) => MetricName === 'RunningTaskCount');
  for (const alarm of missing('existing'))
    expect(alarm).toMatchObject({ TreatMissingData: 'breaching', ComparisonOperator: 'LessThanThreshold' });
  expect(missing('existing')).toHaveLength(3);
  expect(missing('plain')).toHaveLength(2);
});

test('tasks that end by themselves and clusters that end with errors are told at once', () => {
  observability.hasResourceProperties('AWS::Events::Rule', {
    EventPattern: { 'detail-type': ['ECS Task State Change'], 'source': ['aws.ecs'] },
  });
  observability.hasResourceProperties('AWS::Events::Rule', { EventPattern: { detail: { state: ['TERMINATED_WITH_ERRORS'] } } });
});

test('the topic is encrypted, takes TLS only, and mails whom the settings name', () => {
  const [topic] = Object.values(observability.findResources('AWS::SNS::Topic'));
  expect(topic?.Properties).toHaveProperty('KmsMasterKeyId');
  observability.hasResourceProperties('AWS::SNS::Subscription', { Protocol: 'email', Endpoint: 'owner@example.com' });
  template('plain', 'observability').resourceCountIs('AWS::SNS::Subscription', 0);
});
