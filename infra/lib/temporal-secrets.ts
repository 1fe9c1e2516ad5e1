import { CfnOutput } from 'aws-cdk-lib';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as secrets from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge';
import type { Settings } from './settings';

/** How workers prove who they are to Temporal: variables by name. What they hold is put there once by hand (docs/deploying.md). */
export function temporalSecrets(scope: Construct, settings: Settings, key: kms.IKey): Record<string, ecs.Secret> {
  switch (settings.temporalAuthentication) {
    case 'none':
      return {};
    case 'api-key':
      return { TEMPORAL_API_KEY: ecs.Secret.fromSecretsManager(secret(scope, settings, key, 'ApiKey', 'API key for Temporal')) };
    case 'certificate': {
      const pair = secret(scope, settings, key, 'Certificate', 'client certificate for Temporal: {"certificate": PEM, "key": PEM}');
      return {
        TEMPORAL_TLS_CLIENT_CERT_DATA: ecs.Secret.fromSecretsManager(pair, 'certificate'),
        TEMPORAL_TLS_CLIENT_KEY_DATA: ecs.Secret.fromSecretsManager(pair, 'key'),
      };
    }
  }
}

function secret(scope: Construct, { name }: Settings, key: kms.IKey, id: string, description: string): secrets.Secret {
  const made = new secrets.Secret(scope, id, { description: `${name}: ${description}`, encryptionKey: key });
  acknowledge(made, 'AwsSolutions-SMG4', 'Temporal issues it, not AWS: it is put here by hand before it expires (docs/deploying.md).');
  new CfnOutput(scope, `${id}Secret`, { value: made.secretArn });
  return made;
}
