/**
 * The failure converter of clients, workers and the workflow sandbox alike; so it imports nothing but the SDK. What it is given was
 * thrown already: a throw here ends the worker, and with it the work of every other run.
 */
import { ApplicationFailure, DefaultFailureConverter, type PayloadConverter, type ProtoFailure } from '@temporalio/common';
import { PAYLOAD_LIMIT_BYTES } from './payload-limit';

const MESSAGE_LENGTH = 8 * 1024;
const STACK_LENGTH = 16 * 1024;
/** Causes of causes beyond these are left out. */
const MOST_CAUSES = 10;

type Context = Parameters<DefaultFailureConverter['errorToFailure']>[2];

class LimitedFailureConverter extends DefaultFailureConverter {
  /** Never throws: what cannot be encoded, or is too large, becomes a non-retryable failure of type `payload.too-large`. */
  override errorToFailure(error: unknown, payloadConverter: PayloadConverter, context?: Context): ProtoFailure {
    try {
      const failure = bounded(super.errorToFailure(error, payloadConverter, context), MOST_CAUSES);
      const size = detailBytes(failure);
      if (size <= PAYLOAD_LIMIT_BYTES) return failure;
      return this.instead(error, `its details take ${size} bytes, more than ${PAYLOAD_LIMIT_BYTES}`, payloadConverter, context);
    } catch (reason) {
      return this.instead(error, textOf(reason), payloadConverter, context);
    }
  }

  private instead(error: unknown, why: string, payloadConverter: PayloadConverter, context: Context): ProtoFailure {
    const message = shorter(`a failure could not be passed on whole: ${shorter(why, 1024)}; it said: ${textOf(error)}`, MESSAGE_LENGTH / 2);
    const next = 'the worker’s log shows the failure; shorten what it carries';
    const details = [{ code: 'payload.too-large', class: 'user', message, next, details: {} }];
    const failure = ApplicationFailure.create({ type: 'payload.too-large', message, nonRetryable: true, details });
    return bounded(super.errorToFailure(failure, payloadConverter, context), MOST_CAUSES);
  }
}

/** Messages and stacks are no payloads, so no other limit sees them; the server's would be that of the whole answer. */
function bounded(failure: ProtoFailure, causes: number): ProtoFailure {
  const { message, stackTrace, cause } = failure;
  return {
    ...failure,
    ...(message && { message: shorter(message, MESSAGE_LENGTH) }),
    ...(stackTrace && { stackTrace: shorter(stackTrace, STACK_LENGTH) }),
    cause: cause && causes > 0 ? bounded(cause, causes - 1) : null,
  };
}

function detailBytes({ applicationFailureInfo, canceledFailureInfo, cause }: ProtoFailure): number {
  const payloads = [...(applicationFailureInfo?.details?.payloads ?? []), ...(canceledFailureInfo?.details?.payloads ?? [])];
  return payloads.reduce((sum, { data }) => sum + (data?.length ?? 0), 0) + (cause ? detailBytes(cause) : 0);
}

function textOf(error: unknown): string {
  try {
    return error instanceof Error ? error.message : String(error);
  } catch {
    return 'nothing that can be told as text';
  }
}

function shorter(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length)}… (${text.length - length} more characters)`;
}

export const failureConverter = new LimitedFailureConverter();
