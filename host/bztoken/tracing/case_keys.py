"""Turns what a file or a token holds into the keys of one case: those of the infectious window, and never more.

A file that is wrong in one place is refused as a whole, with the place. Nothing is stored here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from bztoken.errors import CaseError, FormatError
from bztoken.formats.case_list import CaseKey, day_keys, read_case_list
from bztoken.formats.export_signature import Verdict
from bztoken.formats.gaen_export import GaenExport, GaenKey, read_export
from bztoken.formats.history import read_history
from bztoken.formats.key_digest import digest_of
from bztoken.formats.tracing_key import SCHEME_GAEN, TracingKey
from bztoken.key_files import require_signed
from bztoken.registry import cases
from bztoken.registry.histories import require_past
from bztoken.tracing.infectious_window import Window
from bzwire.bluezone import DAY_S, SLOT_S

REVOKED = 5  # report type of a key that its server took back


@dataclass(frozen=True)
class Gathered:
    """Keys or IDs within the window; left_out: how many day keys, or IDs, were outside."""

    source: str
    left_out: int
    keys: Sequence[TracingKey] = field(default=(), repr=False)
    ids: Sequence[tuple[bytes, int]] = field(default=(), repr=False)

    @property
    def digest(self) -> bytes:
        """What a code is drawn for."""
        return digest_of(self.keys, self.ids)


def of_list(path: Path, window: Window, now_s: int) -> Gathered:
    """A Bluezone case list, day by day. Raises FormatError, CaseError when no key is within the window, or OSError."""
    found = [key for entry in read_past_list(path, now_s) for key in day_keys(entry)]
    return _limited(cases.SOURCE_LIST, found, window, now_s)


def read_past_list(path: Path, now_s: int) -> list[CaseKey]:
    """The entries of a case list, none of them of the future. Raises FormatError or OSError."""
    entries = read_case_list(path)
    for number, entry in enumerate(entries, 1):
        if entry.time_start_s > now_s or entry.time_end_s >= _day_end_s(now_s):
            raise FormatError(path, None, f"entry {number}: the key is of the future, so the list is wrong")
    return entries


def of_export(
    path: Path, public_key: ec.EllipticCurvePublicKey | None, accept_unverified: bool, window: Window, now_s: int
) -> Gathered:
    """A GAEN export. Raises as `read_past_export` does, and CaseError when no key is within the window."""
    found = read_past_export(path, public_key, accept_unverified, now_s)
    return _limited(cases.SOURCE_EXPORT, found, window, now_s)


def read_past_export(
    path: Path, public_key: ec.EllipticCurvePublicKey | None, accept_unverified: bool, now_s: int
) -> list[TracingKey]:
    """The keys in force of a GAEN export. Raises FormatError: malformed, of the future, not signed by the public key,
    or, unless that is accepted, not checked at all; or OSError.
    """
    export = read_export(path)
    if public_key is not None:
        require_signed(path, export.verdict(public_key))
    elif not accept_unverified:
        assert export.verdict(None) is Verdict.UNVERIFIED
        raise FormatError(
            path, None, "nobody checked who signed this export: give the public key of whoever publishes it with "
            "--public-key, or --unverified if you know where it comes from"
        )  # fmt: skip
    for number, key in enumerate((*export.keys, *export.revised_keys), 1):
        if key.start_s > now_s:
            raise FormatError(path, None, f"key {number} is of the future, so the export is wrong")
    return [_of_gaen(key, export, now_s) for key in _in_force(export)]


def of_history(path: Path, window: Window, now_s: int) -> Gathered:
    """The IDs that a phone itself had, by its own contact history; a slot is a quarter of an hour. Raises FormatError,
    CaseError when none is within the window, or OSError.
    """
    slots = set()
    for number, line in enumerate(read_history(path), 1):
        require_past(path, number, line, now_s)
        slots.add((line.own_id, line.unix_ms // 1000 // SLOT_S * SLOT_S))
    inside = sorted((slot for slot in slots if window.holds(slot[1], slot[1] + SLOT_S - 1)), key=lambda slot: slot[1])
    gathered = Gathered(cases.SOURCE_HISTORY, len(slots) - len(inside), ids=inside)
    return _not_empty(gathered, window)


def of_token(keys: Iterable[TracingKey], window: Window, now_s: int) -> Gathered:
    """What a token released; it was asked for no other days, and this makes sure."""
    return _limited(cases.SOURCE_TOKEN, list(keys), window, now_s)


def _limited(source: str, keys: list[TracingKey], window: Window, now_s: int) -> Gathered:
    inside = [key for key in keys if window.holds(key.time_start_s, key.time_end_s)]
    ended = [_ended(key, now_s) for key in inside]
    return _not_empty(Gathered(source, len(keys) - len(inside), keys=ended), window)


def _not_empty(gathered: Gathered, window: Window) -> Gathered:
    if not gathered.keys and not gathered.ids:
        if not gathered.left_out:
            raise CaseError("there are no keys to record, so nothing could ever be matched: nothing was stored")
        what = "IDs" if gathered.source == cases.SOURCE_HISTORY else "keys"
        raise CaseError(
            f"none of the {gathered.left_out} {what} is of the infectious window {window.first_day} to "
            f"{window.last_day}: nothing was stored, look at the day of the symptoms or of the test, or ask for other "
            f"{what}"
        )
    return gathered


def _ended(key: TracingKey, now_s: int) -> TracingKey:
    """Today's key goes on making IDs until midnight; whoever hears one later did not meet this person before."""
    if key.time_end_s <= now_s:
        return key
    return TracingKey(**{**vars(key), "time_end_s": now_s})


def _in_force(export: GaenExport) -> list[GaenKey]:
    """A revised key stands in the place of what was said of it before; one that was taken back is no case's."""
    known = {(key.key, key.start_interval): key for key in (*export.keys, *export.revised_keys)}
    return [key for key in known.values() if key.report_type != REVOKED]


def _of_gaen(key: GaenKey, export: GaenExport, now_s: int) -> TracingKey:
    """Since an export everybody knows its keys: whoever was heard with one later may be anybody."""
    end_s = min(key.end_s, now_s)
    if export.end_s > key.start_s:
        end_s = min(end_s, export.end_s)
    return TracingKey(
        SCHEME_GAEN,
        key.key,
        key.start_s,
        key.rolling_period,
        end_s,
        report_type=key.report_type or None,
        days_since_onset=key.days_since_onset,
    )


def _day_end_s(now_s: int) -> int:
    """The first second of tomorrow."""
    return (now_s // DAY_S + 1) * DAY_S
