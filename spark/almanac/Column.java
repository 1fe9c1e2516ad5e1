package almanac;

import java.io.Serializable;

/**
 * A column of a file. Of an output, {@code accepts} is a pattern of the types of Spark that become its type without loss, and {@code ranged}
 * says whether its smallest and largest value may be told.
 */
record Column(String name, ColumnType type, String accepts, boolean ranged) implements Serializable {}
