"""Tokens, phones and places with what they heard, straight into the rows that the matching reads."""

from typing import Any

from sqlalchemy import insert, select
from tests.case_desk import active_case

from bztoken.formats.tracing_key import SCHEME_BLUEZONE, SCHEME_GAEN, TracingKey
from bztoken.matching.batch import BatchResult, run_batch
from bztoken.matching.engines import Engine
from bztoken.matching.rules import Preset
from bztoken.matching.run import Progress
from bztoken.registry import peer_keys, tokens
from bztoken.registry.database import Registry
from bztoken.registry.exposures import NamedExposure, list_exposures
from bztoken.registry.logs import KIND_PHONE, log_of_token
from bztoken.registry.models import Case, Log, Sighting, Visit

DAY_S = 86400
START_S = 1_596_844_800  # 2020-08-08 00:00 UTC
WINDOW_S = 300


def day_key(name: str, day: int = 0, **more: Any) -> TracingKey:
    """A Bluezone key of one day."""
    key = f"{name} {day}".encode().ljust(32, b".")
    start_s = START_S + day * DAY_S
    return TracingKey(SCHEME_BLUEZONE, key, start_s, 96, start_s + DAY_S - 1, **more)


def tek(name: str, day: int = 0, **more: Any) -> TracingKey:
    """A GAEN key of one day."""
    start_s = START_S + day * DAY_S
    return TracingKey(SCHEME_GAEN, f"{name} {day}".encode().ljust(16, b"."), start_s, 144, start_s + DAY_S - 1, **more)


class TracedWorld:
    """Everything is known by its label."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.logs: dict[str, int] = {}

    def token(self, label: str, role: str = "person", board: str = "virtual") -> int:
        with self.registry.write() as session:
            uid = f"{len(self.logs):08}".encode()
            token = tokens.create(session, label, uid, role, board, 1)
            self.logs[label] = log_of_token(session, token).id
        return self.logs[label]

    def phone(self, label: str, person_id: int | None = None) -> int:
        with self.registry.write() as session:
            log = Log(kind=KIND_PHONE, token_id=None, label=label, digest=None, imported_at_s=1, person_id=person_id)
            session.add(log)
            session.flush()
            self.logs[label] = log.id
        return self.logs[label]

    def hears(self, label: str, rotating_id: bytes, at_s: int, count: int = 1, **more: Any) -> None:
        """An ID in so many windows of 5 minutes, one after the other; a phone: in so many lines, a minute apart."""
        with self.registry.write() as session:
            is_phone = session.scalars(select(Log.kind).where(Log.id == self.logs[label])).one() == KIND_PHONE
            every_s = 60 if is_phone else WINDOW_S
            rows = [self._row(label, is_phone, rotating_id, at_s + every_s * n, more) for n in range(count)]
            session.execute(insert(Sighting), rows)

    def _row(self, label: str, is_phone: bool, rotating_id: bytes, at_s: int, more: dict[str, Any]) -> dict[str, Any]:
        return {
            "log_id": self.logs[label],
            "page_id": None,
            "kind": SCHEME_GAEN if len(rotating_id) == 16 else SCHEME_BLUEZONE,
            "rotating_id": rotating_id,
            "first_s": at_s,
            "last_s": at_s if is_phone else at_s + 240,
            "window_start_s": at_s - at_s % WINDOW_S,
            "packets": 1 if is_phone else 15,
            "scans": 1 if is_phone else 5,
            "scan_period_s": 0 if is_phone else 60,
            "rssi_max_dbm": -66,
            "rssi_mean_dbm": -70,
            "tx_power_dbm": None,
            "aem": None,
            "stale": False,
            "connected": False,
            "uncertainty_s": None,
        } | more

    def case(
        self, name: str, *keys: TracingKey, token: str | None = None, source: str = "case list", **more: Any
    ) -> int:
        """more: what `active_case` takes, and columns of the case."""
        taken = {field: more.pop(field) for field in ("ids", "person_id", "now_s") if field in more}
        with self.registry.write() as session:
            owner = None if token is None else tokens.by_label(session, token)
            case = active_case(session, name, source, owner, keys, taken.pop("now_s", 4), **taken)
            for column, value in more.items():
                setattr(case, column, value)
            return case.id

    def releases(self, label: str, *keys: TracingKey, case_id: int | None = None) -> None:
        """A site's keys, or those of a contact of a case."""
        with self.registry.write() as session:
            log, case = session.get_one(Log, self.logs[label]), None
            if case_id is not None:
                case = session.get_one(Case, case_id)
            purpose = peer_keys.PURPOSE_SITE if case is None else peer_keys.PURPOSE_CONTACT
            peer_keys.store(session, log, purpose, case, keys, 4)

    def batch(
        self,
        tolerance_s: int = 1800,
        preset: Preset | None = None,
        progress: Progress | None = None,
        engine: Engine | None = None,
    ) -> BatchResult:
        return run_batch(self.registry, lambda: START_S + 7 * DAY_S, tolerance_s, preset, progress, engine)

    def named(self) -> list[NamedExposure]:
        with self.registry.read() as session:
            return list_exposures(session)

    def found(self) -> set[tuple[str, str | None, str, str, int, str]]:
        """(case, via, who, day, minutes, verdict) by labels."""
        return {
            (
                one.case,
                None if one.via is None else one.via.label,
                one.whose.label,
                one.exposure.day[5:],
                one.exposure.minutes,
                one.exposure.verdict,
            )
            for one in self.named()
        }

    def visits(self) -> list[tuple[str, str, int, int, int, int]]:
        """(site, who, first, last, minutes, windows), seconds since the start of this world."""
        labels = {log_id: label for label, log_id in self.logs.items()}
        with self.registry.read() as session:
            rows = session.scalars(select(Visit).order_by(Visit.site_log_id, Visit.log_id, Visit.first_s)).all()
        return [
            (
                labels[row.site_log_id],
                labels[row.log_id],
                row.first_s - START_S,
                row.last_s - START_S,
                row.minutes,
                row.windows,
            )
            for row in rows
        ]
