import { z } from 'zod';
import { throttled, AwsError } from './aws-error';
import { isOperation } from './requests';

/**
 * Faults that tests order: each waits for the next requests of an operation (or of any) and befalls `count` of them, oldest first.
 * `throttle` refuses; `fail` answers with a server error and does nothing; `lose-request` cuts the connection before anything is done,
 * `lose-response` after it is done; `delay-request` and `delay-response` wait before or after that.
 */
const KINDS = ['throttle', 'fail', 'lose-request', 'lose-response', 'delay-request', 'delay-response'] as const;

const ordered = z.strictObject({
  fault: z.enum(KINDS),
  operation: z.string().refine(isOperation, 'is not an operation served here').optional(),
  count: z.number().int().min(1).max(1_000_000).default(1),
  /** How long a delay is. */
  milliseconds: z.number().int().min(0).max(600_000).default(0),
});

/** The loss of a cluster's machines, as when its spot instances are taken back; befalls at once. */
const loss = z.strictObject({ fault: z.literal('lose-cluster'), cluster: z.string() });

export type Fault = z.infer<typeof ordered>;
export type FaultOrder = Fault | z.infer<typeof loss>;

/** What is still to come, and how many of each kind have befallen a request, so that a test can tell that its fault was met. */
export interface Faults {
  readonly pending: readonly Fault[];
  readonly befallen: Readonly<Record<string, number>>;
}

export const NO_FAULTS: Faults = { pending: [], befallen: {} };

export function parseFault(body: unknown): FaultOrder {
  const parsed = z.union([ordered, loss]).safeParse(body);
  if (parsed.success) return parsed.data;
  throw new AwsError('ValidationException', `not a fault: ${z.prettifyError(parsed.error)}`);
}

export interface Met {
  readonly faults: Faults;
  /** Every fault that befalls this request. */
  readonly met: readonly Fault[];
}

/** The faults that befall a request of `operation`: of each kind the oldest that waits for it. */
export function meet(faults: Faults, operation: string): Met {
  const met: Fault[] = [];
  const pending = faults.pending.flatMap((fault) => {
    const waits = (fault.operation === undefined || fault.operation === operation) && !met.some((other) => other.fault === fault.fault);
    if (!waits) return [fault];
    met.push(fault);
    return fault.count > 1 ? [{ ...fault, count: fault.count - 1 }] : [];
  });
  if (met.length === 0) return { faults, met };
  const befallen = { ...faults.befallen };
  for (const { fault } of met) befallen[fault] = (befallen[fault] ?? 0) + 1;
  return { faults: { pending, befallen }, met };
}

/** The refusal among the faults met, if there is one. */
export function refusalOf(met: readonly Fault[]): AwsError | undefined {
  if (met.some(({ fault }) => fault === 'throttle')) return throttled();
  return met.some(({ fault }) => fault === 'fail')
    ? new AwsError('InternalServerException', 'An internal failure occurred', 500)
    : undefined;
}
