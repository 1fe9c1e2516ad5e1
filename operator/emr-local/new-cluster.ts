import { validation } from './aws-error';
import type { Cluster, Step } from './cluster';
import type { RunJobFlowRequest, StepRequest } from './requests';
import { isActive } from './states';
import { addedTags } from './tags';

/** Steps of a cluster that are not over; EMR refuses more. */
const ACTIVE_STEP_LIMIT = 256;

/** Letters and digits of an id of EMR after its `j-` or `s-`; 36^13 of them never repeat. */
export const ID_LENGTH = 13;

/** The cluster that a RunJobFlow asks for, without its steps. Throws AwsError for what EMR refuses. */
export function newCluster(id: string, { Steps: _steps, ...request }: RunJobFlowRequest, now: number): Cluster {
  checkRelease(request);
  checkInstances(request.Instances);
  checkLogUri(request.LogUri);
  const { KeepJobFlowAliveWhenNoSteps: keepAlive, TerminationProtected: terminationProtected } = request.Instances;
  const idleTimeout = request.AutoTerminationPolicy?.IdleTimeout;
  return {
    id,
    request,
    state: 'STARTING',
    reason: {},
    createdAt: now,
    since: now,
    stepConcurrency: request.StepConcurrencyLevel ?? 1,
    keepAlive: keepAlive ?? false,
    terminationProtected: terminationProtected ?? false,
    ...(idleTimeout === undefined ? {} : { idleTimeout }),
    tags: addedTags({}, request.Tags ?? []),
    steps: [],
  };
}

/** The steps of a request for that cluster. Throws ValidationException where EMR refuses them all. */
export function newSteps(cluster: Cluster, requests: readonly StepRequest[], newId: () => string, now: number): readonly Step[] {
  const active = cluster.steps.filter(({ state }) => state === 'PENDING' || isActive(state)).length;
  if (active + requests.length > ACTIVE_STEP_LIMIT)
    throw validation("Maximum number of active steps(State = 'Running', 'Pending' or 'Cancel_Pending') for cluster exceeded.");
  return requests.map((request) => {
    const actionOnFailure = request.ActionOnFailure ?? 'TERMINATE_CLUSTER';
    if (cluster.stepConcurrency > 1 && actionOnFailure !== 'CONTINUE')
      throw validation(`ActionOnFailure ${actionOnFailure} is not valid for a cluster whose StepConcurrencyLevel is greater than 1.`);
    return { id: newId(), name: request.Name, actionOnFailure, jar: request.HadoopJarStep, state: 'PENDING', createdAt: now };
  });
}

function checkRelease({ ReleaseLabel: label }: { readonly ReleaseLabel?: string | undefined }): void {
  if (label === undefined || !/^emr-\d+\.\d+\.\d+$/.test(label))
    throw validation(`The supplied release label is invalid: ${label ?? 'null'}.`);
}

function checkLogUri(uri: string | undefined): void {
  if (uri !== undefined && !/^(s3[an]?:\/\/[^/]+|file:\/\/\/)/.test(uri))
    throw validation(`The log URI ${uri} is not valid: expected s3://BUCKET/PREFIX, or file:///DIRECTORY of a local cluster.`);
}

function checkInstances(instances: RunJobFlowRequest['Instances']): void {
  const { InstanceFleets: fleets, InstanceGroups: groups, InstanceCount: count } = instances;
  const ways = [fleets, groups, count].filter((way) => way !== undefined).length;
  if (ways > 1)
    throw validation(
      'Please configure instances using one and only one of the following: instance groups; instance fleets; instance count, master and slave instance type.',
    );
  if (ways === 0) throw validation('An instance count, instance groups or instance fleets must be specified.');
  if (count !== undefined && count < 1) throw validation('Instance count must be greater than 0.');
  const roles = (fleets ?? []).map((fleet) => fleet.InstanceFleetType).concat((groups ?? []).map((group) => group.InstanceRole));
  if (fleets !== undefined || groups !== undefined) checkRoles(roles, fleets === undefined ? 'group' : 'fleet');
  for (const fleet of fleets ?? []) {
    if ((fleet.TargetOnDemandCapacity ?? 0) + (fleet.TargetSpotCapacity ?? 0) === 0)
      throw validation(
        `At least one of target on-demand capacity and target spot capacity of the fleet ${fleet.InstanceFleetType} must be greater than 0.`,
      );
    if ((fleet.InstanceTypeConfigs ?? []).length === 0)
      throw validation(`The instance fleet ${fleet.InstanceFleetType} must have at least one instance type.`);
  }
}

function checkRoles(roles: readonly string[], noun: string): void {
  const count = (role: string): number => roles.filter((candidate) => candidate === role).length;
  if (count('MASTER') === 0)
    throw validation(`Zero master instance ${noun}s supplied, you must specify exactly one master instance ${noun}`);
  // Of groups EMR takes several for tasks, of fleets one.
  for (const role of noun === 'fleet' ? ['MASTER', 'CORE', 'TASK'] : ['MASTER', 'CORE']) {
    const name = role.toLowerCase();
    if (count(role) > 1)
      throw validation(`Multiple ${name} instance ${noun}s supplied, you must specify exactly one ${name} instance ${noun}`);
  }
  if (count('TASK') > 0 && count('CORE') === 0) throw validation('Clusters with task nodes must also define core nodes.');
}
