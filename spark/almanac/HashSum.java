package almanac;

import java.io.Serializable;
import java.math.BigInteger;

/** A sum of unsigned hashes of 64 bits in 128 bits, so that no order and no cut of the rows changes it. */
final class HashSum implements Serializable {
  private static final long serialVersionUID = 1;

  private long high;
  private long low;

  void add(long hash) {
    add(0, hash);
  }

  void add(HashSum other) {
    add(other.high, other.low);
  }

  private void add(long otherHigh, long otherLow) {
    low += otherLow;
    high += otherHigh + (Long.compareUnsigned(low, otherLow) < 0 ? 1 : 0);
  }

  @Override
  public String toString() {
    return new BigInteger(Long.toUnsignedString(high)).shiftLeft(Long.SIZE).add(new BigInteger(Long.toUnsignedString(low))).toString();
  }
}
