package almanac;

import java.io.Serializable;

/** One file as a task wrote it; {@code bucket} is null where rows are not cut. */
record WrittenFile(String name, Integer bucket, long bytes, String sha256, Measure measure) implements Serializable {}
