"""One Spark session for a suite: a request a line on stdin, an answer a line on what was stdout."""

import datetime
import decimal
import json
import math
import os
import sys

from pyspark.sql import SparkSession, types


def as_json(value, kind):
    """A value as an engine session of DuckDB returns it: what JavaScript cannot count exactly is text, instants are ISO 8601 in UTC."""
    if value is None:
        return None
    if isinstance(kind, (types.LongType, types.DecimalType)):
        return format(value, "f") if isinstance(value, decimal.Decimal) else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="microseconds" if value.microsecond % 1000 else "milliseconds") + "Z"
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(kind, types.ArrayType):
        return [as_json(item, kind.elementType) for item in value]
    if isinstance(kind, types.StructType):
        return {field.name: as_json(value[field.name], field.dataType) for field in kind.fields}
    return value


def answer(spark, request):
    group = str(request["id"])
    spark.sparkContext.setJobGroup(group, request["sql"][:80])
    frame = spark.sql(request["sql"])
    fields = frame.schema.fields
    rows = [[as_json(value, field.dataType) for value, field in zip(row, fields)] for row in frame.collect()]
    return {
        "columns": [{"name": field.name, "type": field.dataType.simpleString()} for field in fields],
        "rows": rows,
        "jobs": len(spark.sparkContext.statusTracker().getJobIdsForGroup(group)),
    }


def carry_out(spark, request):
    """An order of a job, as `spark-submit` would have it done; what one text saw, the next does not."""
    code = spark._jvm.almanac.Job.run(request["order"])
    for table in spark.catalog.listTables():
        if table.isTemporary:
            spark.catalog.dropTempView(table.name)
    return {"code": code}


def main():
    # Whatever Spark prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    builder = SparkSession.builder
    for name, value in json.loads(sys.argv[1]).items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answered = carry_out(spark, request) if "order" in request else answer(spark, request)
        except Exception as error:
            answered = {"error": str(error)}
        answers.write(json.dumps({"id": request["id"], **answered}, ensure_ascii=True) + "\n")
        answers.flush()
    spark.stop()


main()
