import { isGrpcServiceError, WorkflowNotFoundError } from '@temporalio/client';

/** Of gRPC. */
const NOT_FOUND = 5;

/** Whether the server has no such execution any more: reading a history answers as the server does, other calls in the SDK's words. */
export function isForgotten(error: unknown): boolean {
  return error instanceof WorkflowNotFoundError || (isGrpcServiceError(error) && error.code === NOT_FOUND);
}
