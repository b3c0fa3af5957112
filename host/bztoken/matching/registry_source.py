"""Sightings of a registry, read on one snapshot: what finds them for all, the rest of a row only for those found."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Engine, Select, func, select
from sqlalchemy.orm import Session

from bztoken.matching.day import NO_AEM, TX_POWER_UNTOLD, DayColumns, Seen, empty_columns
from bztoken.matching.kernel import halves
from bztoken.matching.task import Task
from bztoken.matching.tolerance import UNKNOWN, Int64s
from bztoken.registry.connecting import sentences
from bztoken.registry.database import Place
from bztoken.registry.models import Log, Sighting, Token
from bztoken.registry.pages import KIND_GAEN
from bztoken.scoring.board_offsets import offset_db
from bzwire.bluezone import DAY_S

_ROWS_AT_ONCE = 50_000
_IDS_AT_ONCE = 500
_WEIGHTS = 1_000_003  # numbers of rows are weighed modulo this: SQLite refuses a sum past 63 bits
_Columns = Select[*tuple[Any, ...]]


class Offsets(NamedTuple):
    """By log, what to add to the RSSI that its board hears; logs of phones are not in it."""

    by_log_db: dict[int, int]

    def of(self, log_id: Int64s) -> Int64s:
        """A column of them."""
        logs, place = np.unique(log_id, return_inverse=True)
        offsets = [self.by_log_db.get(log, 0) for log in logs.tolist()]
        return np.array(offsets, dtype=np.int64)[place]


def load_offsets(session: Session) -> Offsets:
    """Of every token's board, as its file says."""
    rows = session.execute(select(Log.id, Token.board).join(Token, Token.id == Log.token_id))
    of_board = cache(offset_db)
    return Offsets({log_id: of_board(board) for log_id, board in rows})


class RegistrySource:
    """One session, which sees one snapshot from its first question on. Raises RegistryError."""

    def __init__(self, session: Session, engine: Engine | None = None) -> None:
        """engine: to be closed with it, if it is its own."""
        self._session, self._engine = session, engine
        with sentences():
            self._offsets = load_offsets(session)

    def rows_by_day(self) -> dict[int, int]:
        """How many sightings begin on each UTC day."""
        day = Sighting.first_s // DAY_S
        with sentences():
            return {
                int(number): rows for number, rows in self._session.execute(select(day, func.count()).group_by(day))
            }

    def mark(self, day: int) -> str:
        """Rows are only added, put right in time, or deleted: all of which one of these numbers tells."""
        columns = (
            func.count(),
            func.sum(Sighting.id),
            func.sum(Sighting.first_s),
            func.sum(Sighting.last_s),
            func.sum(func.coalesce(Sighting.uncertainty_s, UNKNOWN)),
            func.sum(Sighting.id % _WEIGHTS * (Sighting.first_s - day * DAY_S)),
        )
        with sentences():
            numbers = self._session.execute(select(*columns).where(*_on(Task(day)))).one()
        return hashlib.sha256(repr((*numbers, sorted(self._offsets.by_log_db.items()))).encode()).hexdigest()

    def slice(self, task: Task) -> "RegistrySlice":
        """What a task looks at."""
        return RegistrySlice(self._session, task, self._offsets)

    def close(self) -> None:
        """End the snapshot."""
        self._session.close()
        if self._engine is not None:
            self._engine.dispose()


