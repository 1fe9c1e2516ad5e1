package almanac;

import java.io.IOException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import org.apache.parquet.io.OutputFile;
import org.apache.parquet.io.PositionOutputStream;

/** A file whose bytes are hashed on their way, so that what is stored can be held against what was meant. */
final class HashedOutput implements OutputFile {
  private final OutputFile file;
  private final MessageDigest digest;
  private long bytes;

  HashedOutput(OutputFile file) {
    this.file = file;
    try {
      digest = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException impossible) {
      throw new IllegalStateException(impossible);
    }
  }

  /** Once, after the last byte. */
  String sha256() {
    return HexFormat.of().formatHex(digest.digest());
  }

  long bytes() {
    return bytes;
  }

  @Override
  public PositionOutputStream create(long blockSize) throws IOException {
    return hashed(file.create(blockSize));
  }

  @Override
  public PositionOutputStream createOrOverwrite(long blockSize) throws IOException {
    return hashed(file.createOrOverwrite(blockSize));
  }

  @Override
  public boolean supportsBlockSize() {
    return file.supportsBlockSize();
  }

  @Override
  public long defaultBlockSize() {
    return file.defaultBlockSize();
  }

  private PositionOutputStream hashed(PositionOutputStream out) {
    return new PositionOutputStream() {
      @Override
      public long getPos() throws IOException {
        return out.getPos();
      }

      @Override
      public void write(int value) throws IOException {
        out.write(value);
        digest.update((byte) value);
        bytes++;
      }

      @Override
      public void write(byte[] buffer, int from, int length) throws IOException {
        out.write(buffer, from, length);
        digest.update(buffer, from, length);
        bytes += length;
      }

      @Override
      public void flush() throws IOException {
        out.flush();
      }

      @Override
      public void close() throws IOException {
        out.close();
      }
    };
  }
}
