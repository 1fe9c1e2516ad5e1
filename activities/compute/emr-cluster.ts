import type { RunJobFlowCommandInput } from '@aws-sdk/client-emr';
import type pg from 'pg';
import type { Clock } from '../../lib/clock';
import type { TransientCluster } from '../../lib/emr-settings';
import { whileAlone } from '../../lib/postgres';
import { nextForCluster, type ListedCluster } from '../../pipelines/cluster-effect';
import { formatRun } from '../../pipelines/run-id';
import type { RunRef } from '../../pipelines/types';
import { changeCluster, endIntent, openCluster, type ClusterRow } from '../ledger/clusters';
import { overtaken } from './emr-failures';
import type { EmrClient } from './emr-client';
import { EmrFault } from './emr-fault';
import { pause } from './pause';

/** Guards the making of a run's cluster; spells "clus". */
const CLUSTER_LOCK = 0x636c7573;
const SKEW_MS = 3_600_000;

export interface ClusterServices {
  readonly database: pg.Pool;
  readonly client: EmrClient;
  readonly clock: Clock;
  readonly settleMs: number;
  readonly pollMs: number;
  readonly log: (line: string) => void;
  readonly point: (name: string) => Promise<void>;
}

/**
 * The cluster of a run: the one it has, one whose making was interrupted, or a new one. Steps may be given to it at once, whether its machines
 * are there or not.
 */
export async function clusterOf(services: ClusterServices, run: RunRef, wanted: TransientCluster, signal: AbortSignal): Promise<string> {
  for (;;) {
    // One maker a run at a time: of two only one would be on record.
    const found = await whileAlone(services.database, CLUSTER_LOCK, `${formatRun(run)} ${run.generation}`, () =>
      make(services, run, wanted, signal),
    );
    if (found !== undefined) return found;
    await pause(services.pollMs, signal);
  }
}

async function make(services: ClusterServices, run: RunRef, wanted: TransientCluster, signal: AbortSignal): Promise<string> {
  const { database, client, clock, settleMs, pollMs } = services;
  let row = await opened(services, run);
  let listing: { at: Date; clusters: ListedCluster[] } | undefined;
  for (;;) {
    signal.throwIfAborted();
    const action = nextForCluster(row, listing, settleMs);
    switch (action.do) {
      case 'use':
        return action.cluster;
      case 'adopt':
        services.log(`cluster ${action.cluster} was made before and is adopted`);
        if (!(await changeCluster(database, row, { cluster: action.cluster }))) throw overtaken(run);
        return action.cluster;
      case 'end':
        await endIntent(database, row, action.cluster, clock.now());
        row = await opened(services, run);
        listing = undefined;
        break;
      case 'look':
        if (action.notBefore !== undefined) await pause(action.notBefore.getTime() - clock.now().getTime(), signal);
        listing = await look(services, row, signal);
        break;
      case 'create': {
        const sentAt = clock.now();
        if (!(await changeCluster(database, row, { sentAt }))) throw overtaken(run);
        await services.point('cluster-intended');
        listing = undefined;
        const made = await create(services, row, wanted);
        if (made === undefined) {
          row = { ...row, sentAt };
          break;
        }
        if (made === 'later') {
          await changeCluster(database, row, { sentAt: null });
          await pause(pollMs, signal);
          break;
        }
        await services.point('cluster-made');
        services.log(`cluster ${made} is made for this run`);
        if (!(await changeCluster(database, row, { cluster: made }))) {
          await client.terminate(made);
          throw overtaken(run);
        }
        return made;
      }
    }
  }
}

async function opened({ database, clock }: ClusterServices, run: RunRef): Promise<ClusterRow> {
  const row = await openCluster(database, run, clock.now());
  if (row === undefined) throw overtaken(run);
  return row;
}

/** The id, undefined when the answer is in doubt. */
async function create({ client }: ClusterServices, row: ClusterRow, wanted: TransientCluster): Promise<string | 'later' | undefined> {
  try {
    return await client.runCluster(clusterRequest(row, wanted));
  } catch (error) {
    if (!(error instanceof EmrFault) || error.kind === 'refused') throw error;
    return error.kind === 'doubt' ? undefined : 'later';
  }
}

