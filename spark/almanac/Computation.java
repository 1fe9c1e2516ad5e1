package almanac;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.functions;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.util.SerializableConfiguration;

/** The rows of an order's text, written and measured. */
final class Computation {
  private static final String BUCKET = "almanac_bucket";

  private final SparkSession spark;
  private final Order order;

  Computation(SparkSession spark, Order order) {
    this.spark = spark;
    this.order = order;
  }

  Result result(Usage usage) {
    for (Order.View view : order.views()) rowsOf(view).createOrReplaceTempView(quoted(view.alias()));
    // Within parentheses nothing but a query can stand.
    Dataset<Row> returned = spark.sql("select * from (\n" + order.text() + "\n) as result");
    if (!isDeclared(returned.schema())) return new Result(Result.FORMAT, null, schemaFault(returned.schema()));
    List<WrittenFile> files = write(returned);
    Measure total = new Measure(order.output().columns());
    files.forEach(file -> total.add(file.measure()));
    List<Result.Profile> profiles = new ArrayList<>();
    for (int at = 0; at < order.output().columns().size(); at++) profiles.add(total.profile(at));
    Long duplicates = order.output().key() == null ? null : Long.valueOf(duplicateKeys(files, total.rows()));
    return new Result(
        Result.FORMAT,
        new Result.Written(
            files.stream().map(file -> new Result.File(file.name(), file.measure().rows(), file.bytes(), file.sha256(), file.bucket())).toList(),
            total.digest(),
            profiles,
            duplicates,
            usage.cpuSeconds(),
            usage.peakMemoryBytes()),
        null);
  }

  private Dataset<Row> rowsOf(Order.View view) {
    return view.layouts().stream().map(this::rowsOf).reduce((all, next) -> all.unionByName(next, true)).orElseThrow();
  }

  private Dataset<Row> rowsOf(Order.Layout layout) {
    StructType schema = schemaOf(layout.columns());
    return layout.files().isEmpty()
        ? spark.createDataFrame(List.of(), schema)
        : spark.read().schema(schema).parquet(layout.files().toArray(String[]::new));
  }

  /** One file a partition, or one a bucket that has rows. */
  private List<WrittenFile> write(Dataset<Row> returned) {
    Order.Output output = order.output();
    Dataset<Row> rows =
        returned.select(
            output.columns().stream()
                .map(column -> returned.col(quoted(column.name())).cast(column.type().spark).as(column.name()))
                .toArray(org.apache.spark.sql.Column[]::new));
    if (output.buckets() != null) {
      org.apache.spark.sql.Column bucket = functions.col(BUCKET);
      rows = rows.withColumn(BUCKET, functions.expr(bucketOf(output.buckets()))).repartition(bucket).sortWithinPartitions(bucket);
    }
    Configuration configuration = spark.sparkContext().hadoopConfiguration();
    String nonce = UUID.randomUUID().toString().substring(0, 12).replace("-", "");
    PartitionWriter writer = new PartitionWriter(output, nonce, new SerializableConfiguration(configuration));
    return rows.queryExecution().toRdd().toJavaRDD().mapPartitions(writer).collect();
  }

  /** As pipelines/bucket-sql.ts says. */
  private static String bucketOf(Order.Buckets buckets) {
    String text = "coalesce(cast(" + quoted(buckets.by()) + " as string), '')";
    return "cast(conv(substr(md5(cast(" + text + " as binary)), 1, 2), 16, 10) as int) % " + buckets.count();
  }

  /** Rows beyond the first of each key, counted in the files; NULL is a value like any other. */
  private long duplicateKeys(List<WrittenFile> files, long count) {
    if (files.isEmpty()) return 0;
    Order.Output output = order.output();
    String[] names = files.stream().map(file -> output.folder() + file.name()).toArray(String[]::new);
    Dataset<Row> rows = spark.read().schema(schemaOf(output.columns())).parquet(names);
    org.apache.spark.sql.Column[] key = output.key().stream().map(name -> rows.col(quoted(name))).toArray(org.apache.spark.sql.Column[]::new);
    // Equal keys have equal hashes: as many hashes as rows prove that there are none, and are less to group by than the keys themselves.
    if (rows.select(functions.xxhash64(key)).distinct().count() == count) return 0;
    Row keys = rows.groupBy(key).agg(functions.count(functions.lit(1)).as("copies")).agg(functions.expr("coalesce(sum(copies - 1), 0)")).head();
    return keys.getLong(0);
  }

  private boolean isDeclared(StructType returned) {
    List<Column> declared = order.output().columns();
    StructField[] fields = returned.fields();
    if (fields.length != declared.size()) return false;
    for (int at = 0; at < fields.length; at++) {
      if (!fields[at].name().equals(declared.get(at).name())) return false;
      if (!fields[at].dataType().simpleString().matches(declared.get(at).accepts())) return false;
    }
    return true;
  }

  private static Result.Fault schemaFault(StructType returned) {
    return new Result.Fault(
        "schema",
        null,
        Arrays.stream(returned.fields()).map(field -> new Result.Returned(field.name(), field.dataType().simpleString())).toList());
  }

  private static StructType schemaOf(List<Column> columns) {
    StructType schema = new StructType();
    for (Column column : columns) schema = schema.add(column.name(), column.type().spark);
    return schema;
  }

  private static String quoted(String name) {
    return "`" + name.replace("`", "``") + "`";
  }
}
