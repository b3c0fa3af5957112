"""A program that matches on Spark: `python -m tests.integration.spark_program FOLDER MASTER [wait|hurry]`.

Prints a digest of each answer. wait: works on what never ends; hurry: gives Spark no time to start.
"""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.integration.spark_world import MEETING_DAY, context, every_task

from bztoken.errors import BztokenError
from bztoken.matching.engines.spark import START_LIMIT_S, SparkEngine
from bztoken.matching.found import DayFound, to_bytes
from bztoken.matching.task import Task

INTERRUPTED = 130


def digests(answers: Iterator[tuple[Task, DayFound]]) -> list[str]:
    """A line a task, in order."""
    return sorted(f"{task.day} {task.shard} {hashlib.sha256(to_bytes(found)).hexdigest()}" for task, found in answers)


def main(folder: str, master: str, what: str = "match") -> int:
    tasks = [Task(MEETING_DAY, 0, 2)] if what == "wait" else every_task()
    engine = SparkEngine(master, 0.1 if what == "hurry" else START_LIMIT_S)
    try:
        with engine.crew(context(Path(folder))) as crew:
            print("\n".join(digests(crew.run(tasks))))
        print("started" if engine.startup_s > 0 else "told no time")
    except BztokenError as error:
        print(f"{type(error).__name__}: {error}")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
