/**
 * What came of a request: `throttled` and `unreachable` surely did nothing, and later it may; `refused` surely did nothing and will not; `doubt`
 * may have done what it asked for.
 */
export type FaultKind = 'throttled' | 'unreachable' | 'refused' | 'doubt';

/** A request to EMR that failed. */
export class EmrFault extends Error {
  override readonly name = 'EmrFault';

  constructor(
    readonly kind: FaultKind,
    readonly operation: string,
    /** As the service names it. */
    readonly service: string,
    message: string,
  ) {
    super(message);
  }
}

const THROTTLED = /^(Throttling|ThrottlingException|ThrottledException|RequestLimitExceeded|TooManyRequestsException|SlowDown)$/;
/** A cluster has 256 steps that are not over: it takes another once one of them is. The name is that of any request that is not valid. */
const FULL = /^Maximum number of active steps\b/;
/** Nothing left this machine. */
const LOCAL = /^(CredentialsProviderError|TokenProviderError)$|Region is missing/;

/** Runs a request; what it throws is an {@link EmrFault}. */
export async function emrFault<T>(operation: string, send: () => Promise<T>): Promise<T> {
  try {
    return await send();
  } catch (error) {
    const name = error instanceof Error ? error.name : '';
    // A refused signature is answered with the signed request, session token and all: only the first line goes on.
    const [message = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
    throw new EmrFault(kindOf(error, name, message), operation, name, message);
  }
}

function kindOf(error: unknown, name: string, message: string): FaultKind {
  if (THROTTLED.test(name) || FULL.test(message)) return 'throttled';
  if (LOCAL.test(name) || LOCAL.test(message)) return 'refused';
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  if (code === 'ECONNREFUSED' || code === 'ENOTFOUND') return 'unreachable';
  const status = (error as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata?.httpStatusCode;
  return status !== undefined && status >= 400 && status < 500 ? 'refused' : 'doubt';
}
