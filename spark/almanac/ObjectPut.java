package almanac;

import java.io.IOException;
import java.net.URI;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/** Puts of which one wins, which Hadoop's own file systems do not have. */
interface ObjectPut {
  /** False when something else is there. What is there already and is the same was put by us: an answer can be lost. */
  boolean ifAbsent(byte[] body) throws IOException;

  static ObjectPut to(String place, Configuration configuration) {
    URI uri = new Path(place).toUri();
    return switch (uri.getScheme() == null ? "file" : uri.getScheme()) {
      case "file" -> new FilePut(uri.getPath());
      case "s3", "s3a" -> new S3Put(uri.getHost(), uri.getPath().substring(1), configuration);
      default -> throw new IllegalArgumentException("no conditional put for " + place);
    };
  }
}
