import { invalidRequest, validation } from './aws-error';
import type { Cluster } from './cluster';
import { addSteps, cancelStep, settle, terminate, USER_REQUEST, type Change } from './machine';
import { newCluster, newSteps } from './new-cluster';
import { pageOf } from './paging';
import { parseRequest, type Operation, type RequestOf } from './requests';
import {
  bootstrapActions,
  clusterArn,
  clusterDescription,
  clusterSummary,
  instanceFleets,
  instanceGroups,
  stepDescription,
  usesFleets,
} from './shapes';
import { isEnded, isOpen } from './states';
import { addedTags, removedTags } from './tags';

/** What an operation sees. */
export interface World {
  readonly clusters: ReadonlyMap<string, Cluster>;
  readonly region: string;
  readonly now: number;
  /** An id never used before. */
  readonly newId: (kind: 'j' | 's') => string;
  /** Steps and clusters handed out at a time. */
  readonly pageSize: number;
}

export interface Outcome {
  /** The body of the answer; undefined for operations that answer with none. */
  readonly response?: Readonly<Record<string, unknown>>;
  readonly changes: readonly Change[];
}

type Handlers = { readonly [O in Operation]: (request: RequestOf<O>, world: World) => Outcome };

/** Only the last thousand steps of a cluster can be listed. */
const LISTED_STEPS = 1000;
const STEP_ID_LIMIT = 10;

/** Does one operation. Throws AwsError as the service refuses. */
export function perform(operation: Operation, body: unknown, world: World): Outcome {
  const handler = HANDLERS[operation] as (request: unknown, world: World) => Outcome;
  return handler(parseRequest(operation, body), world);
}

