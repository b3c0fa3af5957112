"""The matching once more, as slow as it is plain: one sighting and one ID at a time. An oracle for tests."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from bztoken.crypto import aes_ecb
from bztoken.formats.case_list import CaseKey, expand_days
from bztoken.formats.tracing_key import TracingKey
from bztoken.matching.rules import Heard, Preset, Score
from bztoken.matching.schemes import GAEN
from bztoken.matching.tolerance import UNKNOWN
from bzwire import gaen
from bzwire.bluezone import slot_ids

DAY_S = 86400


class Slot(NamedTuple):
    rotating_id: bytes
    start_s: int
    key_index: int
    uncertainty_s: int = UNKNOWN


def pair_tolerance_s(seen_s: int, key_s: int, unknown_s: int, is_gaen: bool) -> int:
    """As README.md says it, one pair at a time."""
    cap_s = max(4 * 3600, unknown_s)
    if is_gaen:
        cap_s, unknown_s = min(cap_s, 7200), min(unknown_s, 7200)
    if seen_s == UNKNOWN and key_s == UNKNOWN:
        return unknown_s
    if seen_s == UNKNOWN:
        return min(cap_s, max(unknown_s, 60 + key_s))
    if key_s == UNKNOWN:
        return min(cap_s, max(unknown_s, 60 + seen_s))
    return min(cap_s, 60 + seen_s + key_s)


def slots_of(index: int, key: TracingKey) -> list[Slot]:
    """One by one, with other functions than the key table's."""
    uncertainty_s = UNKNOWN if key.uncertainty_s is None else key.uncertainty_s
    if key.scheme == GAEN.name:
        rpik, first = gaen.rpi_key(key.key), key.time_start_s // 600
        starts = list(range(key.time_start_s, key.time_end_s + 1, 600))[: key.slots_per_day]
        return [
            Slot(gaen.rpi(rpik, first + at, aes_ecb), start_s, index, uncertainty_s)
            for at, start_s in enumerate(starts)
        ]
    chain = CaseKey(key.key, key.time_start_s, key.slots_per_day, key.time_end_s)
    return [
        Slot(rotating_id, day.start_s + at * 900, index, uncertainty_s)
        for day in expand_days(chain)
        for at, rotating_id in enumerate(slot_ids(day.day_key, day.slots))
    ]


# -- people ------------------------------------------------------------------------------------------------------------
Row = Mapping[str, Any]  # of a sighting, as it is inserted
Key = tuple[int, int, int, str]  # case, via, log, day


def slow_scores(
    keys: Iterable[TracingKey], rows: Iterable[Row], unknown_s: int, preset: Preset
) -> dict[tuple[int, str], Score]:
    """By (log, day): what was heard of whoever has these keys."""
    slots = [(key.scheme, slot) for key in keys for slot in slots_of(0, key)]
    heard: dict[tuple[int, str], list[Heard]] = defaultdict(list)
    for row in rows:
        if any(scheme == row["kind"] and is_near(row, slot, scheme, unknown_s) for scheme, slot in slots):
            day = datetime.fromtimestamp(row["first_s"], UTC).date().isoformat()
            heard[row["log_id"], day].append(Heard(**{name: row[name] for name in Heard._fields if name in row}))
    return {pair: preset.score(found) for pair, found in heard.items()}


def is_near(row: Row, slot: Slot, scheme: str, unknown_s: int) -> bool:
    """Whether a sighting may be of this slot."""
    if row["rotating_id"] != slot.rotating_id:
        return False
    slot_s = 600 if scheme == GAEN.name else 900
    seen_s = UNKNOWN if row["uncertainty_s"] is None else row["uncertainty_s"]
    tolerance_s = pair_tolerance_s(seen_s, slot.uncertainty_s, unknown_s, is_gaen=scheme == GAEN.name)
    return row["last_s"] >= slot.start_s - tolerance_s and row["first_s"] < slot.start_s + slot_s + tolerance_s


def slow_verdicts(
    direct: Mapping[tuple[int, int, str], Score], via: Mapping[Key, Score], places: set[int]
) -> dict[Key, tuple[Score, str]]:
    """direct: by (case, log, day)."""
    found: dict[Key, tuple[Score, str]] = {}
    for (case, log, day), score in direct.items():
        found[case, 0, log, day] = score, "place" if log in places else score.verdict
    close = {(case, log) for (case, _, log, _), (_, verdict) in found.items() if verdict == "F1"}
    for (case, met, log, day), score in via.items():
        if (case, met) not in close:
            continue
        if day < min(direct_day for (one, other, direct_day) in direct if (one, other) == (case, met)):
            continue
        is_second = score.verdict == "F1" and (case, log) not in close
        found[case, met, log, day] = score, "place" if log in places else "F2" if is_second else "noted"
    return found


# -- places ------------------------------------------------------------------------------------------------------------
class SiteRow(NamedTuple):
    """A sighting of a place's token; the strongest packet is 4 dB stronger than the mean."""

    site: int
    log: int
    first_s: int
    lasts_s: int
    scans: int
    packets: int
    rssi_dbm: int
    is_phone: bool

    @property
    def last_s(self) -> int:
        return self.first_s + self.lasts_s


def slow_stays(rows: Iterable[SiteRow]) -> list[tuple[Any, ...]]:
    """One pair and one row at a time; as the columns of a visit."""
    found: list[tuple[Any, ...]] = []
    by_pair: dict[tuple[int, int], list[SiteRow]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row.first_s, row.last_s)):
        by_pair[row.site, row.log].append(row)
    for pair, mine in sorted(by_pair.items()):
        stays: list[list[SiteRow]] = []
        for row in mine:
            if stays and row.first_s - max(one.last_s for one in stays[-1]) <= 900:
                stays[-1].append(row)
            else:
                stays.append([row])
        found += [(*pair, *_slow_stay(stay)) for stay in stays]
    return found


def _slow_stay(stay: list[SiteRow]) -> tuple[Any, ...]:
    windows: dict[int, int] = {}
    for row in stay:
        heard_s = 0 if row.is_phone else row.scans * 60
        windows[row.first_s // 300] = min(300, windows.get(row.first_s // 300, 0) + heard_s)
    seconds = sum(windows.values())
    if stay[0].is_phone:
        gaps = [later.first_s - row.first_s for row, later in zip(stay, stay[1:], strict=False)]
        seconds = 60 + sum(gap if gap <= 390 else 60 for gap in gaps)
    mean_dbm = sum(row.packets * row.rssi_dbm for row in stay) / sum(row.packets for row in stay)
    return (
        stay[0].first_s,
        max(row.last_s for row in stay),
        (seconds + 30) // 60,
        len(windows),
        max(row.rssi_dbm for row in stay) + 4,
        pytest.approx(mean_dbm),
    )
