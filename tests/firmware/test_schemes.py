"""The scheme that a token broadcasts, and those that it hears: Bluezone, GAEN, one after the other."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from tests.firmware.bench import BUTTON_PIN, SECOND_US, START_DAY, START_S, Bench, Refused, Sniffed, Wearer

from bztoken.crypto import aes_ecb
from bzvirtual.application import Application
from bzvirtual.token_folder import HARD_RESET
from bzwire import bluezone, gaen, messages
from bzwire.page import KIND_BLUEZONE, KIND_GAEN, Record

EVENING_S = START_S + 22 * 3600
LIFE_S = 4 * 3600  # over midnight
GAEN_HEAD = bytes.fromhex("02011a03036ffd17166ffd")  # SPEC.md "GAEN"


def token(bench: Bench, name: str, x_m: float = 0.0, **settings: int) -> Wearer:
    """A token with these settings, its cable in."""
    wearer = bench.hand_out(name, x_m)
    wearer.plug()
    wearer.tell(**settings)
    return wearer


def gaen_seen(bench: Bench, name: str) -> list[Sniffed]:
    return [s for s in bench.sniffed if s.name == name and s.broadcast.data.startswith(GAEN_HEAD)]


def bluezone_seen(bench: Bench, name: str) -> list[Sniffed]:
    return [s for s in bench.sniffed if s.name == name and not s.broadcast.data.startswith(GAEN_HEAD)]


def id_of(sniffed: Sniffed) -> bytes:
    data = sniffed.broadcast.data
    parsed = gaen.parse_advertisement(data) or bluezone.parse_advertisement(data)
    assert parsed is not None
    return parsed[0]


def expected_id(day_key: bytes, unix_s: int) -> bytes:
    """RPI and AEM of a token with 0 dBm."""
    tek = day_key[: gaen.KEY_BYTES]
    rpi = gaen.rpi(gaen.rpi_key(tek), gaen.interval_of(unix_s), aes_ecb)
    return rpi + gaen.aem(gaen.aem_key(tek), rpi, 0, aes_ecb)


def records_of(wearer: Wearer) -> list[Record]:
    return [record for _, records in wearer.pages() for record in records]


def heard_ids(wearer: Wearer, kind: int) -> set[bytes]:
    return {record.rotating_id for record in records_of(wearer) if record.kind == kind}


def release(bench: Bench, wearer: Wearer, first_day: int, last_day: int) -> dict[str, Any]:
    """Ask, hold the button, read."""
    wearer.ask(messages.CMD_ASK_RELEASE, {"f": first_day, "t": last_day})
    bench.lockstep.press_button(wearer.token, BUTTON_PIN, 0)
    bench.live(4)
    bench.lockstep.press_button(wearer.token, BUTTON_PIN, 1)
    bench.live(0.5)
    return wearer.ask(messages.CMD_READ_RELEASE)


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory, app: Application) -> Iterator[Bench]:
    """Two GAEN tokens side by side, continuous, from the evening into the next day. Look only."""
    bench = Bench(tmp_path_factory.mktemp("gaen"), app, EVENING_S)
    for name, x_m in (("a", 0.0), ("b", 1.0)):
        token(bench, name, x_m, s=messages.SCHEME_GAEN)
    bench.live(LIFE_S)
    yield bench
    bench.close()


# -- what GAEN sounds like ------------------------------------------------------------------------------------------
def test_a_gaen_token_broadcasts_rpi_and_aem_of_its_day_key(evening: Bench) -> None:
    for wearer in evening.wearers:
        day_keys = wearer.day_keys()
        assert set(day_keys) == {START_DAY, START_DAY + 1}
        seen = gaen_seen(evening, wearer.token.station.name)
        for sniffed in seen:
            start_s = sniffed.broadcast.start_us // SECOND_US
            assert id_of(sniffed) == expected_id(day_keys[bluezone.day_of(start_s)], start_s)
            assert len(sniffed.broadcast.data) == 31


def test_its_id_and_address_change_together_every_ten_minutes(evening: Bench) -> None:
    for name in ("a", "b"):
        seen = gaen_seen(evening, name)
        intervals = [sniffed.broadcast.start_us // SECOND_US // gaen.INTERVAL_S for sniffed in seen]
        first = EVENING_S // gaen.INTERVAL_S
        assert intervals == list(range(first, first + LIFE_S // gaen.INTERVAL_S))
        assert len({id_of(sniffed) for sniffed in seen}) == len(seen)
        assert len({sniffed.broadcast.address for sniffed in seen}) == len(seen)
        for old, new in pairwise(seen):
            assert old.broadcast.end_us is not None
            silent_s = (new.broadcast.start_us - old.broadcast.end_us) / SECOND_US
            assert 0.2 <= silent_s <= 2.3


def test_once_its_scheme_is_gaen_a_token_says_nothing_of_bluezone(evening: Bench) -> None:
    for name in ("a", "b"):
        assert all(s.broadcast.start_us < (EVENING_S + 60) * SECOND_US for s in bluezone_seen(evening, name))


def test_gaen_tokens_record_each_other(evening: Bench) -> None:
    a, b = evening.wearers
    for wearer, other in ((a, b), (b, a)):
        pages = wearer.pages()[1:]
        records = [record for _, page in pages for record in page]
        assert {record.kind for record in records} == {KIND_GAEN}
        sent = {id_of(sniffed) for sniffed in gaen_seen(evening, other.token.station.name)}
        heard = heard_ids(wearer, KIND_GAEN)
        assert heard <= sent
        assert len(heard) >= len(sent) - 2
        assert {len(rotating_id) for rotating_id in heard} == {gaen.ID_BYTES}
        assert {record.tx_power_dbm for record in records} == {127}
        assert {record.flags for record in records} == {0}
        per_page = [sum(record.scans for record in page) for _, page in pages]
        assert per_page == [5] * len(per_page)


# -- who hears whom -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("profile", [messages.PROFILE_CONTINUOUS, messages.PROFILE_WINDOWED])
def test_a_token_hears_its_own_scheme_and_the_other_only_when_told(bench: Bench, profile: int) -> None:
    kinds = {}
    for n, (name, scheme, both) in enumerate(
        [("bz", 0, 0), ("gn", 1, 0), ("bz-both", 0, 1), ("gn-both", 1, 1), ("bz2", 0, 0), ("gn2", 1, 0)]
    ):
        token(bench, name, n * 0.4, p=profile, s=scheme, h=both)
    # Whatever was broadcast before the settings were told is another matter.
    bench.live(120)
    last = [wearer.status()["n"] for wearer in bench.wearers]
    bench.live(900)
    sent = {
        KIND_BLUEZONE: {id_of(s) for wearer in bench.wearers for s in bluezone_seen(bench, wearer.token.station.name)},
        KIND_GAEN: {id_of(s) for wearer in bench.wearers for s in gaen_seen(bench, wearer.token.station.name)},
    }
    for wearer, sequence in zip(bench.wearers, last, strict=True):
        records = [record for _, page in wearer.pages(sequence + 1) for record in page]
        kinds[wearer.token.station.name] = {record.kind for record in records}
        for record in records:
            assert record.rotating_id in sent[record.kind]
    assert kinds == {
        "bz": {KIND_BLUEZONE},
        "gn": {KIND_GAEN},
        "bz-both": {KIND_BLUEZONE, KIND_GAEN},
        "gn-both": {KIND_BLUEZONE, KIND_GAEN},
        "bz2": {KIND_BLUEZONE},
        "gn2": {KIND_GAEN},
    }


@pytest.mark.parametrize("profile", [messages.PROFILE_CONTINUOUS, messages.PROFILE_WINDOWED])
def test_the_scheme_can_be_changed_while_the_token_runs_and_back(bench: Bench, profile: int) -> None:
    a = token(bench, "a", p=profile)
    ears = token(bench, "ears", 1.0, p=profile, h=1)
    changes_s = []
    for scheme in (1, 0, 1):
        bench.live(1000)
        a.tell(s=scheme)
        changes_s.append(bench.now_s)
    bench.live(1000)
    spans = {0: bluezone_seen(bench, "a"), 1: gaen_seen(bench, "a")}
    for n, scheme in enumerate((1, 0, 1)):
        until_s = changes_s[n + 1] if n < 2 else bench.now_s
        # From the next minute on, and it may take 2 s to change.
        inside = [s for s in spans[scheme] if changes_s[n] <= s.broadcast.start_us / SECOND_US <= changes_s[n] + 63]
        assert inside
        for sniffed in spans[1 - scheme]:
            end_us = sniffed.broadcast.end_us or bench.lockstep.now_us
            assert not changes_s[n] + 63 < sniffed.broadcast.start_us / SECOND_US < until_s
            assert not changes_s[n] + 63 < end_us / SECOND_US < until_s
    # One who follows an address must not learn that two schemes are one token.
    assert {s.broadcast.address for s in spans[0]} & {s.broadcast.address for s in spans[1]} == set()
    sent = {id_of(s) for s in [*spans[0], *spans[1]]}
    heard = heard_ids(ears, KIND_BLUEZONE) | heard_ids(ears, KIND_GAEN)
    assert heard <= sent
    assert len(heard) >= 6


def test_the_scheme_survives_a_reset(bench: Bench) -> None:
    a = token(bench, "a", s=messages.SCHEME_GAEN, h=1)
    bench.live(120)
    bench.lockstep.restart(a.token, HARD_RESET)
    since_us = bench.lockstep.now_us
    bench.live(300)
    assert [s for s in bluezone_seen(bench, "a") if s.broadcast.start_us >= since_us] == []
    assert [s for s in gaen_seen(bench, "a") if s.broadcast.start_us >= since_us]
    a.open_session()
    status = a.status()
    assert (status["s"], status["h"]) == (messages.SCHEME_GAEN, 1)


# -- release --------------------------------------------------------------------------------------------------------
def test_a_gaen_token_releases_keys_of_16_bytes_that_make_its_ids(bench: Bench) -> None:
    a = token(bench, "a", s=messages.SCHEME_GAEN)
    bench.live(1500)
    answer = release(bench, a, START_DAY, START_DAY)
    assert (answer["st"], answer["sc"], answer["tx"]) == (messages.RELEASE_GRANTED, "gaen", 0)
    ((day, key),) = answer["k"]
    assert (day, len(key)) == (START_DAY, gaen.KEY_BYTES)
    for sniffed in gaen_seen(bench, "a"):
        assert id_of(sniffed) == expected_id(key, sniffed.broadcast.start_us // SECOND_US)


def test_a_bluezone_token_releases_keys_of_32_bytes(bench: Bench) -> None:
    a = token(bench, "a", s=messages.SCHEME_BLUEZONE, h=1)
    bench.live(300)
    answer = release(bench, a, START_DAY, START_DAY)
    assert answer["sc"] == "bluezone"
    assert [(day, len(key)) for day, key in answer["k"]] == [(START_DAY, bluezone.KEY_BYTES)]


@pytest.mark.parametrize(
    "bad", [{"s": 2}, {"p": 2}, {"h": -1}, {"rd": 0}, {"rd": 22}, {"s": 1, "nonsense": 1}, {"s": True}]
)
def test_settings_that_make_no_sense_are_refused_whole(bench: Bench, bad: dict[str, int]) -> None:
    a = token(bench, "a")
    before = a.tell()
    with pytest.raises(Refused):
        a.tell(**bad)
    assert a.tell() == before
