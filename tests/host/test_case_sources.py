"""Where keys of a case come from: lists, exports, histories. Of each, only what lies in the infectious window."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bztoken.errors import CaseError, FormatError
from bztoken.formats.case_list import CaseKey, day_keys, expand_days, write_case_list
from bztoken.formats.export_signature import load_private_key, load_public_key, make
from bztoken.formats.gaen_export import GaenKey
from bztoken.formats.gaen_export_writer import write_export
from bztoken.formats.history import HistoryLine, write_history
from bztoken.formats.key_digest import digest_of
from bztoken.formats.tracing_key import TracingKey
from bztoken.registry.cases import SOURCE_EXPORT, SOURCE_HISTORY, SOURCE_LIST
from bztoken.tracing import case_keys
from bztoken.tracing.case_keys import Gathered
from bztoken.tracing.infectious_window import Window
from bzwire.bluezone import next_day_key, slot_ids

DAY_S = 86400
TODAY = date(2026, 11, 24)
TODAY_S = int(datetime(2026, 11, 24, tzinfo=UTC).timestamp())
NOW_S = TODAY_S + 12 * 3600
KEY = b"k" * 32


def window(first: int, last: int) -> Window:
    """Days after today."""
    return Window(TODAY + timedelta(days=first), TODAY + timedelta(days=last))


WINDOW = window(-5, 8)


def hashed(key: bytes, times: int) -> bytes:
    for _ in range(times):
        key = next_day_key(key)
    return key


def listed(tmp_path: Path, *entries: CaseKey, within: Window = WINDOW) -> Gathered:
    write_case_list(tmp_path / "cases.json", entries)
    return case_keys.of_list(tmp_path / "cases.json", within, NOW_S)


# -- Bluezone case lists -----------------------------------------------------------------------------------------------
def test_a_chain_is_cut_to_the_window_and_tells_nothing_of_the_days_before(tmp_path: Path) -> None:
    found = listed(tmp_path, CaseKey(KEY, TODAY_S - 20 * DAY_S, 96, TODAY_S - 1))
    assert (found.source, found.left_out, len(found.keys)) == (SOURCE_LIST, 15, 5)
    for number, key in enumerate(found.keys):
        day = 15 + number
        start_s = TODAY_S + (day - 20) * DAY_S
        assert key == TracingKey("bluezone", hashed(KEY, day), start_s, 96, start_s + DAY_S - 1)


def test_today_ends_now_because_the_key_goes_on_making_ids(tmp_path: Path) -> None:
    found = listed(tmp_path, CaseKey(KEY, TODAY_S, 96, TODAY_S + DAY_S - 1))
    assert [key.time_end_s for key in found.keys] == [NOW_S]


def test_a_list_wholly_outside_the_window_is_refused_with_the_window(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="none of the 3 keys is of the infectious window 2026-11-19 to 2026-12-02"):
        listed(tmp_path, CaseKey(KEY, TODAY_S - 10 * DAY_S, 96, TODAY_S - 7 * DAY_S - 1))


def test_an_empty_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="no keys to record"):
        listed(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        CaseKey(KEY, NOW_S + 1, 96, TODAY_S + DAY_S - 1),
        CaseKey(KEY, TODAY_S - DAY_S, 96, TODAY_S + DAY_S),
        CaseKey(KEY, TODAY_S + 30 * DAY_S, 96, TODAY_S + 31 * DAY_S),
    ],
)
def test_a_key_of_the_future_is_refused_with_its_place(tmp_path: Path, wrong: CaseKey) -> None:
    with pytest.raises(FormatError, match="entry 2: the key is of the future"):
        listed(tmp_path, CaseKey(KEY, TODAY_S - DAY_S, 96, TODAY_S - 1), wrong)


def test_a_key_that_touches_the_window_is_within(tmp_path: Path) -> None:
    """A phone's day need not begin at midnight."""
    noon = TODAY_S - 6 * DAY_S + DAY_S // 2
    found = listed(tmp_path, CaseKey(KEY, noon, 96, noon + DAY_S - 1), within=WINDOW)
    assert len(found.keys) == 1


@given(
    start=st.integers(-20, 0),
    offset_s=st.sampled_from([0, 900, 43_200]),
    slots=st.sampled_from([96, 95, 40]),
    days=st.integers(1, 12),
    first=st.integers(-15, 0),
    length=st.integers(0, 10),
)
def test_what_is_kept_has_every_id_of_the_window_and_no_other_day(
    start: int, offset_s: int, slots: int, days: int, first: int, length: int
) -> None:
    """Against the walk along the chain, slot by slot."""
    start_s = TODAY_S + (start - 1) * DAY_S + offset_s
    entry = CaseKey(KEY, start_s, slots, min(start_s + days * slots * 900 - 1, NOW_S))
    inside = window(first, first + length)
    every = {
        (rotating_id, day.start_s + at * 900)
        for day in expand_days(entry)
        for at, rotating_id in enumerate(slot_ids(day.day_key, day.slots))
    }
    wanted = {one for one in every if inside.holds(one[1], min(one[1] + 899, entry.time_end_s))}
    kept = [key for key in day_keys(entry) if inside.holds(key.time_start_s, key.time_end_s)]
    made = {
        (rotating_id, day.start_s + at * 900)
        for key in kept
        for day in expand_days(CaseKey(key.key, key.time_start_s, key.slots_per_day, key.time_end_s))
        for at, rotating_id in enumerate(slot_ids(day.day_key, day.slots))
    }
    assert wanted <= made <= every
    assert all(inside.holds(key.time_start_s, key.time_end_s) for key in kept)


