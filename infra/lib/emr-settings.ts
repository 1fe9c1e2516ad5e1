import type { Stack } from 'aws-cdk-lib';
import type { EmrSettings } from '../../lib/emr-settings';
import { CLUSTER_TAG } from './cluster-tag';
import { FLEETS, SPOT_TIMEOUT_MINUTES, STEP_CONCURRENCY } from './emr-fleets';
import { CLUSTER_LOGS, RELEASE, type EmrStack } from './emr-stack';
import type { Settings } from './settings';
import type { StorageStack } from './storage-stack';
import { JOB_FOLDER, STORE_PREFIX } from './store-folders';

/** EMR puts logs into the bucket every five minutes. */
const LOG_SECONDS = 330;

/**
 * The settings that `ALMANAC_EMR_SETTINGS` names, in the program's own type, as JSON whose references CloudFormation resolves. The jar of the job
 * is that of the image's release: both are put there under one tag (docs/deploying.md).
 */
export function emrSettings(
  scope: Stack,
  { settings, emr, storage }: { readonly settings: Settings; readonly emr: EmrStack; readonly storage: StorageStack },
): string {
  const { groups, cluster } = emr;
  const made: EmrSettings = {
    job: {
      jar: storage.data.s3UrlForObject(`${STORE_PREFIX}/${JOB_FOLDER}/${settings.imageTag}.jar`),
      class: 'almanac.Job',
      sparkArguments: ['--conf', `spark.hadoop.fs.s3a.endpoint.region=${scope.region}`],
    },
    pollSeconds: 10,
    settleSeconds: 60,
    logSeconds: LOG_SECONDS,
    ...(cluster !== undefined
      ? {}
      : {
          transient: {
            release: RELEASE,
            logs: storage.logs.s3UrlForObject(CLUSTER_LOGS),
            logKey: storage.key.keyArn,
            serviceRole: emr.serviceRole.roleArn,
            instanceProfile: emr.instanceProfile.instanceProfileName,
            subnets: [...emr.subnetIds],
            securityConfiguration: emr.securityConfiguration.ref,
            securityGroups: {
              primary: groups.primary.securityGroupId,
              core: groups.core.securityGroupId,
              service: groups.service.securityGroupId,
            },
            fleets: FLEETS.map(({ role, types, onDemand, spot }) => ({
              role,
              onDemand,
              spot,
              instances: types.map((type) => ({ type, weight: 1 })),
              spotTimeoutMinutes: SPOT_TIMEOUT_MINUTES,
            })),
            bootstrap: [],
            configurations: [],
            // Without it the workers may not start a cluster, nor EMR its instances.
            tags: { [CLUSTER_TAG]: settings.name },
            idleSeconds: 900,
            steps: STEP_CONCURRENCY,
          },
        }),
  };
  return scope.toJsonString(made);
}
