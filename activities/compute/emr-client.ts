import {
  AddJobFlowStepsCommand,
  CancelStepsCommand,
  DescribeClusterCommand,
  EMRClient,
  ListClustersCommand,
  ListStepsCommand,
  RunJobFlowCommand,
  TerminateJobFlowsCommand,
  type RunJobFlowCommandInput,
  type StepState as ServiceState,
  type StepSummary,
} from '@aws-sdk/client-emr';
import { clientOptions, type ServicePlace } from '../../lib/aws';
import type { ListedStep, StepState } from '../../pipelines/effect';
import { emrFault } from './emr-fault';

export interface EmrStep extends ListedStep {
  readonly name: string;
  readonly createdAt: Date | undefined;
  readonly startedAt: Date | undefined;
  readonly endedAt: Date | undefined;
  /** What EMR says of its end. */
  readonly reason: string | undefined;
}

export interface EmrCluster {
  readonly id: string;
  readonly name: string;
  /** As EMR spells it. */
  readonly state: string;
  readonly ended: boolean;
  readonly createdAt: Date | undefined;
  readonly reason: string | undefined;
  readonly logs: string | undefined;
}

/** Whether a cluster has ended or surely will. */
export function isOver({ ended, state }: Pick<EmrCluster, 'ended' | 'state'>): boolean {
  return ended || state === 'TERMINATING';
}

export interface NewStep {
  readonly name: string;
  readonly args: readonly string[];
}

/** The operations used, as plain data. Every failure is an {@link EmrFault}. */
export interface EmrClient {
  /** Never sent twice: an answer that did not come is a fault in doubt. */
  addStep(cluster: string, step: NewStep): Promise<string>;
  /** Newest first, back to those made before `since`; all it lists without. Only those in one of `states`, where given. */
  listSteps(cluster: string, since: Date | undefined, states?: readonly StepState[]): Promise<EmrStep[]>;
  cancelSteps(cluster: string, steps: readonly string[]): Promise<void>;
  describeCluster(cluster: string): Promise<EmrCluster>;
  /** Never sent twice. */
  runCluster(cluster: RunJobFlowCommandInput): Promise<string>;
  /** Without `reason` and `logs`. */
  listClusters(since: Date | undefined, alive: boolean): Promise<EmrCluster[]>;
  terminate(cluster: string): Promise<void>;
  close(): void;
}

/** What tells the submissions of one step apart: a conf of the job. */
export const SUBMISSION_CONF = 'spark.almanac.submission';

const CONNECT_MS = 5_000;
/** Below the time a step is given to settle, so that a request still on its way is not sent again. */
const ANSWER_MS = 15_000;
const READ_TRIES = 3;
const ENDED = ['TERMINATED', 'TERMINATED_WITH_ERRORS'];
const ALIVE = ['STARTING', 'BOOTSTRAPPING', 'RUNNING', 'WAITING', 'TERMINATING'] as const;

const SERVICE_STATES: Readonly<Record<StepState, ServiceState>> = {
  pending: 'PENDING',
  running: 'RUNNING',
  cancelling: 'CANCEL_PENDING',
  completed: 'COMPLETED',
  cancelled: 'CANCELLED',
  failed: 'FAILED',
  interrupted: 'INTERRUPTED',
};
const STATES = new Map<string | undefined, StepState>(
  Object.entries(SERVICE_STATES).map(([state, spelled]) => [spelled, state as StepState]),
);

