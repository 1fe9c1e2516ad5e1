package almanac;

import org.apache.spark.executor.TaskMetrics;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerTaskEnd;

/** What the tasks of a job used, all together. */
final class Usage extends SparkListener {
  private static final double NANOS = 1e9;

  private long cpuNanos;
  private long peakBytes;

  @Override
  public synchronized void onTaskEnd(SparkListenerTaskEnd ended) {
    TaskMetrics metrics = ended.taskMetrics();
    if (metrics == null) return;
    cpuNanos += metrics.executorCpuTime();
    peakBytes = Math.max(peakBytes, metrics.peakExecutionMemory());
  }

  synchronized double cpuSeconds() {
    return cpuNanos / NANOS;
  }

  /** Of the task that used most. */
  synchronized long peakMemoryBytes() {
    return peakBytes;
  }
}
