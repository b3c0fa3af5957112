"""Power fails in the middle of an erase or a program: the flash mounts again, every page that was complete is there,
and sequences go on rising.
"""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.firmware.bench import START_S, Bench, Flash, Wearer
from tests.firmware.script_board import ScriptBoard

from bzvirtual.token_folder import POWER_ON
from bzwire.page import split_pages

# Appends pages of growing size over several days, acknowledges some, and says each that is safe.
WRITER = """
from bzfw.day_log import DayLog
from bzwire.page import PageHeader, Record, seal

def ecb(key, blocks):
    return bytes(len(blocks))

log = DayLog()
print("mounted", log.first_sequence(), log.next_sequence, log.acknowledged)
for n in range(40):
    records = [Record(bytes([n] * 12), 0, 1, 1, 1, -60, -60, 0)] * (n * 7 % 64)
    sequence = log.next_sequence
    log.append(20000 + sequence // 6, seal(PageHeader(sequence, 1, 0, 0, 300, 60, 1, 0), records, bytes(32), ecb))
    print("safe", sequence)
    if n % 9 == 8:
        log.acknowledge(sequence - 4)
        print("acknowledged", sequence - 4)
"""
WRITTEN_BYTES = 480_000  # by a whole run of it, formatting included


def said(board: ScriptBoard, word: str) -> list[int]:
    return [int(line.split()[1]) for line in board.lines() if line.startswith(word + " ")]


def pages_in(flash: Flash) -> dict[int, int]:
    """Sequence to length of every page in flash; raises when one is damaged."""
    found = {}
    for name in flash.names("/log"):
        for page in split_pages(flash.read(f"/log/{name}")):
            found[int.from_bytes(page[6:10], "little")] = len(page)
    return found


def test_the_writer_runs_to_its_end_when_the_power_stays_on(board: Callable[..., ScriptBoard]) -> None:
    uncut = board(WRITER)
    assert uncut.ended()
    assert said(uncut, "safe") == list(range(1, 41))
    assert max(pages_in(Flash(uncut.process.folder.flash))) == 40


@pytest.mark.parametrize("seed", range(40))
def test_what_was_safe_survives_a_cut_anywhere(board: Callable[..., ScriptBoard], seed: int) -> None:
    cut = board(WRITER, power_cut_after_bytes=random.Random(seed).randrange(WRITTEN_BYTES))
    safe = max(said(cut, "safe"), default=0)
    acknowledged = max(said(cut, "acknowledged"), default=0)
    cut.lockstep.restart(cut.token, POWER_ON)
    assert cut.ended()
    first, following = mounted(cut)[-1][:2]
    assert following in (safe + 1, safe + 2)  # the page under way is whole or absent
    assert first <= acknowledged + 1
    found = pages_in(Flash(cut.process.folder.flash))
    assert max(found) == following + 39
    assert sorted(found) == list(range(min(found), following + 40))


def mounted(board: ScriptBoard) -> list[tuple[int, ...]]:
    return [tuple(map(int, line.split()[1:])) for line in board.lines() if line.startswith("mounted ")]


def test_the_cuts_of_the_sample_fall_everywhere(board: Callable[..., ScriptBoard]) -> None:
    """Had the budget never been reached, or always at once, the test above would show nothing."""
    reached = [
        len(said(board(WRITER, power_cut_after_bytes=random.Random(seed).randrange(WRITTEN_BYTES)), "safe"))
        for seed in range(0, 40, 4)
    ]
    assert min(reached) < 15
    assert len(set(reached)) > 5
    assert any(count < 40 for count in reached)


def neighbours(bench: Bench, cut_after_bytes: int | None) -> Wearer:
    wearer = bench.hand_out("wearer", power_cut_after_bytes=cut_after_bytes)
    bench.hand_out("neighbour", 1.0)
    return wearer


@pytest.mark.parametrize("seed", range(6))
def test_a_living_token_survives_cuts_at_its_page_writes(bench: Bench, seed: int) -> None:
    wearer = neighbours(bench, None)
    draw = random.Random(seed)
    highest = 0
    for _ in range(3):
        bench.live(900)
        before = bytes(wearer.read_log())
        highest = wearer.status()["n"] - 1
        wearer.token.process.power_cut_after_bytes = draw.randrange(3000, 60_000)
        bench.lockstep.restart(wearer.token)
        bench.live(3600)
        if wearer.token.process.folder.state.rtc_offset_us is not None:
            bench.lockstep.cut_power(wearer.token)
        bench.lockstep.restart(wearer.token, POWER_ON)
        wearer.open_session()
        wearer.set_clock(bench.now_s)
        assert wearer.status()["n"] > highest
        assert bytes(wearer.read_log()).startswith(before)
    sequences = [header.sequence for header, _ in wearer.pages()]
    assert sequences == list(range(1, wearer.status()["n"]))


def test_a_cut_while_it_is_provisioned_leaves_a_token_that_can_be_provisioned(tmp_path: Path, bench: Bench) -> None:
    for n, budget in enumerate(range(17_000, 60_000, 4_000)):
        wearer = bench.add(f"cut-{n}", power_cut_after_bytes=budget)
        wearer.identity = bench.wearers[0].identity
        try:
            wearer.provision()
        except Exception:  # noqa: BLE001 - wherever the power went
            bench.live(1)
        bench.lockstep.cut_power(wearer.token)
        bench.lockstep.restart(wearer.token, POWER_ON)
        if not wearer.plain(0, {})["pr"]:
            wearer.provision()
        wearer.open_session()
        assert wearer.status()["u"] == wearer.identity.uid
        wearer.set_clock(START_S)
