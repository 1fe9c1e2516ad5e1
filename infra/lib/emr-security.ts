import type * as kms from 'aws-cdk-lib/aws-kms';
import * as emr from 'aws-cdk-lib/aws-emr';
import type * as s3 from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';

/** What reading and writing by a key takes, of disks as of objects; to lend it to disks is another grant. */
export const KEY_USES: readonly string[] = [
  'kms:Decrypt',
  'kms:DescribeKey',
  'kms:Encrypt',
  'kms:GenerateDataKey',
  'kms:GenerateDataKeyWithoutPlaintext',
  'kms:ReEncryptFrom',
  'kms:ReEncryptTo',
];

/** Where the certificates of nodes are put once, beside the cluster logs (docs/deploying.md). */
export const CERTIFICATES = 'emr/certificates.zip';

/** At rest: S3, local disks and volumes under one key. In transit: the certificates that were put into the bucket. Metadata of instances: version 2 only. */
export function emrSecurity(
  scope: Construct,
  id: string,
  props: { readonly name: string; readonly key: kms.IKey; readonly bucket: s3.IBucket },
) {
  const { name, key, bucket } = props;
  return new emr.CfnSecurityConfiguration(scope, id, {
    name: `${name}-encrypted`,
    securityConfiguration: {
      EncryptionConfiguration: {
        EnableAtRestEncryption: true,
        AtRestEncryptionConfiguration: {
          S3EncryptionConfiguration: { EncryptionMode: 'SSE-KMS', AwsKmsKey: key.keyArn },
          LocalDiskEncryptionConfiguration: { EncryptionKeyProviderType: 'AwsKms', AwsKmsKey: key.keyArn, EnableEbsEncryption: true },
        },
        EnableInTransitEncryption: true,
        InTransitEncryptionConfiguration: {
          TLSCertificateConfiguration: { CertificateProviderType: 'PEM', S3Object: bucket.s3UrlForObject(CERTIFICATES) },
        },
      },
      InstanceMetadataServiceConfiguration: { MinimumInstanceMetadataServiceVersion: 2, HttpPutResponseHopLimit: 1 },
    },
  });
}
