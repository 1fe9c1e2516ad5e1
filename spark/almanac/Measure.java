package almanac;

import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.apache.spark.sql.catalyst.InternalRow;

/** What is measured of rows as they are written: their number, the parts of their digest, and of each column its NULLs and its range. */
final class Measure implements Serializable {
  private static final long serialVersionUID = 1;
  /** As in pipelines/digest-sql.ts. */
  private static final long SECOND_SALT = DuckDbHash.ofText("almanac".getBytes(StandardCharsets.US_ASCII));

  private final ColumnType[] types;
  private final HashSum first = new HashSum();
  private final HashSum second = new HashSum();
  private final boolean[] ranged;
  private final long[] nulls;
  private final Comparable<?>[] smallest;
  private final Comparable<?>[] largest;
  private final transient long[] hashes;
  private long rows;

  Measure(List<Column> columns) {
    types = columns.stream().map(Column::type).toArray(ColumnType[]::new);
    ranged = new boolean[types.length];
    for (int at = 0; at < types.length; at++) ranged[at] = columns.get(at).ranged();
    nulls = new long[types.length];
    smallest = new Comparable<?>[types.length];
    largest = new Comparable<?>[types.length];
    hashes = new long[types.length];
  }

  void add(InternalRow row) {
    rows++;
    for (int at = 0; at < types.length; at++) {
      if (row.isNullAt(at)) {
        nulls[at]++;
        hashes[at] = DuckDbHash.OF_NULL;
      } else {
        hashes[at] = types[at].hash(row, at);
        if (ranged[at]) range(at, types[at].value(row, at));
      }
    }
    addHashes();
  }

  void add(Measure other) {
    rows += other.rows;
    first.add(other.first);
    second.add(other.second);
    for (int at = 0; at < types.length; at++) {
      nulls[at] += other.nulls[at];
      if (other.smallest[at] == null) continue;
      range(at, other.smallest[at]);
      range(at, other.largest[at]);
    }
  }

  /** The row is hashed twice, forwards and backwards with the salt at the end, and each hash once more. */
  private void addHashes() {
    int last = types.length - 1;
    long forwards = hashes[0];
    for (int at = 1; at <= last; at++) forwards = DuckDbHash.combine(forwards, hashes[at]);
    long backwards = hashes[last];
    for (int at = last - 1; at >= 0; at--) backwards = DuckDbHash.combine(backwards, hashes[at]);
    first.add(DuckDbHash.ofLong(forwards));
    second.add(DuckDbHash.ofLong(DuckDbHash.combine(backwards, SECOND_SALT)));
  }

  private void range(int at, Comparable<?> value) {
    if (smallest[at] == null || compare(value, smallest[at]) < 0) smallest[at] = types[at].kept(value);
    if (largest[at] == null || compare(value, largest[at]) > 0) largest[at] = types[at].kept(value);
  }

  /** Values of one column are of one class. */
  @SuppressWarnings("unchecked")
  private static int compare(Comparable<?> value, Comparable<?> other) {
    return ((Comparable<Object>) value).compareTo(other);
  }

  long rows() {
    return rows;
  }

  Result.Digest digest() {
    return new Result.Digest(Long.toString(rows), first.toString(), second.toString());
  }

  Result.Profile profile(int at) {
    boolean empty = smallest[at] == null;
    return new Result.Profile(nulls[at], empty ? null : types[at].json(smallest[at]), empty ? null : types[at].json(largest[at]));
  }
}