@dataclass(frozen=True)
class RegistrySources:
    """Opens the registry once more to read it, from whatever process."""

    place: Place

    def __call__(self) -> RegistrySource:
        """With a snapshot that is taken now."""
        engine = self.place.engine()
        return RegistrySource(Session(engine), engine)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Under the write lock nobody changes anything."""
        engine = self.place.engine().execution_options(bz_begin="BEGIN IMMEDIATE")
        try:
            with sentences(), Session(engine) as session:
                session.connection()
                yield
        finally:
            engine.dispose()


class RegistrySlice:
    """Sightings of one task; see `matching.day.DaySlice`."""

    def __init__(self, session: Session, task: Task, offsets: Offsets) -> None:
        self._session, self._task, self._offsets = session, task, offsets
        self._ids = np.empty(0, dtype=np.int64)

    def seen(self) -> Seen:
        """In order of time; rows are turned into columns in pieces to keep memory small."""
        query = (
            select(
                Sighting.id,
                Sighting.first_s,
                Sighting.last_s,
                func.coalesce(Sighting.uncertainty_s, UNKNOWN),
                Sighting.kind == KIND_GAEN,
                Sighting.rotating_id,
            )
            .where(*_on(self._task))
            .order_by(Sighting.first_s, Sighting.id)
        )
        parts = [(np.empty(0, dtype=np.int64),) * (len(Seen._fields) + 1)]
        with sentences():
            parts += [_seen(piece) for piece in pieces(self._session, query)]
        self._ids, *columns = (np.concatenate(column) for column in zip(*parts, strict=True))
        return Seen(*columns)

    def take(self, rows: Int64s) -> DayColumns:
        """All columns of some rows."""
        wanted = self._ids[rows].tolist()
        found: dict[int, Sequence[Any]] = {}
        with sentences():
            for at in range(0, len(wanted), _IDS_AT_ONCE):
                query = _everything().where(Sighting.id.in_(wanted[at : at + _IDS_AT_ONCE]))
                for piece in pieces(self._session, query):
                    found.update((row[0], row[1:]) for row in piece)
        return _columns([found[sighting_id] for sighting_id in wanted], self._offsets)


def _on(task: Task) -> tuple[Any, ...]:
    """Conditions of a query."""
    on_day = (Sighting.first_s >= task.day * DAY_S, Sighting.first_s < (task.day + 1) * DAY_S)
    return on_day if task.shards == 1 else (*on_day, Sighting.log_id % task.shards == task.shard)


def pieces(session: Session, query: _Columns) -> Iterator[list[tuple[Any, ...]]]:
    """Rows as the driver has them: SQLAlchemy's own would take as long again."""
    compiled = query.compile(session.get_bind(), compile_kwargs={"render_postcompile": True})
    values = compiled.params
    cursor = session.connection().connection.cursor()
    try:
        cursor.execute(str(compiled), tuple(values[name] for name in compiled.positiontup or ()))
        while piece := cursor.fetchmany(_ROWS_AT_ONCE):
            yield list(piece)
    finally:
        cursor.close()


def _seen(rows: list[tuple[Any, ...]]) -> tuple[Int64s, ...]:
    """The sighting's number, and the columns of `Seen`."""
    *numbers, ids = zip(*rows, strict=True)
    number, first_s, last_s, uncertainty_s, gaen = (np.array(column, dtype=np.int64) for column in numbers)
    hi, lo = halves(ids)
    return number, hi, lo, first_s, last_s, uncertainty_s, gaen


def _everything() -> _Columns:
    """Of a sighting: its number, its ID, then columns in the order of `DayColumns`."""
    return select(
        Sighting.id,
        Sighting.rotating_id,
        Sighting.first_s,
        Sighting.last_s,
        Sighting.log_id,
        Sighting.window_start_s,
        Sighting.packets,
        Sighting.scans,
        Sighting.scan_period_s,
        Sighting.rssi_max_dbm,
        Sighting.rssi_mean_dbm,
        Sighting.stale,
        func.coalesce(Sighting.tx_power_dbm, TX_POWER_UNTOLD),
        func.coalesce(Sighting.uncertainty_s, UNKNOWN),
        Sighting.kind == KIND_GAEN,
        Sighting.aem,
    )


def _columns(rows: list[Sequence[Any]], offsets: Offsets) -> DayColumns:
    """rows: as `_everything` selects them, without the number."""
    if not rows:
        return empty_columns()
    hi, lo = halves([row[0] for row in rows])
    numbers = np.array([row[1:-1] for row in rows], dtype=np.int64)
    aem = [NO_AEM if row[-1] is None else int.from_bytes(row[-1], "big") for row in rows]
    return DayColumns(*(hi, lo, *numbers.T, np.array(aem, dtype=np.int64), offsets.of(numbers[:, 2])))
