package almanac;

import org.apache.spark.SparkThrowable;
import org.apache.spark.sql.AnalysisException;

/** Tells what a text or its rows did wrong, which no other try mends, from what befell the job. */
final class TextFault {
  private static final String STATEMENT = "42";
  private static final String VALUE = "22";

  private TextFault() {}

  /** Null when it is none. With {@code maskValues} only the name of what befell a value, since what Spark says of it quotes the value. */
  static Result.Fault of(Throwable error, boolean maskValues) {
    for (Throwable cause = error; cause != null; cause = cause.getCause()) {
      String state = cause instanceof SparkThrowable known ? known.getSqlState() : null;
      if (cause instanceof AnalysisException || startsWith(state, STATEMENT)) return fault("statement", cause);
      if (startsWith(state, VALUE)) return maskValues ? nameOf((SparkThrowable) cause) : fault("value", cause);
    }
    return null;
  }

  private static boolean startsWith(String state, String category) {
    return state != null && state.startsWith(category);
  }

  private static Result.Fault nameOf(SparkThrowable known) {
    return new Result.Fault("value", "[" + known.getErrorClass() + "]", null);
  }

  private static Result.Fault fault(String kind, Throwable cause) {
    return new Result.Fault(kind, cause.getMessage(), null);
  }
}
