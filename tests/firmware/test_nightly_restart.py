"""The planned restart of the night: at the turn of a slot, without a lost window, without a link, without a failure."""

import pytest
from tests.firmware.bench import SECOND_US, START_S, Bench, Wearer

from bzvirtual.ether import Broadcast
from bzvirtual.token_folder import HARD_RESET
from bzwire import messages

HOUR_S = 3600


@pytest.mark.parametrize("scheme", [messages.SCHEME_BLUEZONE, messages.SCHEME_GAEN])
@pytest.mark.parametrize("profile", [messages.PROFILE_CONTINUOUS, messages.PROFILE_WINDOWED])
def test_the_nightly_restart_loses_no_window_and_links_no_id(bench: Bench, profile: int, scheme: int) -> None:
    bench.live(130)  # so that the 20 h do not end at the turn of a slot by chance
    wearer = bench.hand_out("slept")
    bench.live_until(START_S + 19.8 * HOUR_S)
    other = bench.hand_out("other", 1.0)
    for one in (wearer, other):
        one.open_session()
        one.ask(messages.CMD_SETTINGS, {"p": profile, "s": scheme, "h": 1})
        one.unplug()
    bench.live(300)
    boots, booted_s = bench.lockstep.usage_of(wearer.token).boots, 0.0
    assert boots == 1
    while bench.now_s < START_S + 20.6 * HOUR_S:
        bench.live(20)
        if not booted_s and bench.lockstep.usage_of(wearer.token).boots == 2:
            booted_s = bench.now_s
    slot_s = 600 if scheme == messages.SCHEME_GAEN else 900
    assert 20 * HOUR_S + 130 <= booted_s - START_S < 20 * HOUR_S + 130 + slot_s + 80
    assert booted_s % slot_s < 80  # at the turn of a slot
    bench.live_until(START_S + 20.6 * HOUR_S + 5)
    assert bench.lockstep.usage_of(wearer.token).boots == 2
    wearer.open_session()
    status = wearer.status()
    assert (status["fb"], status["rc"], status["bo"], status["ck"]) == (0, HARD_RESET, 2, 2)
    no_window_is_lost(wearer, booted_s)
    night = [sniffed.broadcast for sniffed in bench.sniffed if sniffed.name == "slept"]
    night = [broadcast for broadcast in night if broadcast.start_us >= (booted_s - 1000) * SECOND_US]
    nothing_links(night, slot_s, profile)
    slot_begins_s = booted_s // slot_s * slot_s
    assert any(0 < broadcast.start_us / SECOND_US - slot_begins_s < 63 for broadcast in night)  # back within a minute


def no_window_is_lost(wearer: Wearer, booted_s: float) -> None:
    pages = wearer.pages()
    assert [header.sequence for header, _ in pages] == list(range(1, len(pages) + 1))
    starts = {header.window_start_s for header, _ in pages}
    assert starts >= set(range(START_S + 300, int(START_S + 20.6 * HOUR_S) - 300, 300))
    heard = {header.window_start_s for header, records in pages if records}
    around = range(int(booted_s) // 300 * 300 - 600, int(booted_s) + 900, 300)
    assert heard >= set(around)


def nothing_links(sent: list[Broadcast], slot_s: int, profile: int) -> None:
    """No address and no ID in two slots, but for the first second of one; no ID under two addresses where the profile
    promises that."""
    addresses: dict[bytes, set[bytes]] = {}
    slots: dict[bytes, set[int]] = {}
    for broadcast in sent:
        assert not broadcast.public
        addresses.setdefault(broadcast.data, set()).add(broadcast.address)
        end_us = broadcast.end_us or broadcast.start_us
        for at_us in (broadcast.start_us, max(broadcast.start_us, end_us - SECOND_US)):
            for name in (broadcast.address, broadcast.data):
                slots.setdefault(name, set()).add(at_us // SECOND_US // slot_s)
    assert {len(found) for found in slots.values()} == {1}
    if profile == messages.PROFILE_CONTINUOUS:
        assert {len(found) for found in addresses.values()} == {1}


def test_without_twenty_hours_of_life_there_is_no_nightly_restart(bench: Bench) -> None:
    bench.live_until(START_S + 18 * HOUR_S)
    wearer = bench.hand_out("young")
    boots = []
    for hour in (23, 24 + 18.9, 24 + 19.3):
        bench.live_until(START_S + hour * HOUR_S)
        boots.append(bench.lockstep.usage_of(wearer.token).boots)
    assert boots == [1, 1, 2]