const HANDLERS: Handlers = {
  RunJobFlow(request, world) {
    const cluster = newCluster(world.newId('j'), request, world.now);
    const steps = newSteps(cluster, request.Steps ?? [], () => world.newId('s'), world.now);
    return {
      response: { JobFlowId: cluster.id, ClusterArn: clusterArn(cluster.id, world.region) },
      changes: [addSteps(cluster, steps, world.now)],
    };
  },

  AddJobFlowSteps({ JobFlowId, Steps }, world) {
    const cluster = openJobFlow(JobFlowId, world);
    if (Steps.length === 0) throw validation('Steps cannot be empty.');
    const steps = newSteps(cluster, Steps, () => world.newId('s'), world.now);
    return { response: { StepIds: steps.map(({ id }) => id) }, changes: [addSteps(cluster, steps, world.now)] };
  },

  DescribeStep({ ClusterId, StepId }, world) {
    const step = clusterOf(ClusterId, world).steps.find(({ id }) => id === StepId);
    if (step === undefined) throw invalidRequest(`Step id '${StepId}' is not valid.`);
    return answer({ Step: stepDescription(step) });
  },

  ListSteps({ ClusterId, StepIds, StepStates, Marker }, world) {
    const newestFirst = clusterOf(ClusterId, world).steps.slice(-LISTED_STEPS).reverse();
    if (StepIds !== undefined && StepStates !== undefined) throw invalidRequest('Cannot specify both StepIds and StepStates.');
    if (StepIds !== undefined && StepIds.length > STEP_ID_LIMIT) throw invalidRequest(`At most ${STEP_ID_LIMIT} step ids can be given.`);
    const unknown = StepIds?.find((id) => !newestFirst.some((step) => step.id === id));
    if (unknown !== undefined) throw invalidRequest(`Step id '${unknown}' is not valid.`);
    const chosen = newestFirst.filter(
      (step) => (StepIds === undefined || StepIds.includes(step.id)) && (!StepStates?.length || StepStates.includes(step.state)),
    );
    const page = pageOf(chosen, Marker, world.pageSize);
    return answer({ Steps: page.items.map(stepDescription), Marker: page.marker });
  },

  CancelSteps({ ClusterId, StepIds, StepCancellationOption }, world) {
    const cluster = clusterOf(ClusterId, world);
    const unknown = StepIds.find((id) => !cluster.steps.some((step) => step.id === id));
    if (unknown !== undefined) throw invalidRequest(`Step id '${unknown}' is not valid.`);
    const infos = StepIds.map((id) => cancelInfo(cluster, id));
    const change = StepIds.reduce<Change>(
      (before, id) => {
        const after = cancelStep(before.cluster, id, StepCancellationOption ?? 'SEND_INTERRUPT', world.now);
        return { cluster: after.cluster, commands: [...before.commands, ...after.commands] };
      },
      { cluster, commands: [] },
    );
    return { response: { CancelStepsInfoList: infos }, changes: [change] };
  },

  DescribeCluster: ({ ClusterId }, world) => answer({ Cluster: clusterDescription(clusterOf(ClusterId, world), world.region) }),

  ListClusters({ CreatedAfter, CreatedBefore, ClusterStates, Marker }, world) {
    const chosen = [...world.clusters.values()]
      .filter(({ createdAt }) => CreatedAfter === undefined || createdAt >= CreatedAfter * 1000)
      .filter(({ createdAt }) => CreatedBefore === undefined || createdAt <= CreatedBefore * 1000)
      .filter(({ state }) => !ClusterStates?.length || ClusterStates.includes(state))
      .sort((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? -1 : 1));
    const page = pageOf(chosen, Marker, world.pageSize);
    return answer({ Clusters: page.items.map((cluster) => clusterSummary(cluster, world.region)), Marker: page.marker });
  },

  TerminateJobFlows({ JobFlowIds }, world) {
    const clusters = jobFlows(JobFlowIds, world);
    // EMR ends none of the clusters of a zone where one of them is protected; ours share a zone.
    if (clusters.some(({ state, terminationProtected }) => isOpen(state) && terminationProtected))
      throw validation('Could not shut down one or more job flows since they are termination protected.');
    return { changes: clusters.map((cluster) => terminate(cluster, USER_REQUEST, world.now)) };
  },

  ModifyCluster({ ClusterId, StepConcurrencyLevel }, world) {
    const cluster = clusterOf(ClusterId, world);
    if (StepConcurrencyLevel === undefined) throw invalidRequest('StepConcurrencyLevel must be specified.');
    if (!isOpen(cluster.state)) throw invalidRequest(NOT_MODIFIABLE);
    return {
      response: { StepConcurrencyLevel },
      changes: [settle({ ...cluster, stepConcurrency: StepConcurrencyLevel }, world.now)],
    };
  },

  SetTerminationProtection: ({ JobFlowIds, TerminationProtected }, world) => ({
    changes: openJobFlows(JobFlowIds, world).map((cluster) => same({ ...cluster, terminationProtected: TerminationProtected })),
  }),

  SetKeepJobFlowAliveWhenNoSteps: ({ JobFlowIds, KeepJobFlowAliveWhenNoSteps }, world) => ({
    changes: openJobFlows(JobFlowIds, world).map((cluster) => settle({ ...cluster, keepAlive: KeepJobFlowAliveWhenNoSteps }, world.now)),
  }),

  PutAutoTerminationPolicy({ ClusterId, AutoTerminationPolicy }, world) {
    const { idleTimeout: _before, ...cluster } = openCluster(ClusterId, world);
    const idleTimeout = AutoTerminationPolicy?.IdleTimeout;
    return { response: {}, changes: [same({ ...cluster, ...(idleTimeout === undefined ? {} : { idleTimeout }) })] };
  },

  GetAutoTerminationPolicy({ ClusterId }, world) {
    const { idleTimeout } = clusterOf(ClusterId, world);
    return answer(idleTimeout === undefined ? {} : { AutoTerminationPolicy: { IdleTimeout: idleTimeout } });
  },

  RemoveAutoTerminationPolicy({ ClusterId }, world) {
    const { idleTimeout: _before, ...cluster } = openCluster(ClusterId, world);
    return { response: {}, changes: [same(cluster)] };
  },

  AddTags({ ResourceId, Tags }, world) {
    const cluster = taggable(ResourceId, world);
    return { response: {}, changes: [same({ ...cluster, tags: addedTags(cluster.tags, Tags) })] };
  },

  RemoveTags({ ResourceId, TagKeys }, world) {
    const cluster = taggable(ResourceId, world);
    return { response: {}, changes: [same({ ...cluster, tags: removedTags(cluster.tags, TagKeys) })] };
  },

  ListInstanceFleets({ ClusterId }, world) {
    const cluster = clusterOf(ClusterId, world);
    if (!usesFleets(cluster)) throw exclusive('ListInstanceFleets', 'groups', 'ListInstanceGroups');
    return answer({ InstanceFleets: instanceFleets(cluster) });
  },

  ListInstanceGroups({ ClusterId }, world) {
    const cluster = clusterOf(ClusterId, world);
    if (usesFleets(cluster)) throw exclusive('ListInstanceGroups', 'fleets', 'ListInstanceFleets');
    return answer({ InstanceGroups: instanceGroups(cluster) });
  },

  ListBootstrapActions: ({ ClusterId }, world) => answer({ BootstrapActions: bootstrapActions(clusterOf(ClusterId, world)) }),
};