export function createEmrClient(place: ServicePlace): EmrClient {
  const requestHandler = { connectionTimeout: CONNECT_MS, requestTimeout: ANSWER_MS, throwOnRequestTimeout: true };
  const reader = new EMRClient({ ...clientOptions(place, READ_TRIES), requestHandler });
  // The SDK would send again what may have been accepted: submitting has no client token.
  const writer = new EMRClient({ ...clientOptions(place, 1), requestHandler });
  return {
    async addStep(cluster, { name, args }) {
      const answer = await emrFault('AddJobFlowSteps', () =>
        writer.send(
          new AddJobFlowStepsCommand({
            JobFlowId: cluster,
            Steps: [{ Name: name, ActionOnFailure: 'CONTINUE', HadoopJarStep: { Jar: 'command-runner.jar', Args: [...args] } }],
          }),
        ),
      );
      return answer.StepIds?.[0] ?? '';
    },
    async listSteps(cluster, since, states) {
      const found: EmrStep[] = [];
      for (let marker: string | undefined; ;) {
        const page = await emrFault('ListSteps', () =>
          reader.send(
            new ListStepsCommand({
              ClusterId: cluster,
              ...(states === undefined ? {} : { StepStates: states.map((state) => SERVICE_STATES[state]) }),
              ...(marker === undefined ? {} : { Marker: marker }),
            }),
          ),
        );
        const steps = (page.Steps ?? []).map(readStep);
        found.push(...steps);
        marker = page.Marker;
        const oldest = steps.at(-1)?.createdAt;
        if (marker === undefined || (since !== undefined && oldest !== undefined && oldest < since)) return found;
      }
    },
    async cancelSteps(cluster, steps) {
      await emrFault('CancelSteps', () =>
        reader.send(new CancelStepsCommand({ ClusterId: cluster, StepIds: [...steps], StepCancellationOption: 'TERMINATE_PROCESS' })),
      );
    },
    async describeCluster(id) {
      const { Cluster: cluster } = await emrFault('DescribeCluster', () => reader.send(new DescribeClusterCommand({ ClusterId: id })));
      return { ...readCluster(cluster), id, logs: cluster?.LogUri };
    },
    async runCluster(cluster) {
      const answer = await emrFault('RunJobFlow', () => writer.send(new RunJobFlowCommand(cluster)));
      return answer.JobFlowId ?? '';
    },
    async listClusters(since, alive) {
      const found: EmrCluster[] = [];
      for (let marker: string | undefined; ;) {
        const page = await emrFault('ListClusters', () =>
          reader.send(
            new ListClustersCommand({
              ...(since === undefined ? {} : { CreatedAfter: since }),
              ...(alive ? { ClusterStates: [...ALIVE] } : {}),
              ...(marker === undefined ? {} : { Marker: marker }),
            }),
          ),
        );
        found.push(...(page.Clusters ?? []).map((one) => ({ ...readCluster(one), logs: undefined })));
        marker = page.Marker;
        if (marker === undefined) return found;
      }
    },
    async terminate(cluster) {
      await emrFault('TerminateJobFlows', () => reader.send(new TerminateJobFlowsCommand({ JobFlowIds: [cluster] })));
    },
    close() {
      reader.destroy();
      writer.destroy();
    },
  };
}

function readStep({ Id, Name, Status, Config }: StepSummary): EmrStep {
  const { State, Timeline, StateChangeReason, FailureDetails } = Status ?? {};
  const prefix = `${SUBMISSION_CONF}=`;
  return {
    id: Id ?? '',
    name: Name ?? '',
    // One that is new to us may go on.
    state: STATES.get(State) ?? 'running',
    submission: Config?.Args?.find((argument) => argument.startsWith(prefix))?.slice(prefix.length),
    createdAt: Timeline?.CreationDateTime,
    startedAt: Timeline?.StartDateTime,
    endedAt: Timeline?.EndDateTime,
    reason: FailureDetails?.Message ?? FailureDetails?.Reason ?? StateChangeReason?.Message ?? StateChangeReason?.Code,
  };
}

interface RawCluster {
  readonly Id?: string | undefined;
  readonly Name?: string | undefined;
  readonly Status?:
    | {
        readonly State?: string | undefined;
        readonly StateChangeReason?: { readonly Code?: string | undefined; readonly Message?: string | undefined } | undefined;
        readonly Timeline?: { readonly CreationDateTime?: Date | undefined } | undefined;
      }
    | undefined;
}

function readCluster(cluster: RawCluster | undefined): Omit<EmrCluster, 'logs'> {
  const { State = '', StateChangeReason, Timeline } = cluster?.Status ?? {};
  return {
    id: cluster?.Id ?? '',
    name: cluster?.Name ?? '',
    state: State,
    ended: ENDED.includes(State),
    createdAt: Timeline?.CreationDateTime,
    reason: StateChangeReason?.Message ?? StateChangeReason?.Code,
  };
}
