import type { RunRef } from '../../pipelines/types';

/**
 * One Spark job of a stage. Whoever runs it may have to submit it more than once: each round has an order with a token and a result of
 * its own, and a round begins only once nothing of the one before can commit any more.
 */
export interface SparkWork {
  readonly run: RunRef;
  readonly stage: string;
  /** Number of the attempt in the run's ledger: only the newest one that runs may write about the job. */
  readonly attempt: number;
  /** Key of the candidate the job computes: the same for every attempt that means the same rows. */
  readonly candidate: string;
  /** The stage reads personal data: what may quote a row is neither kept nor told. */
  readonly maskValues?: boolean | undefined;
  /** Puts the order of a round, from 1, where the job reads it, unless it is there, and says where. Called again after a kill. */
  place(round: number): Promise<PlacedOrder>;
  /** One line of the stage's log. */
  log(line: string): void;
  /** A named point where a kill test may stop the process; does nothing otherwise. */
  point(name: string): Promise<void>;
}

export interface PlacedOrder {
  /** The only argument of the job: where the order is, as Spark spells it. */
  readonly uri: string;
  /**
   * Store path of the token that the job claims as its first act. Its body is JSON whose `submission` is the job's conf
   * `spark.almanac.submission`, so that one knows which of two steps has it; who fences a round claims it as `fence`.
   */
  readonly token: string;
  /** Store path of what the job puts as its last act. */
  readonly result: string;
}

/** A job that COMPLETED and left its result; every other end is thrown. */
export interface SparkEnd {
  readonly round: number;
  readonly order: PlacedOrder;
  /** Seconds from the start of the job to its end, as its cluster tells them. */
  readonly seconds: number;
}

/** What runs the jobs: EMR, or a spark-submit of this machine. */
export interface SparkRunner {
  /**
   * Runs one job to its end, or adopts what an earlier attempt submitted. Throws AlmanacError of the class that decides about a retry. When
   * `signal` aborts because its order is somebody else's, the job goes on and is adopted; on a cancel or a timeout it is ended.
   */
  run(work: SparkWork, signal: AbortSignal): Promise<SparkEnd>;
}
