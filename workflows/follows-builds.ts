import { workflowInfo } from '@temporalio/workflow';

/**
 * Of a workflow that outlives every build: where builds run side by side it goes on with the current one. Elsewhere workers are of no
 * deployment, and a server takes no word on versions from those.
 */
export function followsBuilds(): { readonly versioningBehavior?: 'AUTO_UPGRADE' } {
  return workflowInfo().currentDeploymentVersion?.deploymentName ? { versioningBehavior: 'AUTO_UPGRADE' } : {};
}
