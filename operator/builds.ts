import { isGrpcServiceError, type Client } from '@temporalio/client';
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { openExecutions } from '../activities/ledger/deploys';
import { isForgotten } from '../lib/forgotten-execution';
import { AlmanacError } from '../pipelines/failures';
import { formatRun } from '../pipelines/run-id';
import { unavailable } from './runs/execution';
import type { OperatorSession } from './session';

/** gRPC: no such deployment or version. */
const NOT_FOUND = 5;
/** gRPC: the server refuses the step from where the version is now. */
const FAILED_PRECONDITION = 9;
/** The server has not been told to watch the build: no run ever went to it, or they go there now. */
const NO_STATUS = 0;
/** It watched, and nothing open is pinned to the build. */
const DRAINED = 2;
/** What the server lists a pinned execution under. */
const DEPLOYMENT_VERSION = defineSearchAttributeKey('TemporalWorkerDeploymentVersion', SearchAttributeType.KEYWORD);
/** Runs a message names. */
const NAMED = 5;

type BuildSession = Pick<OperatorSession, 'config' | 'database' | 'temporal'>;

/** A build whose workers polled: one version of the Worker Deployment of this stack. */
export interface Build {
  readonly build: string;
  /** New runs go to it, and clock and backfills go on with it. */
  readonly current: boolean;
  /** Open runs that are pinned to it. */
  readonly openRuns: readonly string[];
  /** Whether the server is done with it: it has seen for a while that nothing open is pinned to it. Absent while new runs go to it, or before. */
  readonly drained?: boolean;
}

/** Builds that the server knows, newest first; none when no worker was started with `ALMANAC_BUILD`. */
export async function listBuilds(session: BuildSession): Promise<Build[]> {
  const client = await session.temporal();
  const deployment = await describe(client, session.config.queue);
  if (deployment === undefined) return [];
  const current = deployment.routingConfig?.currentDeploymentVersion?.buildId;
  const pinned = await pinnedRuns(session, client);
  return (deployment.versionSummaries ?? []).flatMap(({ deploymentVersion, drainageStatus }) => {
    const build = deploymentVersion?.buildId;
    if (build == null) return [];
    const drained = drainageStatus == null || drainageStatus === NO_STATUS ? {} : { drained: drainageStatus === DRAINED };
    return [{ build, current: build === current, openRuns: pinned.get(build) ?? [], ...drained }];
  });
}

/** Sends new runs to a build, and lets clock and backfills go on with it; open runs stay with theirs. Throws `deploy.unknown`, `deploy.not-ready`. */
export async function routeToBuild(session: BuildSession, build: string): Promise<void> {
  const client = await session.temporal();
  await requireBuild(session, build);
  try {
    await client.workflowService.setWorkerDeploymentCurrentVersion({
      ...{
        namespace: session.config.temporal.namespace,
        deploymentName: session.config.queue,
        buildId: build,
        identity: session.config.actor,
      },
    });
  } catch (error) {
    throw refusal(error, build, 'start workers of every role with this ALMANAC_BUILD, then route to it');
  }
}

/**
 * Has the server forget a build. Throws `deploy.pinned` while open runs are pinned to it, naming them; `deploy.not-ready` while the server has
 * not seen it drained, new runs go to it or its workers poll; `deploy.unknown`.
 */
export async function retireBuild(session: BuildSession, build: string): Promise<void> {
  const client = await session.temporal();
  const { openRuns, current, drained } = await requireBuild(session, build);
  if (openRuns.length > 0) throw pinnedTo(build, openRuns);
  if (current) {
    throw new AlmanacError('deploy.not-ready', `new runs go to build ${build}`, {
      next: 'almanac deploy route OTHER, then retire this one',
    });
  }
  if (drained === false) {
    throw new AlmanacError(
      'deploy.not-ready',
      `the server has not seen build ${build} drained yet: what is open may still be pinned to it`,
      {
        next: 'it looks every few minutes: keep its workers until almanac deploy builds says drained, then stop them and retire it',
      },
    );
  }
  try {
    await client.workflowService.deleteWorkerDeploymentVersion({
      namespace: session.config.temporal.namespace,
      deploymentVersion: { deploymentName: session.config.queue, buildId: build },
      skipDrainage: false,
      identity: session.config.actor,
    });
  } catch (error) {
    throw refusal(error, build, 'stop its workers, wait until the server has missed them for five minutes, then retire it');
  }
}

