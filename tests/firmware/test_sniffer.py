"""The sniffer finds a planted fault of each kind, and nothing on a clean air."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from tests.firmware.bench import SECOND_US, START_S, stays_at

from bzvirtual.ether import Broadcast, Station
from bzvirtual.sniffer import RULES, Report, Sniffer
from bzwire import bluezone, gaen

SLOT_S = bluezone.SLOT_S
SLOTS = 12


@dataclass
class Sent:
    """One broadcast to be, times in seconds."""

    carrier: str
    from_s: float
    to_s: float | None
    address: bytes
    data: bytes


def clean(carrier: str, seed: int) -> list[Sent]:
    """Three hours of a token that does everything right, always on."""
    draw = random.Random(seed)
    found = []
    for slot in range(SLOTS):
        from_s = START_S + slot * SLOT_S + draw.uniform(0.3, 2.2)
        data = bluezone.advertisement(draw.randbytes(12), 0)
        found.append(Sent(carrier, from_s, START_S + (slot + 1) * SLOT_S + 0.1, draw.randbytes(6), data))
    return found


def windowed(carrier: str, seed: int) -> list[Sent]:
    """Three hours of a token that sleeps: each minute 3 s on the air under an address of its own."""
    draw = random.Random(seed)
    found = []
    for slot in range(SLOTS):
        data = bluezone.advertisement(draw.randbytes(12), 0)
        for minute in range(15):
            from_s = START_S + slot * SLOT_S + minute * 60 + draw.uniform(0, 1)
            found.append(Sent(carrier, from_s, from_s + 3, draw.randbytes(6), data))
    return found


def of_gaen(carrier: str, seed: int) -> list[Sent]:
    """Two hours of a token that broadcasts GAEN."""
    draw = random.Random(seed)
    found = []
    for slot in range(SLOTS):
        from_s = START_S + slot * gaen.INTERVAL_S + draw.uniform(0.3, 2.2)
        data = gaen.advertisement(draw.randbytes(16), draw.randbytes(4))
        found.append(Sent(carrier, from_s, START_S + (slot + 1) * gaen.INTERVAL_S, draw.randbytes(6), data))
    return found


def sniffed(*sent: Sent) -> Report:
    sniffer = Sniffer()
    stations: dict[str, Station] = {}
    last: dict[str, Broadcast] = {}
    for one in sorted(sent, key=lambda one: one.from_s):
        station = stations.setdefault(one.carrier, Station(one.carrier, 0, stays_at(0), random.Random(1)))
        start_us = round(one.from_s * SECOND_US)
        end_us = None if one.to_s is None else round(one.to_s * SECOND_US)
        last[one.carrier] = Broadcast(start_us, 250_000, one.address, one.data, True, end_us)
        sniffer.on_broadcast(station, last[one.carrier])
    return sniffer.report((START_S + SLOTS * SLOT_S) * SECOND_US)


def rules_of(report: Report) -> set[tuple[str, str]]:
    return {(finding.rule, finding.carrier) for finding in report.linked}


@pytest.mark.parametrize("make", [clean, windowed, of_gaen])
def test_a_clean_air_has_no_finding(make: Callable[[str, int], list[Sent]]) -> None:
    report = sniffed(*make("a", 1), *make("b", 2), *make("c", 3))
    assert report.linked == []
    assert report.rotations == 3 * (SLOTS - 1)
    assert (report.address_only_changes > 0) is (make is windowed)


def test_new_addresses_of_one_id_after_a_silence_are_counted_apart() -> None:
    assert sniffed(*windowed("a", 1)).address_only_changes == SLOTS * 14


def test_the_silence_between_two_ids_is_told() -> None:
    gaps_ms = sniffed(*clean("a", 1), *clean("b", 2)).gap_ms
    assert 200 <= gaps_ms["min"] < gaps_ms["median"] < gaps_ms["max"] <= 2100
    assert sniffed(clean("a", 1)[0]).gap_ms == {}


def same_id_in_two_slots(sent: list[Sent]) -> None:
    sent[5].data = sent[4].data


def an_id_comes_back(sent: list[Sent]) -> None:
    sent[9].data = sent[4].data


def an_id_never_ends(sent: list[Sent]) -> None:
    sent[5].to_s = None
    del sent[6:]


def an_address_comes_back(sent: list[Sent]) -> None:
    sent[9].address = sent[4].address


def address_stays(sent: list[Sent]) -> None:
    sent[5].address = sent[4].address


def address_changes_alone(sent: list[Sent]) -> None:
    whole = sent[5]
    sent.insert(6, Sent(whole.carrier, whole.from_s + 300.01, whole.to_s, b"\x05" * 6, whole.data))
    whole.to_s = whole.from_s + 300


def a_byte_of_its_own(sent: list[Sent]) -> None:
    for one in sent:
        one.data = one.data[:-1] + b"\x07"


def a_byte_of_its_own_once(sent: list[Sent]) -> None:
    sent[3].data = sent[3].data + b"\x02\xff\x01"


def the_same_silence_each_time(sent: list[Sent]) -> None:
    for before, after in zip(sent, sent[1:], strict=False):
        assert before.to_s is not None
        after.from_s = before.to_s + 0.5


FAULTS = [
    (same_id_in_two_slots, "id-outlives-its-slot"),
    (an_id_comes_back, "id-outlives-its-slot"),
    (an_id_never_ends, "id-outlives-its-slot"),
    (an_address_comes_back, "address-under-two-ids"),
    (address_stays, "address-kept-over-a-rotation"),
    (address_changes_alone, "address-changed-alone"),
    (a_byte_of_its_own, "payload-tells-carriers-apart"),
    (a_byte_of_its_own_once, "payload-tells-carriers-apart"),
    (the_same_silence_each_time, "gap-is-fixed"),
]


@pytest.mark.parametrize(("plant", "rule"), FAULTS, ids=lambda value: getattr(value, "__name__", None))
def test_a_planted_fault_is_found_and_nothing_else(plant: Callable[[list[Sent]], None], rule: str) -> None:
    faulty = clean("faulty", 9)
    plant(faulty)
    assert rules_of(sniffed(*clean("a", 1), *faulty, *clean("b", 2))) == {(rule, "faulty")}


def test_metadata_that_stays_under_a_new_rpi_is_found() -> None:
    faulty = of_gaen("faulty", 9)
    faulty[5].data = gaen.advertisement(faulty[5].data[11:27], faulty[4].data[27:31])
    report = sniffed(*of_gaen("a", 1), *faulty)
    assert rules_of(report) == {("metadata-kept-over-a-rotation", "faulty")}


def test_an_address_that_two_carriers_use_is_found() -> None:
    one, other = clean("a", 1), clean("b", 2)
    other[7].address = one[3].address
    assert rules_of(sniffed(*one, *other)) == {("address-under-two-ids", "b")}


def test_a_finding_counts_and_names_no_id() -> None:
    faulty = clean("faulty", 9)
    for before, after in zip(faulty, faulty[1:], strict=False):
        after.address = before.address
    report = sniffed(*faulty)
    assert [(finding.rule, finding.count) for finding in report.linked] == [("address-kept-over-a-rotation", SLOTS - 1)]
    written = str(report.document())
    assert not any(sent.data[11:23].hex() in written for sent in faulty)


def planted_rules() -> Iterator[str]:
    yield from (rule for _, rule in FAULTS)
    yield "metadata-kept-over-a-rotation"


def test_every_rule_has_a_planted_fault() -> None:
    assert set(planted_rules()) == set(RULES)


def test_boards_of_different_kinds_may_send_different_bytes() -> None:
    other = clean("other", 2)
    a_byte_of_its_own(other)
    sniffer = Sniffer(kind_of=lambda name: "big" if name == "other" else "small")
    for sent in sorted(clean("a", 1) + other, key=lambda one: one.from_s):
        station = Station(sent.carrier, 0, stays_at(0), random.Random(1))
        end_us = round((sent.to_s or 0) * SECOND_US)
        start_us = round(sent.from_s * SECOND_US)
        sniffer.on_broadcast(station, Broadcast(start_us, 250_000, sent.address, sent.data, True, end_us))
    assert sniffer.report(0).linked == []
