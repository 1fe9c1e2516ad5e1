package almanac;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.temporal.ChronoUnit;
import org.apache.parquet.io.api.Binary;
import org.apache.parquet.io.api.RecordConsumer;
import org.apache.parquet.schema.LogicalTypeAnnotation;
import org.apache.parquet.schema.LogicalTypeAnnotation.TimeUnit;
import org.apache.parquet.schema.PrimitiveType;
import org.apache.parquet.schema.PrimitiveType.PrimitiveTypeName;
import org.apache.parquet.schema.Types;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.unsafe.types.UTF8String;

/** The types a dataset can declare: how Spark holds a value, what it is in a file, its hash, and its JSON. No value here is NULL. */
enum ColumnType {
  @JsonProperty("text")
  TEXT(DataTypes.StringType, PrimitiveTypeName.BINARY, LogicalTypeAnnotation.stringType()) {
    @Override
    long hash(InternalRow row, int at) {
      return DuckDbHash.ofText(row.getUTF8String(at).getBytes());
    }

    @Override
    void write(InternalRow row, int at, RecordConsumer file) {
      file.addBinary(Binary.fromReusedByteArray(row.getUTF8String(at).getBytes()));
    }

    @Override
    UTF8String value(InternalRow row, int at) {
      return row.getUTF8String(at);
    }

    /** Spark may overwrite the memory of a row with the next one. */
    @Override
    Comparable<?> kept(Comparable<?> value) {
      return ((UTF8String) value).clone();
    }

    @Override
    Object json(Comparable<?> value) {
      return value.toString();
    }
  },
  @JsonProperty("bigint")
  BIGINT(DataTypes.LongType, PrimitiveTypeName.INT64, null) {
    @Override
    long hash(InternalRow row, int at) {
      return DuckDbHash.ofLong(row.getLong(at));
    }

    @Override
    void write(InternalRow row, int at, RecordConsumer file) {
      file.addLong(row.getLong(at));
    }

    @Override
    Long value(InternalRow row, int at) {
      return row.getLong(at);
    }

    @Override
    Object json(Comparable<?> value) {
      return value.toString();
    }
  },
  @JsonProperty("integer")
  INTEGER(DataTypes.IntegerType, PrimitiveTypeName.INT32, null) {
    @Override
    long hash(InternalRow row, int at) {
      return DuckDbHash.ofInt(row.getInt(at));
    }

    @Override
    void write(InternalRow row, int at, RecordConsumer file) {
      file.addInteger(row.getInt(at));
    }

    @Override
    Integer value(InternalRow row, int at) {
      return row.getInt(at);
    }

    @Override
    Object json(Comparable<?> value) {
      return value;
    }
  },
  @JsonProperty("double")
  DOUBLE(DataTypes.DoubleType, PrimitiveTypeName.DOUBLE, null) {
    @Override
    long hash(InternalRow row, int at) {
      return DuckDbHash.ofText(CanonicalDouble.text(row.getDouble(at)).getBytes(StandardCharsets.US_ASCII));
    }

    @Override
    void write(InternalRow row, int at, RecordConsumer file) {
      file.addDouble(row.getDouble(at));
    }

    @Override
    Double value(InternalRow row, int at) {
      return row.getDouble(at);
    }

    @Override
    Object json(Comparable<?> value) {
      return Double.isFinite((Double) value) ? value : value.toString();
    }
  },
  @JsonProperty("boolean")
  BOOLEAN(DataTypes.BooleanType, PrimitiveTypeName.BOOLEAN, null) {
    @Override
    long hash(InternalRow row, int at) {
      return DuckDbHash.ofInt(row.getBoolean(at) ? 1 : 0);
    }

    @Override
    void write(InternalRow row, int at, RecordConsumer file) {
      file.addBoolean(row.getBoolean(at));
    }

    @Override
    Boolean value(InternalRow row, int at) {
      return row.getBoolean(at);
    }

    @Override
    Object json(Comparable<?> value) {
      return value;
    }
  },
  /** Microseconds of no time zone, as DuckDB writes them. */
  @JsonProperty("timestamp")
  TIMESTAMP(DataTypes.TimestampType, PrimitiveTypeName.INT64, LogicalTypeAnnotation.timestampType(false, TimeUnit.MICROS)) {
    @Override
    long hash(InternalRow row, int at) {
      return DuckDbHash.ofLong(row.getLong(at));
    }

    @Override
    void write(InternalRow row, int at, RecordConsumer file) {
      file.addLong(row.getLong(at));
    }

    @Override
    Long value(InternalRow row, int at) {
      return row.getLong(at);
    }

    /** Milliseconds where they say all, else microseconds. */
    @Override
    Object json(Comparable<?> value) {
      Instant instant = Instant.EPOCH.plus((Long) value, ChronoUnit.MICROS);
      String text = instant.atOffset(ZoneOffset.UTC).toLocalDateTime().truncatedTo(ChronoUnit.SECONDS).format(SECONDS);
      int micros = instant.getNano() / 1_000;
      return micros % 1_000 == 0 ? String.format("%s.%03dZ", text, micros / 1_000) : String.format("%s.%06dZ", text, micros);
    }
  },
  @JsonProperty("date")
  DATE(DataTypes.DateType, PrimitiveTypeName.INT32, LogicalTypeAnnotation.dateType()) {
    @Override
    long hash(InternalRow row, int at) {
      return DuckDbHash.ofInt(row.getInt(at));
    }

    @Override
    void write(InternalRow row, int at, RecordConsumer file) {
      file.addInteger(row.getInt(at));
    }

    @Override
    Integer value(InternalRow row, int at) {
      return row.getInt(at);
    }

    @Override
    Object json(Comparable<?> value) {
      return LocalDate.ofEpochDay((Integer) value).toString();
    }
  };

  private static final DateTimeFormatter SECONDS = DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss");

  final DataType spark;
  private final PrimitiveTypeName stored;
  private final LogicalTypeAnnotation meaning;

  ColumnType(DataType spark, PrimitiveTypeName stored, LogicalTypeAnnotation meaning) {
    this.spark = spark;
    this.stored = stored;
    this.meaning = meaning;
  }

  PrimitiveType parquet(String name) {
    return Types.optional(stored).as(meaning).named(name);
  }

  abstract long hash(InternalRow row, int at);

  abstract void write(InternalRow row, int at, RecordConsumer file);

  /** Ordered as DuckDB orders it: texts by their bytes, NaN above all. May change with the next row. */
  abstract Comparable<?> value(InternalRow row, int at);

  /** The value for good. */
  Comparable<?> kept(Comparable<?> value) {
    return value;
  }

  /** As an engine session of DuckDB returns it. */
  abstract Object json(Comparable<?> value);
}