async function look(
  { client, clock, pollMs }: ClusterServices,
  { name, intentAt }: ClusterRow,
  signal: AbortSignal,
): Promise<{ at: Date; clusters: ListedCluster[] }> {
  for (let waitMs = pollMs; ; waitMs = Math.min(waitMs * 2, 300_000)) {
    const at = clock.now();
    try {
      const listed = await client.listClusters(new Date(intentAt.getTime() - SKEW_MS), false);
      const clusters = listed.filter((cluster) => cluster.name === name);
      return { at, clusters: clusters.sort((a, b) => (a.createdAt?.getTime() ?? 0) - (b.createdAt?.getTime() ?? 0)) };
    } catch (error) {
      if (!(error instanceof EmrFault) || error.kind !== 'throttled') throw error;
      await pause(waitMs, signal);
    }
  }
}

/** The request for a cluster that ends by itself when idle, and tells whose it is. */
export function clusterRequest({ name, run }: Pick<ClusterRow, 'name' | 'run'>, wanted: TransientCluster): RunJobFlowCommandInput {
  const tags = { ...wanted.tags, 'almanac:run': `${formatRun(run)} g${run.generation}`, 'almanac:pipeline': run.pipeline };
  return {
    Name: name,
    ReleaseLabel: wanted.release,
    LogUri: wanted.logs,
    ...(wanted.logKey === undefined ? {} : { LogEncryptionKmsKeyId: wanted.logKey }),
    Applications: [{ Name: 'Spark' }],
    ServiceRole: wanted.serviceRole,
    JobFlowRole: wanted.instanceProfile,
    ...(wanted.securityConfiguration === undefined ? {} : { SecurityConfiguration: wanted.securityConfiguration }),
    Instances: {
      KeepJobFlowAliveWhenNoSteps: true,
      TerminationProtected: false,
      ...(wanted.subnets.length === 0 ? {} : { Ec2SubnetIds: wanted.subnets }),
      ...(wanted.securityGroups === undefined
        ? {}
        : {
            EmrManagedMasterSecurityGroup: wanted.securityGroups.primary,
            EmrManagedSlaveSecurityGroup: wanted.securityGroups.core,
            ServiceAccessSecurityGroup: wanted.securityGroups.service,
          }),
      InstanceFleets: wanted.fleets.map(({ role, onDemand, spot, instances, spotTimeoutMinutes }) => ({
        Name: role.toLowerCase(),
        InstanceFleetType: role,
        TargetOnDemandCapacity: onDemand,
        TargetSpotCapacity: spot,
        InstanceTypeConfigs: instances.map(({ type, weight }) => ({ InstanceType: type, WeightedCapacity: weight })),
        ...(spot === 0
          ? {}
          : {
              LaunchSpecifications: {
                SpotSpecification: {
                  TimeoutDurationMinutes: spotTimeoutMinutes,
                  TimeoutAction: 'SWITCH_TO_ON_DEMAND' as const,
                  AllocationStrategy: 'capacity-optimized' as const,
                },
              },
            }),
      })),
    },
    ...(wanted.bootstrap.length === 0
      ? {}
      : {
          BootstrapActions: wanted.bootstrap.map((action) => ({
            Name: action.name,
            ScriptBootstrapAction: { Path: action.path, Args: action.arguments },
          })),
        }),
    ...(wanted.configurations.length === 0
      ? {}
      : {
          Configurations: wanted.configurations.map(({ classification, properties }) => ({
            Classification: classification,
            Properties: properties,
          })),
        }),
    AutoTerminationPolicy: { IdleTimeout: Math.round(wanted.idleSeconds) },
    StepConcurrencyLevel: wanted.steps,
    VisibleToAllUsers: true,
    Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value: tagValue(Value) })),
  };
}

/** What AWS takes as the value of a tag; the `~` of a branch is not in it. */
function tagValue(text: string): string {
  return text.replace(/[^\p{L}\p{Z}\p{N}_.:/=+\-@]/gu, '_').slice(0, 256);
}
