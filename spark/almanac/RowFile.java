package almanac;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.parquet.hadoop.ParquetWriter;
import org.apache.parquet.hadoop.api.WriteSupport;
import org.apache.parquet.hadoop.metadata.CompressionCodecName;
import org.apache.parquet.hadoop.util.HadoopOutputFile;
import org.apache.parquet.io.OutputFile;
import org.apache.spark.sql.catalyst.InternalRow;

/** A Parquet file that is written, measured and hashed in one pass. */
final class RowFile {
  /** Small enough that several threads share the reading of a file. */
  private static final long ROW_GROUP_BYTES = 16L << 20;

  private final org.apache.hadoop.fs.Path path;
  private final Integer bucket;
  private final HashedOutput output;
  private final Measure measure;
  private final ParquetWriter<InternalRow> writer;

  RowFile(org.apache.hadoop.fs.Path path, Integer bucket, List<Column> columns, Configuration configuration) throws IOException {
    this.path = path;
    this.bucket = bucket;
    // Local files would get checksum files beside them.
    path.getFileSystem(configuration).setWriteChecksum(false);
    output = new HashedOutput(HadoopOutputFile.fromPath(path, configuration));
    measure = new Measure(columns);
    writer =
        new Builder(output, new RowWriteSupport(columns))
            .withConf(configuration)
            .withCompressionCodec(CompressionCodecName.ZSTD)
            .withRowGroupSize(ROW_GROUP_BYTES)
            .build();
  }

  boolean isOf(Integer other) {
    return bucket == null || bucket.equals(other);
  }

  void write(InternalRow row) throws IOException {
    writer.write(row);
    measure.add(row);
  }

  /** The file, whole and durable. */
  WrittenFile finish() throws IOException {
    writer.close();
    if ("file".equals(path.toUri().getScheme())) sync(Path.of(path.toUri().getPath()));
    return new WrittenFile(path.getName(), bucket, output.bytes(), output.sha256(), measure);
  }

  private static void sync(Path file) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      channel.force(true);
    }
    try (FileChannel folder = FileChannel.open(file.getParent(), StandardOpenOption.READ)) {
      folder.force(true);
    }
  }

  private static final class Builder extends ParquetWriter.Builder<InternalRow, Builder> {
    private final RowWriteSupport support;

    Builder(OutputFile file, RowWriteSupport support) {
      super(file);
      this.support = support;
    }

    @Override
    protected Builder self() {
      return this;
    }

    @Override
    protected WriteSupport<InternalRow> getWriteSupport(Configuration configuration) {
      return support;
    }
  }
}
