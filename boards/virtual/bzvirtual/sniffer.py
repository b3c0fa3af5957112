"""Hears every broadcast at its source and finds whatever would link two ID periods of one carrier.

It knows whose each broadcast is, which nobody on the street does: what it calls linked is what somebody who hears
everything could join. Findings name rules and carriers, never IDs. Rules: `RULES`.
"""

import statistics
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from bzwire import bluezone, gaen

from . import truth
from .ether import Broadcast, Station

SECOND_US = 1_000_000
LIFE_US = {truth.BLUEZONE: bluezone.SLOT_S * SECOND_US, truth.GAEN: gaen.INTERVAL_S * SECOND_US}
# A token rotates within 2 s of its slot, by a clock that may run 5 % slow.
LIFE_SLACK = 1.06
LIFE_SLACK_US = 5 * SECOND_US
# Nobody switches a radio off and on in less: two addresses of one ID so close together are a change without a silence.
SILENCE_US = 20_000
# So many silences of the same length are no chance: a gap is drawn from about 2 s.
FIXED_GAPS = 5
FIXED_GAP_MS = 10
ADDRESS_MEMORY_US = 24 * 3600 * SECOND_US  # an address is looked for among those of the last day or two

RULES = {
    "id-outlives-its-slot": "an ID was on the air for longer than a slot, or came back after another",
    "address-under-two-ids": "an address was seen under two IDs",
    "address-kept-over-a-rotation": "the ID changed and the address did not",
    "address-changed-alone": "the address changed while the ID went on without a silence",
    "payload-tells-carriers-apart": "bytes beside the ID are not the same for all carriers of a kind",
    "metadata-kept-over-a-rotation": "the encrypted metadata of GAEN stayed the same under a new RPI",
    "gap-is-fixed": "the silence at each rotation has the same length",
}


@dataclass
class Finding:
    """A rule that a carrier's broadcasts broke: how often, and when first."""

    rule: str
    carrier: str
    first_s: int
    count: int = 1


@dataclass(frozen=True)
class Report:
    """rotations: changes from one ID to the next. address_only_changes: new addresses under the same ID after a
    silence, which the windowed profile makes at each of its windows. gap_ms: silence between two IDs, over all.
    """

    rotations: int
    linked: list[Finding]
    address_only_changes: int
    gap_ms: dict[str, float] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """For `air.json`."""
        return asdict(self)


@dataclass
class _Carrier:
    """What is remembered of one carrier."""

    name: str
    kind: str
    last: Broadcast | None = None
    scheme: str = ""
    rotating_id: bytes = b""
    metadata: bytes = b""
    since_us: int = 0
    gaps_ms: "array[int]" = field(default_factory=lambda: array("L"))
    seen: set[bytes] = field(default_factory=set)
    rests: dict[str, Counter[bytes]] = field(default_factory=lambda: defaultdict(Counter))


def _split(data: bytes, scheme: str, rotating_id: bytes) -> tuple[bytes, bytes]:
    """(GAEN's metadata or nothing, everything beside ID and metadata)."""
    at = data.index(rotating_id)
    end = at + len(rotating_id) + (gaen.AEM_BYTES if scheme == truth.GAEN else 0)
    return data[at + len(rotating_id) : end], data[:at] + data[end:]


