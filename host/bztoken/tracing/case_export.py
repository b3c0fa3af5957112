"""Writes what others need of a case or a log, in their formats: keys of a case as a Bluezone case list or a GAEN
export, a token's log as a Bluezone contact history. Whole files or none; who asked is in the audit.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select
from sqlalchemy.orm import Session

from bztoken.errors import CaseError, RegistryError
from bztoken.formats.case_list import CaseKey, write_case_list
from bztoken.formats.gaen_export import GaenKey
from bztoken.formats.gaen_export_writer import write_export
from bztoken.formats.history import HistoryLine, write_history
from bztoken.formats.tracing_key import SCHEME_BLUEZONE, SCHEME_GAEN, TracingKey
from bztoken.registry import audit, cases, peer_keys, permissions, tokens
from bztoken.registry.audit import Action, What
from bztoken.registry.database import Registry
from bztoken.registry.logs import log_of_token
from bztoken.registry.models import Case, Log, Sighting, Token
from bztoken.registry.pages import KIND_BLUEZONE
from bzwire.bluezone import SLOT_S, slot_ids
from bzwire.gaen import INTERVAL_S


@dataclass(frozen=True)
class Signing:
    """How a GAEN export is signed; see `gaen_export_writer.write_export`."""

    private_key: ec.EllipticCurvePrivateKey = field(repr=False)
    region: str
    key_id: str
    key_version: str
    pad_to: int


@dataclass(frozen=True)
class HistoryWritten:
    """Lines of a history; left_out: sightings of times of which the token's own ID is not known, so without a line."""

    lines: int
    left_out: int


def export_bluezone(registry: Registry, name: str, path: Path, now_s: int) -> int:
    """Write a case list; how many keys. Raises CaseError: no such case, not active, or keys of GAEN; NotAllowed,
    PrintError.

    A key that is only in part of the infectious window is given whole, as formats of keys do; matching here leaves out
    what lies outside.
    """
    with registry.write() as session:
        case, keys = _keys_to_export(session, name, SCHEME_BLUEZONE)
        entries = [CaseKey(key.key, key.time_start_s, key.slots_per_day, key.time_end_s) for key in keys]
        audit.record(session, Action.EXPORT, What.KEY, now_s, case.id, f"{len(keys)} keys as a Bluezone case list")
        write_case_list(path, entries)
    return len(entries)


def export_gaen(registry: Registry, name: str, path: Path, signing: Signing, now_s: int) -> tuple[int, int]:
    """Write a signed export; how many keys of the case, how many with the padding. Raises as `export_bluezone`."""
    with registry.write() as session:
        case, keys = _keys_to_export(session, name, SCHEME_GAEN)
        audit.record(session, Action.EXPORT, What.KEY, now_s, case.id, f"{len(keys)} keys as a GAEN export")
        written = write_export(
            path,
            [_gaen_key(key) for key in keys],
            region=signing.region,
            start_s=case.recorded_at_s,
            end_s=case.recorded_at_s + 1,
            private_key=signing.private_key,
            key_id=signing.key_id,
            key_version=signing.key_version,
            pad_to=signing.pad_to,
        )
    return len(keys), written


def export_history(registry: Registry, label: str, path: Path, now_s: int) -> HistoryWritten:
    """Write what a token heard as a phone would have. Raises RegistryError: no such token, or nothing of which its own
    ID is known; NotAllowed, PrintError.
    """
    with registry.write() as session:
        permissions.require(session, permissions.EXPORT_KEYS)
        token = tokens.by_known_label(session, label)
        log = log_of_token(session, token)
        made = list(_lines(session, log, _OwnIds(session, token, log)))
        lines = [line for line in made if line is not None]
        if not lines:
            raise RegistryError(
                "no ID that this token had is known here, so nothing was written: its keys come with `bztoken case add "
                "--port` or `bztoken peer release`"
            )
        audit.record(session, Action.EXPORT, What.HISTORY, now_s, log.id, f"{len(lines)} lines")
        write_history(path, lines)
    return HistoryWritten(len(lines), len(made) - len(lines))


def _keys_to_export(session: Session, name: str, scheme: str) -> tuple[Case, list[TracingKey]]:
    permissions.require(session, permissions.EXPORT_KEYS)
    case = cases.by_known_name(session, name)
    if case.state != cases.STATE_ACTIVE:
        raise CaseError(
            f"this case is {case.state}: nothing was written, since only authorised keys leave the registry"
        )
    keys = cases.keys_of(session, case)
    if not keys:
        raise CaseError("of this case only IDs are known, no keys: nothing was written")
    if any(key.scheme != scheme for key in keys):
        of, other = ("GAEN", "gaen") if scheme == SCHEME_BLUEZONE else ("Bluezone", "bluezone")
        raise CaseError(
            f"the keys of this case are {of} keys, of another kind: nothing was written, use --format {other}"
        )
    return case, keys


def _gaen_key(key: TracingKey) -> GaenKey:
    # A key of today ends when it was released: an ID that is made of it later is somebody's who replays it.
    used = -(-(key.time_end_s + 1 - key.time_start_s) // INTERVAL_S)
    return GaenKey(
        key.key,
        key.time_start_s // INTERVAL_S,
        min(key.slots_per_day, used),
        report_type=key.report_type or 0,
        days_since_onset=key.days_since_onset,
    )


class _OwnIds:
    """Which ID a token had when, from every Bluezone key of it that was released for whatever purpose."""

    def __init__(self, session: Session, token: Token, log: Log) -> None:
        query = select(Case).where(Case.token_id == token.id)
        keys = [key for case in session.scalars(query) for key in cases.keys_of(session, case)]
        keys += peer_keys.of_log(session, log)
        bluezone = (key for key in keys if key.scheme == SCHEME_BLUEZONE)
        self._keys = sorted(bluezone, key=lambda key: (key.time_start_s, key.time_end_s))
        self._starts_s = [key.time_start_s for key in self._keys]
        self._ids: dict[int, list[bytes]] = {}

    def at(self, unix_s: int) -> bytes | None:
        """None where no key of that time is here. Of several of one day, the last reaches farthest."""
        index = bisect_right(self._starts_s, unix_s) - 1
        if index < 0 or unix_s > self._keys[index].time_end_s:
            return None
        key = self._keys[index]
        ids = self._ids.setdefault(index, list(slot_ids(key.key, key.slots_per_day)))
        slot = (unix_s - key.time_start_s) // SLOT_S
        return ids[slot] if slot < len(ids) else None


def _lines(session: Session, log: Log, own: _OwnIds) -> Iterator[HistoryLine | None]:
    """A line for each window in which an ID was heard, by its strongest packet; None where no own ID is known."""
    query = select(Sighting).where(Sighting.log_id == log.id, Sighting.kind == KIND_BLUEZONE)
    for seen in session.scalars(query.order_by(Sighting.first_s, Sighting.id)):
        own_id = own.at(seen.first_s)
        line = None if own_id is None else (own_id, seen.rotating_id, seen.rssi_max_dbm, seen.first_s * 1000)
        yield None if line is None else HistoryLine(*line)
