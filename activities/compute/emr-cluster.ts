import type { RunJobFlowCommandInput } from '@aws-sdk/client-emr';
import type pg from 'pg';
import type { Clock } from '../../lib/clock';
import type { TransientCluster } from '../../lib/emr-settings';
import { nextForCluster, type ListedCluster } from '../../pipelines/cluster-effect';
import { formatRun } from '../../pipelines/run-id';
import type { RunRef } from '../../pipelines/types';
import { claimSending, endCluster, endIntent, noteCluster, openCluster, withdrawSending, type ClusterRow } from '../ledger/clusters';
import { overtaken } from './emr-failures';
import { isOver, type EmrClient } from './emr-client';
import { EmrFault } from './emr-fault';
import { pause } from './pause';

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
 * are there or not. Of several makers at once one asks for it; the others go on with what came of that, and wait for nobody who is frozen.
 */
export async function clusterOf(services: ClusterServices, run: RunRef, wanted: TransientCluster, signal: AbortSignal): Promise<string> {
  const { database, client, clock, settleMs, pollMs } = services;
  let row = await opened(services, run);
  let listing: { at: Date; clusters: ListedCluster[] } | undefined;
  const readAgain = async (): Promise<void> => {
    const before = row;
    row = await opened(services, run);
    if (row.number !== before.number) listing = undefined;
  };
  for (;;) {
    signal.throwIfAborted();
    const action = nextForCluster(row, listing, settleMs);
    switch (action.do) {
      case 'use': {
        const over = await overReason(client, action.cluster);
        if (over === undefined) return action.cluster;
        await endCluster(database, action.cluster, over, clock.now());
        await readAgain();
        break;
      }
      case 'adopt':
        if (!(await noteCluster(database, row, action.cluster))) await readAgain();
        else {
          services.log(`cluster ${action.cluster} was made before and is adopted`);
          return action.cluster;
        }
        break;
      case 'end':
        await endIntent(database, row, action.cluster, clock.now());
        await readAgain();
        break;
      case 'look': {
        const waitMs = (action.notBefore?.getTime() ?? 0) - clock.now().getTime();
        if (waitMs <= 0) listing = await look(services, row, signal);
        else {
          // Whoever sent the request may have its answer meanwhile.
          await pause(Math.min(waitMs, pollMs), signal);
          await readAgain();
        }
        break;
      }
      case 'create': {
        const made = await create(services, row, wanted);
        if (made !== undefined && (await noteCluster(database, row, made))) {
          services.log(`cluster ${made} is made for this run`);
          return made;
        }
        // One too many: another has its place, or the run is over.
        if (made !== undefined) await client.terminate(made);
        else await pause(pollMs, signal);
        listing = undefined;
        await readAgain();
      }
    }
  }
}

async function opened({ database, clock }: ClusterServices, run: RunRef): Promise<ClusterRow> {
  const row = await openCluster(database, run, clock.now());
  if (row === undefined) throw overtaken(run);
  return row;
}

/** Why a cluster takes no steps any more: idle for long, it ended by itself. Undefined while it does, or does not say. */
async function overReason(client: EmrClient, id: string): Promise<string | undefined> {
  try {
    const cluster = await client.describeCluster(id);
    return isOver(cluster) ? (cluster.reason ?? cluster.state) : undefined;
  } catch (error) {
    // The polls of the step tell.
    if (error instanceof EmrFault) return undefined;
    throw error;
  }
}

/** Asks for it, unless another is about to; the id, if one came back. */
async function create(services: ClusterServices, row: ClusterRow, wanted: TransientCluster): Promise<string | undefined> {
  const { database, client, clock } = services;
  const sentAt = clock.now();
  if (!(await claimSending(database, row, sentAt))) return undefined;
  await services.point('cluster-intended');
  try {
    const made = await client.runCluster(clusterRequest(row, wanted));
    await services.point('cluster-made');
    return made;
  } catch (error) {
    if (!(error instanceof EmrFault)) throw error;
    // What is in doubt is looked for.
    if (error.kind !== 'doubt') await withdrawSending(database, row, sentAt);
    if (error.kind === 'refused') throw error;
    return undefined;
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
