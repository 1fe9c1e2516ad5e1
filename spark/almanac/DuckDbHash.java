package almanac;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * What DuckDB 1.5 answers for {@code hash(value, …)}: digests of versions are sums of it, whichever engine wrote the rows. A row's hash
 * begins with that of its first value; each further one is combined with it.
 */
final class DuckDbHash {
  static final long OF_NULL = 0xbf58476d1ce4e5b9L;

  private static final long MULTIPLIER = 0xd6e8feb86659fd93L;
  private static final long TEXT_SEED = 0xe17a1465L;
  private static final long LENGTH_MULTIPLIER = 0xc6a4a7935bd1e995L;
  private static final VarHandle WORDS = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  private DuckDbHash() {}

  /** Of a BIGINT, a TIMESTAMP by its microseconds, or an UBIGINT, for instance another hash. */
  static long ofLong(long value) {
    long mixed = (value ^ (value >>> 32)) * MULTIPLIER;
    mixed = (mixed ^ (mixed >>> 32)) * MULTIPLIER;
    return mixed ^ (mixed >>> 32);
  }

  /** Of an INTEGER, a DATE by its days, or a BOOLEAN as 0 or 1. */
  static long ofInt(int value) {
    return ofLong(Integer.toUnsignedLong(value));
  }

  /** Of a VARCHAR by its UTF-8 bytes. */
  static long ofText(byte[] utf8) {
    long hash = TEXT_SEED ^ (utf8.length * LENGTH_MULTIPLIER);
    int whole = utf8.length & ~7;
    for (int at = 0; at < whole; at += Long.BYTES) hash = (hash ^ (long) WORDS.get(utf8, at)) * MULTIPLIER;
    if (whole < utf8.length) {
      long rest = 0;
      for (int at = utf8.length - 1; at >= whole; at--) rest = (rest << 8) | (utf8[at] & 0xff);
      hash = (hash ^ rest) * MULTIPLIER;
    }
    return ofLong(hash);
  }

  static long combine(long hash, long next) {
    return ((hash ^ (hash >>> 32)) * MULTIPLIER) ^ next;
  }
}