# -- GAEN exports ------------------------------------------------------------------------------------------------------
Export = Callable[..., Path]
INTERVAL = TODAY_S // 600


def gaen_key(letter: bytes, day: int, **more: int) -> GaenKey:
    return GaenKey(letter * 16, INTERVAL + 144 * day, **more)


@pytest.fixture
def export(tmp_path: Path) -> Export:
    """Writes a signed one."""
    make(tmp_path / "sign.pem")

    def written(*keys: GaenKey, end_s: int = NOW_S - 3600, revised: tuple[GaenKey, ...] = ()) -> Path:
        write_export(
            tmp_path / "export.zip",
            keys,
            region="VN",
            start_s=end_s - 3600,
            end_s=end_s,
            private_key=load_private_key(tmp_path / "sign.pem"),
            key_id="452",
            key_version="v1",
            pad_to=1,
            revised_keys=revised,
        )
        return tmp_path / "export.zip"

    return written


def test_an_export_gives_its_keys_of_the_window_with_what_it_says_of_them(tmp_path: Path, export: Export) -> None:
    path = export(
        gaen_key(b"a", -9),
        gaen_key(b"b", -2, report_type=1, days_since_onset=1),
        gaen_key(b"c", -1, rolling_period=100),
    )
    found = case_keys.of_export(path, load_public_key(tmp_path / "sign.public.pem"), False, WINDOW, NOW_S)
    assert (found.source, found.left_out) == (SOURCE_EXPORT, 1)
    two_ago_s, one_ago_s = TODAY_S - 2 * DAY_S, TODAY_S - DAY_S
    assert sorted(found.keys, key=lambda key: key.key) == [
        TracingKey("gaen", b"b" * 16, two_ago_s, 144, one_ago_s - 1, report_type=1, days_since_onset=1),
        TracingKey("gaen", b"c" * 16, one_ago_s, 100, one_ago_s + 60_000 - 1),
    ]


def test_a_sighting_after_publication_never_counts(export: Export) -> None:
    """The key ends when its export does: since then anybody can broadcast its IDs."""
    path = export(gaen_key(b"a", 0), end_s=TODAY_S + 3600)
    assert [key.time_end_s for key in case_keys.of_export(path, None, True, WINDOW, NOW_S).keys] == [TODAY_S + 3600]


def test_nobodys_signature_and_the_signature_of_another_are_refused(tmp_path: Path, export: Export) -> None:
    path = export(gaen_key(b"a", -1))
    make(tmp_path / "other.pem")
    with pytest.raises(FormatError, match="give the public key .* or --unverified"):
        case_keys.of_export(path, None, False, WINDOW, NOW_S)
    with pytest.raises(FormatError, match="signature is not of this public key"):
        case_keys.of_export(path, load_public_key(tmp_path / "other.public.pem"), True, WINDOW, NOW_S)
    assert len(case_keys.of_export(path, None, True, WINDOW, NOW_S).keys) == 1


def test_a_key_that_its_server_took_back_is_no_cases(export: Export) -> None:
    path = export(gaen_key(b"a", -1), gaen_key(b"b", -1), revised=(gaen_key(b"a", -1, report_type=5),))
    assert [key.key for key in case_keys.of_export(path, None, True, WINDOW, NOW_S).keys] == [b"b" * 16]


def test_an_export_of_the_future_is_refused_with_the_key(export: Export) -> None:
    with pytest.raises(FormatError, match="key 2 is of the future"):
        case_keys.of_export(export(gaen_key(b"a", -1), gaen_key(b"b", 1)), None, True, WINDOW, NOW_S)


# -- histories of phones -----------------------------------------------------------------------------------------------
def history(tmp_path: Path, *lines: tuple[bytes, int]) -> Path:
    write_history(tmp_path / "h.tsv", [HistoryLine(own, b"c" * 12, -60, at_s * 1000) for own, at_s in lines])
    return tmp_path / "h.tsv"


def test_a_phone_is_known_by_its_own_ids_slot_by_slot(tmp_path: Path) -> None:
    first, second, old = b"1" * 12, b"2" * 12, b"3" * 12
    slot_s = TODAY_S - DAY_S + 9 * 900
    path = history(tmp_path, (old, TODAY_S - 8 * DAY_S), (second, slot_s + 900), (first, slot_s + 899), (first, slot_s))
    found = case_keys.of_history(path, WINDOW, NOW_S)
    assert (found.source, found.left_out) == (SOURCE_HISTORY, 1)
    assert list(found.ids) == [(first, slot_s), (second, slot_s + 900)]
    assert found.digest == digest_of([], reversed(found.ids))


def test_a_history_of_the_future_is_refused_with_its_line(tmp_path: Path) -> None:
    path = history(tmp_path, (b"1" * 12, TODAY_S), (b"1" * 12, NOW_S + DAY_S + 1))
    with pytest.raises(FormatError, match="line 2: the contact is of the future"):
        case_keys.of_history(path, WINDOW, NOW_S)


def test_a_history_wholly_outside_the_window_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="none of the 1 IDs"):
        case_keys.of_history(history(tmp_path, (b"1" * 12, TODAY_S - 30 * DAY_S)), WINDOW, NOW_S)


def test_nothing_gathered_shows_a_key_or_an_id(tmp_path: Path) -> None:
    found = listed(tmp_path, CaseKey(KEY, TODAY_S, 96, TODAY_S))
    shown = repr(found) + repr(found.keys[0]) + repr(replace(found, ids=[(b"1" * 12, 5)]))
    assert "kkkk" not in shown and "1111" not in shown and KEY.hex()[:8] not in shown
