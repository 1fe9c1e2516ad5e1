package almanac;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;

/** What a job leaves, as pipelines/spark-order.ts reads it: rows that were written, or the fault of the text, and what it took. */
@JsonInclude(JsonInclude.Include.NON_NULL)
record Result(int format, Written written, Fault fault, Spent spent) {
  static final int FORMAT = 1;

  Result(int format, Written written, Fault fault) {
    this(format, written, fault, null);
  }

  Result having(Spent spent) {
    return new Result(format, written, fault, spent);
  }

  /** {@code duplicateKeys} is null for a dataset without a key; profiles are in the order of the columns. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  record Written(
      List<File> files, Digest digest, List<Profile> profiles, Long duplicateKeys, double cpuSeconds, long peakMemoryBytes) {}

  /** {@code name} in the folder of the order. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  record File(String name, long rows, long bytes, String sha256, Integer bucket) {}

  /** Integers as text: they are larger than JavaScript can count. */
  record Digest(String rows, String first, String second) {}

  @JsonInclude(JsonInclude.Include.ALWAYS)
  record Profile(long nulls, Object min, Object max) {}

  /** {@code kind}: {@code schema} with the columns as returned; {@code statement} or {@code value} with what Spark says of it. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  record Fault(String kind, String message, List<Returned> returned) {}

  record Returned(String name, String type) {}
}
