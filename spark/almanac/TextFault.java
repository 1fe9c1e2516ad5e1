package almanac;

import java.util.List;
import org.apache.spark.SparkThrowable;
import org.apache.spark.sql.AnalysisException;

/** Tells what a text or its rows did wrong, which no other try mends, from what befell the job. */
final class TextFault {
  /** Classes of SQLSTATE: syntax and names, and features that Spark lacks. */
  private static final List<String> STATEMENT = List.of("42", "0A");
  /** Data, cardinality, and constraints, for instance a key twice in a map. */
  private static final List<String> VALUE = List.of("22", "21", "23");
  /** Texts name no files: this one was taken from a version, and may be restored. */
  private static final String NO_FILE = "PATH_NOT_FOUND";

  private TextFault() {}

  /** Null when it is none. With {@code maskValues} only the name of what befell a value, since what Spark says of it quotes the value. */
  static Result.Fault of(Throwable error, boolean maskValues) {
    for (Throwable cause = error; cause != null; cause = cause.getCause()) {
      String state = cause instanceof SparkThrowable known ? known.getSqlState() : null;
      if (cause instanceof SparkThrowable known && NO_FILE.equals(known.getErrorClass())) return null;
      if (cause instanceof AnalysisException || startsWith(state, STATEMENT)) return fault("statement", cause);
      if (startsWith(state, VALUE)) return maskValues ? nameOf((SparkThrowable) cause) : fault("value", cause);
    }
    return null;
  }

  private static boolean startsWith(String state, List<String> classes) {
    return state != null && classes.stream().anyMatch(state::startsWith);
  }

  private static Result.Fault nameOf(SparkThrowable known) {
    return new Result.Fault("value", "[" + known.getErrorClass() + "]", null);
  }

  private static Result.Fault fault(String kind, Throwable cause) {
    return new Result.Fault(kind, cause.getMessage(), null);
  }
}
