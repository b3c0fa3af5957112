"""The engines of the matching benchmark by name: what runs, what it must be given, what its answer is compared with."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from matching_competitors import Timed, World, duckdb_join, polars_join, python_dict
from matching_ours import local_join, local_scored, spark_scored
from matching_spark_sql import spark_sql

THREADS = 2


class Engine(NamedTuple):
    """title, short: for tables and charts; needs_ids: joins with IDs that were derived and written; scores: goes on to
    scores, which only another that does can be compared with.
    """

    title: str
    short: str
    run: Callable[[World], Timed]
    needs_ids: bool = False
    scores: bool = False


_JOINS = ("bztoken", "bztoken-1", "duckdb", "polars")
# Which are asked in which shape; what is left out says no more there than in the province.
ASKED = {
    "clinic": (*_JOINS, "dict", "scored"),
    "province": (*_JOINS, "dict", "spark-sql", "scored", "spark"),
    "province-bluezone": (*_JOINS, "scored"),
    "national": (*_JOINS, "scored"),
    "national-large": ("bztoken", "duckdb"),
}
# Against how many million records, while the keys stay.
_UP_TO_100 = (1, 3, 10, 30, 100)
GROWING = {
    "bztoken": _UP_TO_100,
    "duckdb": _UP_TO_100,
    "polars": (1, 3, 10, 30),
    "dict": (1, 3, 10),
    "scored": _UP_TO_100,
    "spark": (1, 10, 100),
}

ENGINES = {
    "bztoken": Engine("bztoken, 2 processes", "bztoken, join", partial(local_join, workers=THREADS)),
    "bztoken-1": Engine("bztoken, 1 process", "bztoken, 1 process", partial(local_join, workers=1)),
    "duckdb": Engine("DuckDB, SQL join", "DuckDB, join only", duckdb_join, needs_ids=True),
    "polars": Engine("Polars, streaming", "Polars, join only", polars_join, needs_ids=True),
    "dict": Engine("Python dict, 1 thread", "Python dict", python_dict, needs_ids=True),
    "spark-sql": Engine("Spark SQL join, local[2]", "Spark SQL", spark_sql, needs_ids=True),
    "scored": Engine(
        "bztoken match up to the scores, 2 processes",
        "bztoken, with scores",
        partial(local_scored, workers=THREADS),
        scores=True,
    ),
    "spark": Engine(
        "the same over Spark, local[2]", "bztoken over Spark", partial(spark_scored, workers=THREADS), scores=True
    ),
}
