/**
 * What the controller of a promoted backfill does next to bring the live tables to the new head. Pure: the windows whose tables show
 * other rows and the newest run of each go in. Deciding again after a decision was carried out in part gives the rest of it.
 */
import { RUN_STATES, type RunState } from './status';

/** A window whose tables show other rows than it accepts. */
export interface DueWindow {
  readonly window: string;
  /** The newest run of `main`. */
  readonly generation: number;
  readonly run: RunState;
  /** The controller set out to publish it, when that generation was the newest. */
  readonly after: number | undefined;
}

export type PublishingDecision =
  /** Somebody runs it, which publishes as well. */
  | { readonly do: 'wait' }
  /** By a new run, or by one that is claimed: its claimer may have died before the start. */
  | { readonly do: 'publish'; readonly window: string }
  /** `failed` are not published, and will not be before somebody mends them. */
  | { readonly do: 'halt'; readonly failed: readonly string[] }
  | { readonly do: 'done' };

/** One window at a time, in the order given; what fails is told of once the others are published. */
export function decidePublishing(due: readonly DueWindow[]): PublishingDecision {
  const failed: string[] = [];
  for (const { window, generation, run, after } of due) {
    if (run === 'held') failed.push(window);
    else if (run !== 'claimed' && RUN_STATES[run].open) return { do: 'wait' };
    else if (run === 'claimed' || after === undefined || generation <= after) return { do: 'publish', window };
    // One that went through and is not shown was answered for good: its publication says by what.
    else if (run !== 'succeeded') failed.push(window);
  }
  return failed.length === 0 ? { do: 'done' } : { do: 'halt', failed };
}
