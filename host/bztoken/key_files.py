"""What a file of keys or contacts is: recognised by what it holds, not by its name, then read whole by its own reader.

For people and for commands that take any of these files. Nothing here lets a key or an ID out.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from bztoken.errors import FormatError
from bztoken.formats.case_list import CaseKey, read_case_list
from bztoken.formats.export_signature import Verdict
from bztoken.formats.gaen_export import HEADER, MAX_KEYS, ZIP_MARK, GaenExport, read_export
from bztoken.formats.history import read_history
from bztoken.formats.key_digest import digest_of
from bztoken.formats.tracing_key import SCHEME_GAEN, TracingKey
from bzwire.bluezone import SLOT_S

_LOOK_BYTES = 4096
_JSON = re.compile(rb"(\xef\xbb\xbf)?\s*[\[{]")
_HISTORY = re.compile(rb"[^\t\n]*\t")


class KeyFormat(StrEnum):
    """The formats that are told apart."""

    CASE_LIST = "bluezone-case-list"
    GAEN_EXPORT = "gaen-export"
    HISTORY = "bluezone-history"


@dataclass(frozen=True)
class KeyFile:
    """keys: entries of a case list, or of an export with its padding; contacts: lines of a history.

    first_s, last_s: the first and the last second of all keys or contacts; None where there are none. digest: of all
    keys in force, day by day, as for a case (`formats.key_digest`); None for a history, and for more than `MAX_KEYS`.
    """

    format: KeyFormat
    keys: int
    revised: int
    contacts: int
    first_s: int | None
    last_s: int | None
    signature: Verdict
    digest: bytes | None = None
    export: GaenExport | None = None


def format_of(path: Path) -> KeyFormat:
    """By the beginning of the file. Raises FormatError for what is none of these, or OSError."""
    if path.exists() and not path.is_file():
        raise FormatError(path, None, "this is no file: name a file")
    with path.open("rb") as file:
        beginning = file.read(_LOOK_BYTES)
    if not beginning:
        raise FormatError(path, None, "the file is empty: fetch it again")
    if beginning.startswith((ZIP_MARK, HEADER[:9])):
        return KeyFormat.GAEN_EXPORT
    if _JSON.match(beginning):
        return KeyFormat.CASE_LIST
    if _HISTORY.match(beginning):
        return KeyFormat.HISTORY
    raise FormatError(
        path, None, "this is no Bluezone case list, no Bluezone contact history and no GAEN export: name another file"
    )


def inspect(path: Path, public_key: ec.EllipticCurvePublicKey | None = None) -> KeyFile:
    """All that can be told of a file without showing a key. Raises FormatError with the place, or OSError."""
    found = format_of(path)
    if found is KeyFormat.GAEN_EXPORT:
        return _of_export(read_export(path), public_key)
    if found is KeyFormat.CASE_LIST:
        entries = read_case_list(path)
        first_s, last_s = _span([(entry.time_start_s, entry.time_end_s) for entry in entries])
        return KeyFile(found, len(entries), 0, 0, first_s, last_s, Verdict.UNVERIFIED, _digest_of_list(entries))
    return _of_history(path)


def require_signed(path: Path, signature: Verdict) -> None:
    """For who has a public key, and so wants to know. Raises FormatError unless the signature is valid."""
    if signature is not Verdict.VALID:
        raise FormatError(path, None, _UNSIGNED[signature])


_UNSIGNED = {
    Verdict.INVALID: "the signature is not of this public key, or the file was changed after it was signed: do not use "
    "it, fetch it again",
    Verdict.UNVERIFIED: "the file has no signature that a public key could be held against: ask for a signed one",
}


def _of_export(export: GaenExport, public_key: ec.EllipticCurvePublicKey | None) -> KeyFile:
    first_s, last_s = _span([(key.start_s, key.end_s) for key in (*export.keys, *export.revised_keys)])
    return KeyFile(
        KeyFormat.GAEN_EXPORT,
        len(export.keys),
        len(export.revised_keys),
        0,
        first_s,
        last_s,
        export.verdict(public_key),
        digest_of(
            TracingKey(SCHEME_GAEN, key.key, key.start_s, key.rolling_period, key.end_s) for key in export.in_force()
        ),
        export,
    )


def _digest_of_list(entries: Sequence[CaseKey]) -> bytes | None:
    """A list of 64 MiB may stand for more days than a computer holds."""
    days = sum((entry.time_end_s - entry.time_start_s) // (entry.slots_per_day * SLOT_S) + 1 for entry in entries)
    return digest_of(entries) if days <= MAX_KEYS else None


def _of_history(path: Path) -> KeyFile:
    contacts, first_s, last_s = 0, None, None
    for line in read_history(path):  # not kept: there may be millions
        at_s = line.unix_ms // 1000
        contacts += 1
        first_s, last_s = min(first_s or at_s, at_s), max(last_s or at_s, at_s)
    return KeyFile(KeyFormat.HISTORY, 0, 0, contacts, first_s, last_s, Verdict.UNVERIFIED)


def _span(times_s: Sequence[tuple[int, int]]) -> tuple[int | None, int | None]:
    """The first and the last second of many stretches."""
    return (min(times_s)[0], max(end_s for _, end_s in times_s)) if times_s else (None, None)
