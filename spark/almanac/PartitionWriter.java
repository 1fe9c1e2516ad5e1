package almanac;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.apache.hadoop.fs.Path;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.FlatMapFunction;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.util.SerializableConfiguration;

/**
 * Writes the rows of one partition, straight to names that no other task, attempt or job has: what a task leaves that Spark did not count
 * is litter. Rows of a bucketed output come sorted by bucket, which is the column after the declared ones.
 */
final class PartitionWriter implements FlatMapFunction<Iterator<InternalRow>, WrittenFile> {
  private static final long serialVersionUID = 1;

  private final ArrayList<Column> columns;
  private final boolean bucketed;
  private final String folder;
  private final String prefix;
  private final SerializableConfiguration configuration;

  PartitionWriter(Order.Output output, String nonce, SerializableConfiguration configuration) {
    columns = new ArrayList<>(output.columns());
    bucketed = output.buckets() != null;
    folder = output.folder();
    prefix = output.prefix() + nonce;
    this.configuration = configuration;
  }

  @Override
  public Iterator<WrittenFile> call(Iterator<InternalRow> rows) throws IOException {
    List<WrittenFile> written = new ArrayList<>();
    RowFile file = null;
    while (rows.hasNext()) {
      InternalRow row = rows.next();
      Integer bucket = bucketed ? Integer.valueOf(row.getInt(columns.size())) : null;
      if (file != null && !file.isOf(bucket)) {
        written.add(file.finish());
        file = null;
      }
      if (file == null) file = new RowFile(path(written.size()), bucket, columns, configuration.value());
      file.write(row);
    }
    if (file != null) written.add(file.finish());
    return written.iterator();
  }

  private Path path(int number) {
    return new Path(folder, prefix + "-" + TaskContext.get().taskAttemptId() + "-" + number + ".parquet");
  }
}