class Sniffer:
    """Feed it `Ether.on_broadcast`. `kind_of` says of which kind of board a carrier's is: by default all are alike."""

    def __init__(self, kind_of: Callable[[str], str] | None = None) -> None:
        self._kind_of = kind_of or (lambda _name: "")
        self._carriers: dict[str, _Carrier] = {}
        self._findings: dict[tuple[str, str], Finding] = {}
        self._rotations = 0
        self._address_only_changes = 0
        # Addresses of the running span of ADDRESS_MEMORY_US, and of the one before: address -> carrier and ID.
        self._addresses: dict[bytes, tuple[str, bytes]] = {}
        self._older: dict[bytes, tuple[str, bytes]] = {}
        self._span = 0

    def on_broadcast(self, station: Station, broadcast: Broadcast) -> None:
        """Told when a broadcast begins; the end of the one before is known by then."""
        parsed = truth.id_of(broadcast.data)
        if parsed is None:
            return
        carrier = self._carriers.get(station.name)
        if carrier is None:
            carrier = self._carriers[station.name] = _Carrier(station.name, self._kind_of(station.name))
        scheme, rotating_id = parsed
        metadata, rest = _split(broadcast.data, scheme, rotating_id)
        carrier.rests[scheme][rest] += 1
        if carrier.last is None or rotating_id != carrier.rotating_id:
            self._take_rotation(carrier, broadcast, scheme, rotating_id, metadata)
        else:
            self._take_same_id(carrier, broadcast)
        self._take_address(carrier, broadcast)
        carrier.last = broadcast

    def _find(self, rule: str, carrier: _Carrier, now_us: int) -> None:
        known = self._findings.get((rule, carrier.name))
        if known is None:
            self._findings[rule, carrier.name] = Finding(rule, carrier.name, now_us // SECOND_US)
        else:
            known.count += 1

    def _take_rotation(
        self, carrier: _Carrier, broadcast: Broadcast, scheme: str, rotating_id: bytes, metadata: bytes
    ) -> None:
        now_us = broadcast.start_us
        if carrier.last is not None:
            self._rotations += 1
            self._end_id(carrier, now_us)
            carrier.gaps_ms.append((now_us - _end_us(carrier.last, now_us)) // 1000)
            if broadcast.address == carrier.last.address:
                self._find("address-kept-over-a-rotation", carrier, now_us)
            if metadata and metadata == carrier.metadata:
                self._find("metadata-kept-over-a-rotation", carrier, now_us)
        if rotating_id in carrier.seen:
            self._find("id-outlives-its-slot", carrier, now_us)
        carrier.seen.add(rotating_id)
        carrier.scheme, carrier.rotating_id, carrier.metadata, carrier.since_us = scheme, rotating_id, metadata, now_us

    def _end_id(self, carrier: _Carrier, now_us: int) -> None:
        """The ID is over, or the watching is: was it on the air for longer than it may live?"""
        assert carrier.last is not None
        lived_us = _end_us(carrier.last, now_us) - carrier.since_us
        if lived_us > LIFE_US[carrier.scheme] * LIFE_SLACK + LIFE_SLACK_US:
            self._find("id-outlives-its-slot", carrier, carrier.since_us)

    def _take_same_id(self, carrier: _Carrier, broadcast: Broadcast) -> None:
        assert carrier.last is not None
        if broadcast.address == carrier.last.address:
            return
        if broadcast.start_us - _end_us(carrier.last, broadcast.start_us) < SILENCE_US:
            self._find("address-changed-alone", carrier, broadcast.start_us)
        else:
            self._address_only_changes += 1

    def _take_address(self, carrier: _Carrier, broadcast: Broadcast) -> None:
        span = broadcast.start_us // ADDRESS_MEMORY_US
        if span > self._span:
            self._span, self._older, self._addresses = span, self._addresses, {}
        owner = (carrier.name, carrier.rotating_id)
        known = self._addresses.get(broadcast.address) or self._older.get(broadcast.address)
        kept = carrier.last is not None and carrier.last.address == broadcast.address  # told of already
        if known is not None and known != owner and not kept:
            self._find("address-under-two-ids", carrier, broadcast.start_us)
        self._addresses[broadcast.address] = owner

    def report(self, now_us: int) -> Report:
        """What was found up to this moment, which ends whatever is still on the air. Nothing more can be fed to it."""
        for carrier in self._carriers.values():
            if carrier.last is not None:
                self._end_id(carrier, now_us)
            gaps = carrier.gaps_ms
            if len(gaps) >= FIXED_GAPS and max(gaps) - min(gaps) <= FIXED_GAP_MS:
                self._find("gap-is-fixed", carrier, carrier.since_us)
        self._compare_payloads()
        linked = sorted(self._findings.values(), key=lambda found: (found.rule, found.carrier))
        return Report(self._rotations, linked, self._address_only_changes, self._gap_figures())

    def _compare_payloads(self) -> None:
        """Carriers of one kind and scheme must send the same bytes around the ID, all of them."""
        alike: dict[tuple[str, str], list[_Carrier]] = defaultdict(list)
        for carrier in self._carriers.values():
            for scheme in carrier.rests:
                alike[carrier.kind, scheme].append(carrier)
        for (_, scheme), carriers in alike.items():
            sets = Counter(frozenset(carrier.rests[scheme]) for carrier in carriers)
            usual, _ = sets.most_common(1)[0]
            for carrier in carriers:
                if frozenset(carrier.rests[scheme]) != usual:
                    self._find("payload-tells-carriers-apart", carrier, carrier.since_us)

    def _gap_figures(self) -> dict[str, float]:
        gaps = [gap for carrier in self._carriers.values() for gap in carrier.gaps_ms]
        if not gaps:
            return {}
        return {"min": min(gaps), "median": statistics.median(gaps), "max": max(gaps)}


def _end_us(broadcast: Broadcast, otherwise_us: int) -> int:
    return otherwise_us if broadcast.end_us is None else broadcast.end_us
