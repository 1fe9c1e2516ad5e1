/** Why a stage has to stop. `lost`: the worker shuts down, or the order is somebody else's by now. */
export type StopReason = 'cancelled' | 'timeout' | 'lost';

/** The reason of a stage's signal. What runs outside this machine is ended for a cancel or a timeout, and left to the next attempt otherwise. */
export class Stopped extends Error {
  override readonly name = 'Stopped';

  constructor(readonly why: StopReason) {
    super(`the stage has to stop: ${why}`);
  }
}
