package almanac;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.UUID;

/** A file that gets its name when it is whole: a link fails where a name is taken. */
final class FilePut implements ObjectPut {
  private final Path path;

  FilePut(String path) {
    this.path = Path.of(path);
  }

  @Override
  public boolean ifAbsent(byte[] body) throws IOException {
    Files.createDirectories(path.getParent());
    Path scratch = path.resolveSibling("." + path.getFileName() + "." + UUID.randomUUID());
    try {
      try (FileChannel channel = FileChannel.open(scratch, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
        ByteBuffer bytes = ByteBuffer.wrap(body);
        while (bytes.hasRemaining()) channel.write(bytes);
        channel.force(true);
      }
      Files.createLink(path, scratch);
    } catch (FileAlreadyExistsException taken) {
      return Arrays.equals(Files.readAllBytes(path), body);
    } finally {
      Files.deleteIfExists(scratch);
    }
    try (FileChannel folder = FileChannel.open(path.getParent(), StandardOpenOption.READ)) {
      folder.force(true);
    }
    return true;
  }
}
