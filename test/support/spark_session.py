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


def scan_nodes(plan):
    """The nodes of an executed plan that read tables, those of every stage that adaptive execution has made of it."""
    kind = plan.getClass().getSimpleName()
    if kind == "AdaptiveSparkPlanExec":
        return scan_nodes(plan.executedPlan())
    if kind.endswith("QueryStageExec"):
        return scan_nodes(plan.plan())
    below = plan.children()
    own = [kind] if kind == "FileSourceScanExec" else []
    return own + [node for at in range(below.size()) for node in scan_nodes(below.apply(at))]


def work(spark, frame, jobs, executions_before):
    """What one statement has cost, as the listeners of Spark saw it."""
    context = spark.sparkContext._jsc.sc()
    context.listenerBus().waitUntilEmpty()
    tracker = spark.sparkContext.statusTracker()
    stages = {stage for job in jobs for stage in tracker.getJobInfo(job).stageIds}
    return {
        "executions": executions_of(spark) - executions_before,
        "scans": len(scan_nodes(frame._jdf.queryExecution().executedPlan())),
        "recordsRead": sum(context.statusStore().lastStageAttempt(stage).inputRecords() for stage in stages),
    }


def executions_of(spark):
    return spark._jsparkSession.sharedState().statusStore().executionsCount()


def answer(spark, request):
    group = str(request["id"])
    spark.sparkContext.setJobGroup(group, request["sql"][:80])
    counted = request.get("counted", False)
    if counted:
        spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()
        before = executions_of(spark)
    frame = spark.sql(request["sql"])
    fields = frame.schema.fields
    rows = [[as_json(value, field.dataType) for value, field in zip(row, fields)] for row in frame.collect()]
    jobs = spark.sparkContext.statusTracker().getJobIdsForGroup(group)
    return {
        "columns": [{"name": field.name, "type": field.dataType.simpleString()} for field in fields],
        "rows": rows,
        "jobs": len(jobs),
        **({"work": work(spark, frame, jobs, before)} if counted else {}),
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
