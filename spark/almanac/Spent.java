package almanac;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.spark.SparkContext;

/**
 * What a job took, as far as it can tell itself: when its JVM and its application began and when its result was ready, in milliseconds since
 * 1970; the CPU and the memory of its driver. {@code peakMemoryBytes} is null where the system does not tell.
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
record Spent(long jvmStartedAt, long startedAt, long endedAt, double cpuSeconds, Long peakMemoryBytes) {
  private static final double NANOS = 1e9;
  private static final long KIBIBYTE = 1024;
  private static final Path STATUS = Path.of("/proc/self/status");
  private static final Pattern PEAK = Pattern.compile("^VmHWM:\\s+(\\d+) kB$", Pattern.MULTILINE);

  static Spent of(SparkContext context) throws IOException {
    double cpuSeconds = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class).getProcessCpuTime() / NANOS;
    long jvmStartedAt = ManagementFactory.getRuntimeMXBean().getStartTime();
    return new Spent(jvmStartedAt, context.startTime(), System.currentTimeMillis(), cpuSeconds, peakOfDriver());
  }

  private static Long peakOfDriver() throws IOException {
    if (!Files.isReadable(STATUS)) return null;
    Matcher peak = PEAK.matcher(Files.readString(STATUS));
    return peak.find() ? Long.parseLong(peak.group(1)) * KIBIBYTE : null;
  }
}
