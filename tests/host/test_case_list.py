"""Case lists: strict reading, and the walk along the phone app's key chain."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bztoken.errors import FormatError
from bztoken.formats.case_list import CaseKey, expand_days, read_case_list, write_case_list
from bzwire.bluezone import slot_ids

KEY = "4c5224b397f8ab3896781d5aa0f3119f280513f1b592ca280ebded6357e21084"
GOOD = {"daily_key": KEY, "time_start": 1596844800, "max": 96, "time_end": 1596931199}


def write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "cases.json"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_list_is_read_back_as_written(tmp_path: Path) -> None:
    keys = [CaseKey(bytes(range(32)), 1596844800, 96, 1597000000), CaseKey(bytes(32), 1, 1, 1)]
    path = tmp_path / "cases.json"
    write_case_list(path, keys)
    assert read_case_list(path) == keys
    assert json.loads(path.read_text())["data"][0]["daily_key"] == bytes(range(32)).hex()


def test_unknown_fields_bom_and_upper_case_are_tolerated(tmp_path: Path) -> None:
    text = json.dumps({"version": 3, "data": [GOOD | {"note": "x", "daily_key": KEY.upper()}]})
    assert read_case_list(write(tmp_path, b"\xef\xbb\xbf" + text.encode()))[0].day_key.hex() == KEY


def test_an_empty_list_has_no_keys(tmp_path: Path) -> None:
    assert read_case_list(write(tmp_path, '{"data": []}')) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"daily_key": KEY[:-2]}, "daily_key"),
        ({"daily_key": KEY[:-1] + "g"}, "daily_key"),
        ({"daily_key": None}, "daily_key"),
        ({"max": 0}, "max"),
        ({"max": 97}, "max"),
        ({"max": "96"}, "max"),
        ({"max": 96.0}, "max"),
        ({"max": True}, "max"),
        ({"time_start": None}, "time_start"),
        ({"time_start": -1}, "time_start"),
        ({"time_end": GOOD["time_start"] - 1}, "in order"),
        ({"time_end": GOOD["time_start"] + 60 * 86400 + 1}, "60 days"),
        ({"time_start": 1596844800000, "time_end": 1596931199000}, "2100"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    path = write(tmp_path, json.dumps({"data": [GOOD, GOOD | change]}))
    with pytest.raises(FormatError, match="entry 2: ") as caught:
        read_case_list(path)
    assert problem in str(caught.value)
    assert KEY[:16] not in str(caught.value)


@pytest.mark.parametrize("missing", sorted(GOOD))
def test_a_missing_field_is_named(tmp_path: Path, missing: str) -> None:
    entry = {name: value for name, value in GOOD.items() if name != missing}
    with pytest.raises(FormatError, match=f"entry 1: .*{missing}"):
        read_case_list(write(tmp_path, json.dumps({"data": [entry]})))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"data": [\n{"daily_key": "00",\n}]}', 3),
        ('{"data": [', 1),
        ("", 1),
        (b'{"data":\n"\xff"}', 2),
    ],
)
def test_a_json_mistake_is_told_with_its_line(tmp_path: Path, text: str | bytes, line: int) -> None:
    with pytest.raises(FormatError) as caught:
        read_case_list(write(tmp_path, text))
    assert caught.value.line == line
    assert f"line {line}" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["[]", "null", '{"data": {}}', '{"dat": []}', '{"data": [[]]}', '{"data": [7]}', "[" * 100_000, "9" * 5000],
)
def test_json_that_is_no_case_list_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(FormatError):
        read_case_list(write(tmp_path, text))


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    text = json.dumps({"data": [GOOD, GOOD]})
    for length in range(len(text)):
        with pytest.raises(FormatError):
            read_case_list(write(tmp_path, text[:length]))


def test_the_chain_reproduces_captured_and_computed_ids(vectors: Any) -> None:
    first = vectors["captured"][0]
    start_s = first["day_start_unix_s"]
    chain = list(expand_days(CaseKey(bytes.fromhex(first["day_key"]), start_s, 96, start_s + 2 * 86400 - 1)))
    assert [day.start_s for day in chain] == [start_s, start_s + 86400]
    by_key = {day.day_key.hex(): list(slot_ids(day.day_key, day.slots)) for day in chain}
    checked = 0
    for entry in vectors["captured"] + vectors["computed"]:
        for slot, expected in entry["slots"].items():
            if entry["day_key"] in by_key:
                assert by_key[entry["day_key"]][int(slot)].hex() == expected
                checked += 1
    assert checked == 10


@given(start_s=st.integers(0, 2_000_000_000), slots=st.integers(1, 96), span_s=st.integers(0, 60 * 86400))
def test_the_walk_equals_a_slot_by_slot_reader(start_s: int, slots: int, span_s: int) -> None:
    """The reader of the specification, one slot at a time."""
    expected, day_key, taken, at_s = [], b"k" * 32, 0, start_s
    while at_s <= start_s + span_s:
        if taken == slots:
            day_key, taken = hashlib.sha256(day_key).digest(), 0
        expected.append((day_key, taken, at_s))
        taken, at_s = taken + 1, at_s + 900
    walked = [
        (day.day_key, slot, day.start_s + slot * 900)
        for day in expand_days(CaseKey(b"k" * 32, start_s, slots, start_s + span_s))
        for slot in range(day.slots)
    ]
    assert walked == expected


def test_a_key_is_not_shown_by_repr() -> None:
    assert "6b6b" not in repr(CaseKey(b"k" * 32, 0, 96, 1)) and "kkk" not in repr(CaseKey(b"k" * 32, 0, 96, 1))
