import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { EmrClient } from '../../activities/compute/emr-client';
import { EmrFault } from '../../activities/compute/emr-fault';
import type { Config } from '../../lib/config';
import { readEmrSettings, type EmrConfig, type EmrSettings } from '../../lib/emr-settings';
import { failed, ok, type Finding } from './finding';

const CHECK = 'emr';
/** What the EMR of AWS, its signature and the SDK call credentials that are not taken. */
const CREDENTIALS =
  /^(CredentialsProviderError|TokenProviderError|ExpiredToken(Exception)?|UnrecognizedClientException|InvalidClientTokenId|InvalidSignatureException|IncompleteSignature(Exception)?|SignatureDoesNotMatch|MissingAuthenticationToken(Exception)?|AuthFailure)$/;

/** Whether stages can run on EMR: the settings, the service, the cluster and the job. Nothing without EMR. */
export async function emrFindings({ emr, s3 }: Pick<Config, 'emr' | 's3'>): Promise<readonly Finding[]> {
  if (emr === undefined) return [];
  let settings: EmrSettings;
  try {
    settings = readEmrSettings(emr);
  } catch (error) {
    return [failed(CHECK, error, 'correct ALMANAC_EMR_SETTINGS')];
  }
  return [await serviceFinding(emr), await jobFinding(settings, s3)];
}

async function serviceFinding(emr: EmrConfig): Promise<Finding> {
  const { createEmrClient } = await import('../../activities/compute/emr-client.js');
  const client = createEmrClient(emr);
  const place = emr.endpoint ?? `AWS${emr.region === undefined ? '' : ` in ${emr.region}`}`;
  try {
    return emr.cluster === undefined ? await listing(client, place) : await clusterFinding(client, emr.cluster, place);
  } catch (error) {
    if (!(error instanceof EmrFault)) throw error;
    const said = `${error.operation} at ${place}: ${error.service === '' || error.service === 'Error' ? '' : `${error.service}: `}${error.message}`;
    return { check: CHECK, state: error.kind === 'throttled' ? 'warn' : 'fail', message: said, next: mend(error, emr) };
  } finally {
    client.close();
  }
}

async function listing(client: EmrClient, place: string): Promise<Finding> {
  const { length } = await client.listClusters(undefined, true);
  return ok(CHECK, `${place} answers, with ${length} clusters alive; each run makes its own`);
}

async function clusterFinding(client: EmrClient, id: string, place: string): Promise<Finding> {
  const { state, name, ended, reason } = await client.describeCluster(id);
  const message = `${id} (${name}) at ${place} is ${state}`;
  if (!ended && state !== 'TERMINATING') return ok(CHECK, message);
  return {
    check: CHECK,
    state: 'fail',
    message: reason === undefined ? message : `${message}: ${reason}`,
    next: 'set ALMANAC_EMR_CLUSTER to a cluster that is alive, or unset it and give the settings a transient one',
  };
}

function mend({ kind, service, message }: EmrFault, { endpoint, cluster }: EmrConfig): string {
  if (/Region is missing/.test(message)) return 'set ALMANAC_EMR_REGION to the region of the clusters';
  if (CREDENTIALS.test(service)) return 'renew them where the AWS SDK looks (role, profile, environment), for the region of the clusters';
  if (/^AccessDenied/.test(service)) return 'allow its credentials what docs/operating.md lists';
  if (kind === 'throttled') return 'nothing: who follows steps waits; if it stays, raise pollSeconds of the settings';
  if (kind !== 'refused')
    return endpoint === undefined
      ? 'see that this machine reaches EMR, and that ALMANAC_EMR_REGION is a region'
      : `correct ALMANAC_EMR_ENDPOINT (${endpoint}), or see that the service runs`;
  return cluster === undefined
    ? 'correct ALMANAC_EMR_REGION or ALMANAC_EMR_ENDPOINT'
    : 'correct ALMANAC_EMR_CLUSTER: list-clusters of the aws command has them';
}

async function jobFinding({ job: { jar } }: EmrSettings, s3: Config['s3']): Promise<Finding> {
  const missing: Finding = {
    check: CHECK,
    state: 'fail',
    message: `the job ${jar} is not there`,
    next: `put what \`node bin/spark.mjs --job-jar\` names there, or correct job.jar of the settings`,
  };
  const there = ok(CHECK, `job ${jar}`);
  if (jar.startsWith('file://')) return existsSync(fileURLToPath(jar)) ? there : missing;
  const [{ HeadObjectCommand }, { s3Client }, { asked }, { isAbsent }] = await Promise.all([
    import('@aws-sdk/client-s3'),
    import('../../lib/aws.js'),
    import('../../activities/storage/s3-place.js'),
    import('../../activities/storage/s3-failures.js'),
  ]);
  const client = s3Client(s3 ?? { pathStyle: false });
  const { host: bucket, pathname } = new URL(jar);
  const key = decodeURIComponent(pathname.slice(1));
  try {
    const head = client.send(new HeadObjectCommand({ Bucket: bucket, Key: key })).catch((error: unknown) => {
      if (isAbsent(error)) return undefined;
      throw error;
    });
    const found = await asked({ client, bucket, prefix: '', requesterPays: false }, { key, action: 's3:GetObject' }, head);
    return found === undefined ? missing : there;
  } catch (error) {
    return failed(CHECK, error, 'correct job.jar of the settings');
  } finally {
    client.destroy();
  }
}
