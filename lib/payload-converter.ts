import type { DataConverter } from '@temporalio/common';

/** The file the workflow bundle must be built with, so that the sandbox refuses what the worker would. */
export const payloadConverterPath = require.resolve('./payload-limit');

/** For every client and worker: payloads over 64 KiB are refused as `payload.too-large`. */
export const dataConverter: DataConverter = { payloadConverterPath };
