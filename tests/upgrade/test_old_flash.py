"""A token that gets new firmware over the flash of version 0.1 is the same token: identity, log, day keys go on."""

import hashlib
import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.firmware.bench import Bench, Wearer

from bzvirtual.application import Application
from bzvirtual.desk import Identity
from bzwire import bluezone, messages
from bzwire.page import CLOCK_KEPT, VERSION, split_pages

LIVED_S = 1300


@pytest.fixture
def facts(old_files: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((old_files / "flash-v1.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture
def old_token(tmp_path: Path, app: Application, old_files: Path, facts: dict[str, Any]) -> Iterator[Wearer]:
    """The present firmware, switched on with the old flash at the second at which the old firmware stopped."""
    bench = Bench(tmp_path, app, start_s=facts["stopped_at_unix_s"])
    try:
        yield switch_on(bench, lzma.decompress((old_files / "flash-v1.bin.xz").read_bytes()), facts)
    finally:
        bench.close()


def switch_on(bench: Bench, image: bytes, facts: dict[str, Any]) -> Wearer:
    wearer = bench.add("old")
    bench.lockstep.cut_power(wearer.token)
    folder = wearer.token.process.folder
    folder.flash.write_bytes(image)
    folder.state.rtc_offset_us = 0  # as over a reset: the clock goes on
    wearer.identity = Identity(
        label="old",
        uid=bytes.fromhex(facts["uid"]),
        auth_key=bytes.fromhex(facts["auth_key"]),
        first_log_key=bytes.fromhex(facts["first_log_key"]),
        role=facts["role"],
    )
    bench.sniffed.clear()
    bench.lockstep.restart(wearer.token)
    return wearer


def test_it_knows_who_it_is_and_what_it_has(old_token: Wearer, facts: dict[str, Any]) -> None:
    old_token.open_session()
    status = old_token.status()
    assert (status["u"].hex(), status["r"]) == (facts["uid"], facts["role"])
    assert (status["f"], status["n"], status["a"]) == (
        facts["first_sequence"],
        facts["last_sequence"] + 1,
        facts["acknowledged"],
    )
    assert (status["bo"], status["ck"]) == (facts["boot_id"] + 1, CLOCK_KEPT)


def test_its_log_is_read_from_page_1_on_to_the_byte(old_token: Wearer, facts: dict[str, Any]) -> None:
    old_token.open_session()
    raw = old_token.read_log(1)[: facts["log_bytes"]]
    assert hashlib.sha256(raw).hexdigest() == facts["log_sha256"]
    assert len(list(split_pages(raw))) == facts["pages"]


def test_new_pages_follow_the_old_ones_in_sequence(old_token: Wearer, facts: dict[str, Any]) -> None:
    bench = old_token.bench
    bench.hand_out("neighbour", 1.0)
    bench.live(LIVED_S)
    old_token.open_session()
    pages = old_token.pages(1)
    old, new = pages[: facts["pages"]], pages[facts["pages"] :]
    assert [header.sequence for header, _ in pages] == list(range(1, old_token.status()["n"]))
    assert {header.version for header, _ in old} == {1}
    assert {header.version for header, _ in new} == {VERSION}
    assert {header.boot_id for header, _ in new} == {facts["boot_id"] + 1}
    assert {header.log_key_number for header, _ in new} == {facts["log_key_number"]}
    assert sum(len(records) for _, records in old) == facts["records"]
    assert any(records for _, records in new)


def test_the_ids_of_the_day_stay(old_token: Wearer, facts: dict[str, Any]) -> None:
    """Who met it before midnight or before the new firmware is still found when the wearer releases the day."""
    bench = old_token.bench
    bench.live(LIVED_S)
    today = max(facts["day_keys"], key=int)
    assert int(today) == bluezone.day_of(facts["stopped_at_unix_s"])
    expected = list(bluezone.slot_ids(bytes.fromhex(facts["day_keys"][today])))
    first, last = (bluezone.slot_of(at_s) for at_s in (facts["stopped_at_unix_s"], int(bench.now_s)))
    heard = [bluezone.parse_advertisement(sniffed.broadcast.data) for sniffed in bench.sniffed]
    assert {found[0] for found in heard if found is not None} == set(expected[first : last + 1])
    kept = {str(day): key.hex() for day, key in old_token.day_keys().items()}
    assert kept == facts["day_keys"]


def test_old_and_new_pages_are_deleted_once_they_are_acknowledged(old_token: Wearer, facts: dict[str, Any]) -> None:
    bench = old_token.bench
    bench.live(LIVED_S)
    old_token.open_session()
    assert old_token.flash().names("/log") == facts["log_files"]  # today's file went on
    last = old_token.status()["n"] - 1
    assert old_token.ask(messages.CMD_ACKNOWLEDGE, {"s": last})["a"] == last
    assert old_token.flash().names("/log") == []
    bench.live(LIVED_S)
    assert old_token.pages(1)[0][0].sequence == last + 1
