/**
 * Part of the workflow bundle. A converter that throws while the SDK writes down what a workflow or an Update returned fails the workflow
 * task, which is retried for ever; thrown here, inside the handler, it is the answer.
 */
import type { WorkflowInterceptors } from '@temporalio/workflow';
import { payloadConverter } from './payload-limit';

export function interceptors(): WorkflowInterceptors {
  return {
    inbound: [
      {
        async execute(input, next) {
          return fits(await next(input));
        },
        async handleUpdate(input, next) {
          return fits(await next(input));
        },
      },
    ],
  };
}

function fits<T>(result: T): T {
  payloadConverter.toPayload(result);
  return result;
}
