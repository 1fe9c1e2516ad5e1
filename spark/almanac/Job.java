package almanac;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.util.Map;
import java.util.UUID;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.spark.SparkConf;
import org.apache.spark.deploy.SparkHadoopUtil;
import org.apache.spark.sql.SparkSession;

/**
 * Carries out one order: claims its token first and puts its result last, each if absent, so that of all jobs of an order one writes
 * what is committed. Ends with 0 when the result is there, and with 3, at once, when another job has the token.
 */
public final class Job {
  private static final int DUPLICATE = 3;
  /** Who submitted this job, as its claim is to say. */
  private static final String SUBMISSION = "spark.almanac.submission";

  private static final ObjectMapper JSON = new ObjectMapper();

  private Job() {}

  /** The only argument is the URI of the order. */
  public static void main(String[] arguments) throws Exception {
    int code = run(arguments[0]);
    if (code != 0) System.exit(code);
    SparkSession.active().stop();
  }

  /** Carries out the order at a URI and answers with the code to end with; the session stays. */
  public static int run(String place) throws Exception {
    SparkConf settings = new SparkConf();
    Configuration configuration = SparkHadoopUtil.get().newConfiguration(settings);
    Order order = read(place, configuration);
    if (!claim(order, settings.get(SUBMISSION, ""), configuration)) {
      System.err.println("almanac: duplicate: another job has the token " + order.token());
      return DUPLICATE;
    }
    Result computed = compute(order);
    Result result = computed.having(Spent.of(SparkSession.active().sparkContext()));
    if (!ObjectPut.to(order.result(), configuration).ifAbsent(JSON.writeValueAsBytes(result)))
      throw new IllegalStateException("somebody else put " + order.result() + ", although the token was ours");
    System.err.println("almanac: put " + order.result());
    return 0;
  }

  private static Order read(String place, Configuration configuration) throws IOException {
    Path path = new Path(place);
    // Not the one that Hadoop keeps: that is to begin with the settings of the order.
    try (FileSystem files = FileSystem.newInstance(path.toUri(), configuration);
        InputStream body = files.open(path)) {
      Order order = JSON.readValue(body, Order.class);
      if (order.format() != Order.FORMAT) throw new IOException(place + " is of format " + order.format() + ", which this job does not know");
      return order;
    }
  }

  private static boolean claim(Order order, String submission, Configuration configuration) throws IOException {
    Map<String, String> claim = Map.of("submission", submission, "job", UUID.randomUUID().toString());
    return ObjectPut.to(order.token(), configuration).ifAbsent(JSON.writeValueAsBytes(claim));
  }

  private static Result compute(Order order) throws Exception {
    SparkSession.Builder builder = SparkSession.builder();
    order.settings().forEach(builder::config);
    SparkSession spark = builder.getOrCreate();
    Usage usage = new Usage();
    spark.sparkContext().addSparkListener(usage);
    try {
      return new Computation(spark, order).result(usage);
    } catch (Exception error) {
      Result.Fault fault = TextFault.of(error, order.maskValues());
      if (fault == null) throw error;
      return new Result(Result.FORMAT, null, fault);
    } finally {
      spark.sparkContext().removeSparkListener(usage);
    }
  }
}
