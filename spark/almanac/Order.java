package almanac;

import java.util.List;
import java.util.Map;

/** What one job is to do, as pipelines/spark-order.ts writes it. Places are URIs that Hadoop knows; it holds no credentials. With {@code maskValues} no fault quotes a row. */
record Order(
    int format,
    String token,
    String result,
    List<View> views,
    String text,
    Output output,
    boolean maskValues,
    Map<String, String> settings) {

  static final int FORMAT = 1;

  /** A name of the text, and what it stands for: files of one layout or several, which are joined by name. */
  record View(String alias, List<Layout> layouts) {}

  /** Files of the same columns; no files are no rows. */
  record Layout(List<Column> columns, List<String> files) {}

  /** {@code key} and {@code buckets} may be null. New files are {@code folder}, {@code prefix} and what makes their name unlike all others. */
  record Output(List<Column> columns, List<String> key, Buckets buckets, String folder, String prefix) {}

  record Buckets(String by, int count) {}
}
