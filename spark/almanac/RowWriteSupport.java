package almanac;

import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.parquet.hadoop.api.WriteSupport;
import org.apache.parquet.io.api.RecordConsumer;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.Type;
import org.apache.spark.sql.catalyst.InternalRow;

/** Rows of exactly the declared types. Spark's own writer would give instants a time zone. */
final class RowWriteSupport extends WriteSupport<InternalRow> {
  private final List<Column> columns;
  private RecordConsumer file;

  RowWriteSupport(List<Column> columns) {
    this.columns = columns;
  }

  @Override
  public WriteContext init(Configuration configuration) {
    List<Type> fields = columns.stream().<Type>map(column -> column.type().parquet(column.name())).toList();
    return new WriteContext(new MessageType("rows", fields), Map.of());
  }

  @Override
  public void prepareForWrite(RecordConsumer consumer) {
    file = consumer;
  }

  @Override
  public void write(InternalRow row) {
    file.startMessage();
    for (int at = 0; at < columns.size(); at++) {
      if (row.isNullAt(at)) continue;
      file.startField(columns.get(at).name(), at);
      columns.get(at).type().write(row, at, file);
      file.endField(columns.get(at).name(), at);
    }
    file.endMessage();
  }
}