const NOT_MODIFIABLE = 'A job flow that is shutting down, terminated, or finished may not be modified.';

function answer(response: Readonly<Record<string, unknown>>): Outcome {
  return { response, changes: [] };
}

function same(cluster: Cluster): Change {
  return { cluster, commands: [] };
}

function cancelInfo(cluster: Cluster, id: string): Readonly<Record<string, string>> {
  const state = cluster.steps.find((step) => step.id === id)?.state;
  if (state === 'PENDING' || state === 'RUNNING' || state === 'CANCEL_PENDING') return { StepId: id, Status: 'SUBMITTED' };
  return { StepId: id, Status: 'FAILED', Reason: `Step is in the state ${String(state)} and can no longer be cancelled.` };
}

function clusterOf(id: string, world: World): Cluster {
  const cluster = world.clusters.get(id);
  if (cluster === undefined) throw invalidRequest(`Cluster id '${id}' is not valid.`);
  return cluster;
}

function openCluster(id: string, world: World): Cluster {
  const cluster = clusterOf(id, world);
  if (!isOpen(cluster.state)) throw validation(NOT_MODIFIABLE);
  return cluster;
}

function openJobFlow(id: string, world: World): Cluster {
  const cluster = world.clusters.get(id);
  if (cluster === undefined) throw validation('Specified job flow ID not valid');
  if (!isOpen(cluster.state)) throw validation(NOT_MODIFIABLE);
  return cluster;
}

function openJobFlows(ids: readonly string[], world: World): readonly Cluster[] {
  if (ids.length === 0) throw validation('The JobFlowId list cannot be empty');
  return ids.map((id) => openJobFlow(id, world));
}

/** Also those that have ended; an id that is given twice is refused as EMR refuses it. */
function jobFlows(ids: readonly string[], world: World): readonly Cluster[] {
  if (ids.length === 0) throw validation('The JobFlowId list cannot be empty');
  if (new Set(ids).size < ids.length) throw validation('Specified job flow ID does not exist');
  return ids.map((id) => {
    const cluster = world.clusters.get(id);
    if (cluster === undefined) throw validation('Specified job flow ID not valid');
    return cluster;
  });
}

function taggable(id: string, world: World): Cluster {
  const cluster = clusterOf(id, world);
  if (isEnded(cluster.state)) throw invalidRequest('Tags cannot be modified on terminated clusters.');
  return cluster;
}

function exclusive(operation: string, uses: 'groups' | 'fleets', instead: string): Error {
  return invalidRequest(
    `Instance fleets and instance groups are mutually exclusive. The EMR cluster specified in the request uses instance ${uses}. The ${operation} operation does not support clusters that use instance ${uses}. Use the ${instead} operation instead.`,
  );
}
