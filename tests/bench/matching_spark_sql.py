"""The join that Spark plans by itself, over both sets of files: what the program's Spark engine avoids."""

import os
import time

import numpy as np
from matching_competitors import THREADS, Timed, World, overlap_sql
from matching_shapes import answer_of

from bztoken.matching.engines.java import find_java, java_home

_MEMORY = "6g"


def spark_sql(world: World) -> Timed:
    """One SQL statement; the found rows are few."""
    began = time.perf_counter()
    session = _session()
    try:
        session.range(1).count()
        started = time.perf_counter()
        session.read.parquet(*world.records).createOrReplaceTempView("records")
        session.read.parquet(str(world.ids)).createOrReplaceTempView("ids")
        gaen = int(world.shape.scheme.name == "gaen")
        rows = session.sql(
            "SELECT e.log, e.first_s, k.key, k.slot_start_s FROM records e "
            "JOIN ids k ON e.id_hi = k.id_hi AND e.id_lo = k.id_lo "
            f"WHERE e.gaen = {gaen} AND {overlap_sql(world.shape)}"
        ).collect()
        joined = time.perf_counter()
        answer = answer_of(*np.array([tuple(row) for row in rows], dtype=np.int64).reshape(-1, 4).T)
        return Timed(answer, {"start": started - began, "join": joined - started}, f"Spark {session.version}")
    finally:
        session.stop()


def _session():  # noqa: ANN202 - a SparkSession; imported where it is needed only
    from pyspark.sql import SparkSession

    os.environ["JAVA_HOME"] = str(java_home(find_java()))
    return (
        SparkSession.builder.master(f"local[{THREADS}]")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.log.level", "ERROR")
        .config("spark.driver.memory", _MEMORY)
        .config("spark.sql.shuffle.partitions", str(4 * THREADS))
        .config("spark.sql.adaptive.enabled", "true")
        .getOrCreate()
    )