async function requireBuild(session: BuildSession, build: string): Promise<Build> {
  const builds = await listBuilds(session);
  const found = builds.find((known) => known.build === build);
  if (found !== undefined) return found;
  throw new AlmanacError('deploy.unknown', `no worker was ever started as build ${build}`, {
    next: builds.length === 0 ? 'start workers with ALMANAC_BUILD' : `use one of: ${builds.map((known) => known.build).join(', ')}`,
  });
}

/**
 * Of every build, the open runs of the ledger that are pinned to it: one question to the server for all of them. It lists a run a moment
 * after it began, so those that it does not list are asked about by name.
 */
async function pinnedRuns(session: BuildSession, client: Client): Promise<Map<string, string[]>> {
  const builds = await listedBuilds(client, session.config.queue);
  const pinned = new Map<string, string[]>();
  for (const { run } of await openExecutions(session.database)) {
    const name = formatRun(run);
    const build = builds.get(name) ?? (await buildOf(client, name));
    if (build !== undefined && build !== '') pinned.set(build, [...(pinned.get(build) ?? []), name]);
  }
  return pinned;
}

/** The build of every open execution that the server lists as pinned to one of this deployment. */
async function listedBuilds(client: Client, deployment: string): Promise<Map<string, string>> {
  const query = `ExecutionStatus = 'Running' and TemporalWorkflowVersioningBehavior = 'Pinned' and TemporalWorkerDeployment = '${deployment}'`;
  const builds = new Map<string, string>();
  try {
    for await (const { workflowId, typedSearchAttributes } of client.workflow.list({ query })) {
      const version = typedSearchAttributes.get(DEPLOYMENT_VERSION);
      // `DEPLOYMENT:BUILD`.
      if (version?.startsWith(`${deployment}:`) === true) builds.set(workflowId, version.slice(deployment.length + 1));
    }
  } catch (error) {
    throw unavailable(error);
  }
  return builds;
}

async function buildOf(client: Client, name: string): Promise<string | undefined> {
  try {
    const { raw } = await client.workflow.getHandle(name).describe();
    return raw.workflowExecutionInfo?.versioningInfo?.deploymentVersion?.buildId ?? undefined;
  } catch (error) {
    // A lost run is pinned to nothing: its next generation begins on the build of that day.
    if (isForgotten(error)) return undefined;
    throw unavailable(error);
  }
}

async function describe(
  client: Client,
  deploymentName: string,
): Promise<NonNullable<Awaited<ReturnType<Client['workflowService']['describeWorkerDeployment']>>['workerDeploymentInfo']> | undefined> {
  try {
    const { workerDeploymentInfo } = await client.workflowService.describeWorkerDeployment({
      ...{ namespace: client.options.namespace, deploymentName },
    });
    return workerDeploymentInfo ?? undefined;
  } catch (error) {
    if (codeOf(error) === NOT_FOUND) return undefined;
    throw unavailable(error);
  }
}

function pinnedTo(build: string, runs: readonly string[]): AlmanacError {
  const more = runs.length > NAMED ? ` and ${runs.length - NAMED} more` : '';
  return new AlmanacError('deploy.pinned', `open runs are pinned to build ${build}: ${runs.slice(0, NAMED).join(', ')}${more}`, {
    next: 'keep its workers until those runs are closed: almanac why RUN says what each waits for',
    details: { runs: runs.slice(0, 50) },
  });
}

function refusal(error: unknown, build: string, next: string): AlmanacError {
  if (codeOf(error) !== FAILED_PRECONDITION) return unavailable(error);
  return new AlmanacError('deploy.not-ready', `the server refuses that for build ${build}: ${messageOf(error)}`, { next });
}

function codeOf(error: unknown): number | undefined {
  return isGrpcServiceError(error) ? error.code : undefined;
}

function messageOf(error: unknown): string {
  return isGrpcServiceError(error) ? error.details : String(error);
}
