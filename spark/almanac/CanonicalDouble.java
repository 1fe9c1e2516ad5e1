package almanac;

import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;

/** The text by which digests know a double: 12 significant digits as DuckDB's {@code format('{:.11e}', value)} writes them; -0 is 0. */
final class CanonicalDouble {
  private static final int DIGITS = 12;
  private static final MathContext ROUNDING = new MathContext(DIGITS, RoundingMode.HALF_EVEN);

  private CanonicalDouble() {}

  static String text(double value) {
    if (Double.isNaN(value)) return "nan";
    if (Double.isInfinite(value)) return value > 0 ? "inf" : "-inf";
    if (value == 0) return "0.00000000000e+00";
    BigDecimal rounded = new BigDecimal(value).round(ROUNDING);
    int exponent = rounded.precision() - rounded.scale() - 1;
    StringBuilder text = new StringBuilder(rounded.unscaledValue().abs().toString());
    while (text.length() < DIGITS) text.append('0');
    text.insert(1, '.');
    if (value < 0) text.insert(0, '-');
    return text.append(exponent < 0 ? "e-" : "e+").append(Math.abs(exponent) < 10 ? "0" : "").append(Math.abs(exponent)).toString();
  }
}
