import type { DataConverter } from '@temporalio/common';

/** For every client and worker: payloads over 64 KiB are refused as `payload.too-large`, failures are cut to fit. */
export const dataConverter = {
  payloadConverterPath: require.resolve('./payload-limit'),
  failureConverterPath: require.resolve('./failure-limit'),
} satisfies DataConverter;

/** What a workflow bundle must be built with, so that the sandbox refuses what the worker would, and refuses it in time. */
export const payloadBundleOptions = {
  ...dataConverter,
  workflowInterceptorModules: [require.resolve('./payload-guard')],
};
