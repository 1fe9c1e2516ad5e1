import { CfnOutput, Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { acknowledge, arguePatterns } from './acknowledge';
import { RETENTION } from './retention';
import type { Settings } from './settings';
import { SOURCE_FOLDERS, STORE_PREFIX } from './store-folders';

/** Images kept of the workers' repository: enough to go back to. */
const IMAGES_KEPT = 20;

/** The object store, the logs of clusters, the access logs of both, and the repository of the workers' image. */
export class StorageStack extends Stack {
  readonly key: kms.Key;
  /** The whole store: landing and reference, which others write, beside what Almanac writes, below one prefix. */
  readonly data: s3.Bucket;
  /** What EMR writes down of clusters and steps. */
  readonly logs: s3.Bucket;
  readonly images: ecr.Repository;

  constructor(scope: Construct, id: string, { settings, ...props }: StackProps & { readonly settings: Settings }) {
    super(scope, id, props);
    this.key = new kms.Key(this, 'Key', {
      description: `${settings.name}: object store and logs`,
      enableKeyRotation: true,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    const access = new s3.Bucket(this, 'Access', {
      ...KEPT_PRIVATE,
      // Log delivery of S3 knows no customer keys.
      encryption: s3.BucketEncryption.S3_MANAGED,
      lifecycleRules: [{ id: 'expire', expiration: RETENTION.accessLogs, noncurrentVersionExpiration: Duration.days(1) }],
    });
    acknowledge(access, 'AwsSolutions-S1', 'It receives the access logs of the others; its own would fill it without end.');
    const encrypted = {
      ...KEPT_PRIVATE,
      encryption: s3.BucketEncryption.KMS,
      encryptionKey: this.key,
      bucketKeyEnabled: true,
      serverAccessLogsBucket: access,
    };
    this.data = new s3.Bucket(this, 'Data', {
      ...encrypted,
      serverAccessLogsPrefix: 'data/',
      lifecycleRules: [
        // Versions of datasets are collected by Almanac, which knows what is still read; a rule by age does not.
        {
          id: 'litter',
          abortIncompleteMultipartUploadAfter: RETENTION.abandonedUpload,
          noncurrentVersionExpiration: RETENTION.noncurrentData,
          expiredObjectDeleteMarker: true,
        },
        {
          id: 'old-landing',
          prefix: `${STORE_PREFIX}/landing/`,
          transitions: [{ storageClass: s3.StorageClass.INTELLIGENT_TIERING, transitionAfter: Duration.days(30) }],
        },
      ],
    });
    this.logs = new s3.Bucket(this, 'Logs', {
      ...encrypted,
      serverAccessLogsPrefix: 'logs/',
      lifecycleRules: [
        {
          id: 'expire',
          expiration: RETENTION.clusterLogs,
          noncurrentVersionExpiration: Duration.days(1),
          abortIncompleteMultipartUploadAfter: RETENTION.abandonedUpload,
        },
      ],
    });
    this.images = new ecr.Repository(this, 'Images', {
      repositoryName: settings.name,
      imageScanOnPush: true,
      imageTagMutability: ecr.TagMutability.IMMUTABLE,
      lifecycleRules: [{ maxImageCount: IMAGES_KEPT }],
      removalPolicy: RemovalPolicy.RETAIN,
    });
    this.deliveryPolicy(settings);
    new CfnOutput(this, 'DataBucket', { value: this.data.bucketName, description: 'landing data goes below its prefix' });
    new CfnOutput(this, 'LogsBucket', { value: this.logs.bucketName });
    new CfnOutput(this, 'ImageRepository', { value: this.images.repositoryUri });
  }

  /** For those who deliver landing and reference data: they write there, and read nothing of what is made of it. */
  private deliveryPolicy(settings: Settings): void {
    const folders = SOURCE_FOLDERS.map((folder) => this.data.arnForObjects(`${STORE_PREFIX}/${folder}/*`));
    const policy = new iam.ManagedPolicy(this, 'Delivery', {
      managedPolicyName: `${settings.name}-delivery`,
      description: 'Deliver landing and reference data to Almanac',
      statements: [
        new iam.PolicyStatement({
          sid: 'Deliver',
          actions: ['s3:AbortMultipartUpload', 's3:PutObject'],
          resources: folders,
        }),
        new iam.PolicyStatement({ sid: 'Encrypt', actions: ['kms:Decrypt', 'kms:GenerateDataKey'], resources: [this.key.keyArn] }),
      ],
    });
    arguePatterns(policy, folders, 'Whoever delivers names the files: all of one folder of one bucket.');
    new CfnOutput(this, 'DeliveryPolicy', { value: policy.managedPolicyArn, description: 'attach to who delivers landing data' });
  }
}

const KEPT_PRIVATE = {
  blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
  enforceSSL: true,
  minimumTLSVersion: 1.2,
  objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
  versioned: true,
  removalPolicy: RemovalPolicy.RETAIN,
} as const;
