"""Bluezone's case list ("InfoF"): day keys of infected people with the span in which their chain was on the air.

`expand_days` walks the chain as a phone does. Strict: a list that is wrong in one entry is refused as a whole, since
half a list would call people safe who are not.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bztoken.errors import FormatError
from bztoken.formats.tracing_key import SCHEME_BLUEZONE, TracingKey
from bztoken.out_files import write_whole
from bzwire.bluezone import DAY_S, SLOT_S, SLOTS_PER_DAY, next_day_key

MAX_SPAN_S = 60 * DAY_S  # four times what Bluezone looks back; bounds what an entry can make a reader compute
MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_TIME_S = 4_102_444_800  # 2100-01-01
_NUMBERS = ("time_start", "max", "time_end")
_KEY = re.compile(r"[0-9A-Fa-f]{64}")


@dataclass(frozen=True)
class CaseKey:
    """One entry: the first day key of a chain, when it starts, slots a day, and the last second it may be used.

    uncertainty_s: how far the times may be off that the broadcasting clock had; None: nothing is known, as in a list.
    """

    day_key: bytes = field(repr=False)
    time_start_s: int
    slots_per_day: int
    time_end_s: int
    tx_power_dbm: int | None = None
    uncertainty_s: int | None = None


class KeyDay(NamedTuple):
    """A day key with its slots: slot n starts at start_s + n * 900."""

    day_key: bytes
    start_s: int
    slots: int


def expand_days(key: CaseKey) -> Iterator[KeyDay]:
    """The day keys of an entry in order: after `slots_per_day` slots the key is hashed, wherever in the day that is.

    Stops with the last slot that starts at or before time_end_s.
    """
    day_key, start_s = key.day_key, key.time_start_s
    while start_s <= key.time_end_s:
        slots_left = (key.time_end_s - start_s) // SLOT_S + 1
        yield KeyDay(day_key, start_s, min(key.slots_per_day, slots_left))
        day_key = next_day_key(day_key)
        start_s += key.slots_per_day * SLOT_S


def whole_key(key: CaseKey) -> TracingKey:
    """An entry as the one tracing key that its chain is."""
    return TracingKey(
        SCHEME_BLUEZONE,
        key.day_key,
        key.time_start_s,
        key.slots_per_day,
        key.time_end_s,
        key.tx_power_dbm,
        key.uncertainty_s,
    )


def day_keys(key: CaseKey) -> Iterator[TracingKey]:
    """An entry as one tracing key a day: what publishes or matches a day then holds no other day's key."""
    for day in expand_days(key):
        end_s = min(key.time_end_s, day.start_s + key.slots_per_day * SLOT_S - 1)
        yield TracingKey(
            SCHEME_BLUEZONE,
            day.day_key,
            day.start_s,
            key.slots_per_day,
            end_s,
            key.tx_power_dbm,
            key.uncertainty_s,
        )


def read_case_list(path: Path) -> list[CaseKey]:
    """Every entry of a case list. Raises FormatError (with the line of a JSON mistake, or the entry), or OSError."""
    with path.open("rb") as file:
        raw = file.read(MAX_FILE_BYTES + 1)
    if len(raw) > MAX_FILE_BYTES:
        raise FormatError(path, None, f"the file is larger than {MAX_FILE_BYTES // 1024 // 1024} MiB: split it")
    document = _parse_json(path, raw)
    entries = document.get("data") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise FormatError(path, None, 'not a case list: there is no list under "data"')
    return [_entry(path, number, entry) for number, entry in enumerate(entries, 1)]


def write_case_list(path: Path, keys: Sequence[CaseKey]) -> None:
    """Write the list as Bluezone phones read it. Raises PrintError; then a list that was there is as it was."""
    entries = [
        {
            "daily_key": key.day_key.hex(),
            "time_start": key.time_start_s,
            "max": key.slots_per_day,
            "time_end": key.time_end_s,
        }
        for key in keys
    ]
    write_whole(path, (json.dumps({"data": entries}, indent=1) + "\n").encode("ascii"))


def _parse_json(path: Path, raw: bytes) -> object:
    try:
        document: object = json.loads(raw.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise FormatError(path, error.lineno, f"not JSON: {error.msg} (column {error.colno})") from error
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise FormatError(path, line, "not a text file in UTF-8") from error
    except (RecursionError, ValueError) as error:  # nested thousands deep, or a number of thousands of digits
        raise FormatError(path, None, "not a case list: nested too deep or a number too long") from error
    return document


def _entry(path: Path, number: int, entry: object) -> CaseKey:
    def wrong(problem: str) -> FormatError:
        return FormatError(path, None, f"entry {number}: {problem}")

    if not isinstance(entry, dict):
        raise wrong("not an object with daily_key, time_start, max and time_end")
    day_key = entry.get("daily_key")
    if not isinstance(day_key, str) or _KEY.fullmatch(day_key) is None:
        raise wrong("daily_key is missing or not 64 hex digits")
    values = [entry.get(name) for name in _NUMBERS]
    whole = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    if len(whole) != len(_NUMBERS):
        raise wrong(f"one of {', '.join(_NUMBERS)} is missing or not a whole number")
    time_start_s, slots, time_end_s = whole
    if not 1 <= slots <= SLOTS_PER_DAY:
        raise wrong(f"max is not between 1 and {SLOTS_PER_DAY}")
    if not 0 <= time_start_s <= time_end_s < MAX_TIME_S:
        raise wrong("time_start and time_end are not seconds in order, before the year 2100")
    if time_end_s - time_start_s > MAX_SPAN_S:
        raise wrong(f"spans more than {MAX_SPAN_S // DAY_S} days")
    return CaseKey(bytes.fromhex(day_key), time_start_s, slots, time_end_s)
