import { template } from './synthesise';

const network = template('plain', 'network');

test('Postgres is in subnets without a way out, workers and clusters behind NAT', () => {
  const types = Object.values(network.findResources('AWS::EC2::Subnet')).map(({ Properties }) => {
    const tag = Properties.Tags.find(({ Key }: { Key: string }) => Key === 'aws-cdk:subnet-type');
    expect(Properties.MapPublicIpOnLaunch).toBe(false);
    return tag.Value as string;
  });
  expect(types.sort()).toEqual(['Isolated', 'Isolated', 'Private', 'Private', 'Public', 'Public']);
  network.resourceCountIs('AWS::EC2::NatGateway', 1);
  template('existing', 'network').resourceCountIs('AWS::EC2::NatGateway', 2);
});

test('only workers reach Postgres, only scrapers the metrics, nobody from outside anything', () => {
  const rules = Object.values(network.findResources('AWS::EC2::SecurityGroupIngress')).map(({ Properties }) => Properties);
  expect(rules.map(({ FromPort, Description }) => [FromPort, Description]).sort()).toEqual([
    [5433, 'workers'],
    [9464, 'metrics'],
  ]);
  for (const rule of rules) expect(rule).not.toHaveProperty('CidrIp');
  for (const { Properties } of Object.values(network.findResources('AWS::EC2::SecurityGroup')))
    expect(Properties).not.toHaveProperty('SecurityGroupIngress');
});

test('S3 is reached without NAT, and flows are on record', () => {
  network.hasResourceProperties('AWS::EC2::VPCEndpoint', { VpcEndpointType: 'Gateway' });
  network.resourceCountIs('AWS::EC2::FlowLog', 1);
});

test('only private subnets carry the tag by which EMR may use them', () => {
  const tagged = Object.values(network.findResources('AWS::EC2::Subnet'))
    .filter(({ Properties }) =>
      Properties.Tags.some(({ Key, Value }: { Key: string; Value: string }) => Key === 'almanac' && Value === 'almanac'),
    )
    .map(({ Properties }) => Properties.Tags.find(({ Key }: { Key: string }) => Key === 'aws-cdk:subnet-type').Value as string);
  expect(tagged).toEqual(['Private', 'Private']);
});
