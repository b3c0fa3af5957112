"""What Spark's executors run: a task in, one row out. A source stays open as long as the Python process that opened it.

An error is an answer too, as the name of its class and its sentence: Spark would try it again, and bury it in a trace.
"""

import pickle
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from bztoken.errors import BztokenError, EngineError
from bztoken.matching.day import day_text
from bztoken.matching.found import DayFound, from_bytes, to_bytes
from bztoken.matching.task import Context, Source, Task, get_ready, run_task

if TYPE_CHECKING:
    import pyarrow as pa

ANSWER_COLUMNS = "day long, shard long, shards long, found binary, error_class string, error_text string"
OPENED_COLUMNS = "error_class string, error_text string"


class _Opened(NamedTuple):
    sent: bytes
    context: Context
    source: Source


_kept: list[_Opened] = []  # one at most


def sent(context: Context) -> bytes:
    """What is broadcast. As bytes: large arrays break pyspark's own pickling when it encrypts."""
    return pickle.dumps(context, pickle.HIGHEST_PROTOCOL)


def answer(sent: bytes, tasks: "pa.Table") -> "pa.Table":
    """ANSWER_COLUMNS for rows whose columns are those of `Task`."""
    import pyarrow as pa

    rows = [_answer(sent, Task(**row)) for row in tasks.to_pylist()]
    types = [pa.int64()] * 3 + [pa.binary()] + [pa.string()] * 2
    columns = [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), types, strict=True)]
    return pa.table(columns, _names(ANSWER_COLUMNS))


def opened(sent: bytes, batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
    """Opens the source and answers nothing, or OPENED_COLUMNS: the error that kept it from that."""
    import pyarrow as pa

    for _ in batches:
        try:
            _open(sent)
        except Exception as error:  # noqa: BLE001 - it is raised where somebody can tell it
            told = _told(error, "an executor could not open the encounters")
            yield pa.record_batch([[text] for text in told], _names(OPENED_COLUMNS))


def found_in(found: bytes | None, error_class: str | None, error_text: str | None) -> DayFound:
    """What the row of an answer says. Raises what was raised in the task."""
    if error_class is not None or found is None:
        raise as_raised(error_class or "", error_text or "Spark brought no answer of a day")
    return from_bytes(found)


def as_raised(error_class: str, text: str) -> BztokenError:
    """The error of that name with that sentence; an EngineError for a name that is not of our tree."""
    kind = {one.__name__: one for one in _tree(BztokenError)}.get(error_class, EngineError)
    error = kind.__new__(kind, text)  # some are made of more than a sentence, which has become part of it
    BztokenError.__init__(error, text)
    return error


def _names(columns: str) -> list[str]:
    return [column.split()[0] for column in columns.split(", ")]


def _tree(kind: type[BztokenError]) -> Iterator[type[BztokenError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _tree(below)


def _answer(sent: bytes, task: Task) -> tuple[int, int, int, bytes | None, str | None, str | None]:
    try:
        here = _open(sent)
        return *task, to_bytes(run_task(here.context, here.source, task)), None, None
    except Exception as error:  # noqa: BLE001 - it is raised where somebody can tell it
        return *task, None, *_told(error, f"the matching of {day_text(task.day)} failed on an executor")


def _told(error: Exception, what: str) -> tuple[str, str]:
    """Of errors that are not ours only the class is told: nobody knows what their text quotes."""
    if isinstance(error, BztokenError):
        return type(error).__name__, str(error)
    reason = "it ran out of memory" if isinstance(error, MemoryError) else f"a mistake of ours, {type(error).__name__}"
    return EngineError.__name__, f"{what}: {reason}"


def _open(sent: bytes) -> _Opened:
    if not _kept or _kept[0].sent is not sent:
        while _kept:
            _kept.pop().source.close()
        context: Context = pickle.loads(sent)
        _kept.append(_Opened(sent, context, context.open_source()))
        get_ready(context)
    return _kept[0]
