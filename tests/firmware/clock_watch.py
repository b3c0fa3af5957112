"""How right a token's clock is, and what a wrong one would show on the air and in the log."""

from tests.firmware.bench import SECOND_US, Bench, Sniffed, Wearer

from bzwire import bluezone
from bzwire.page import RECORD_STALE, PageHeader, Record

MINUTE_S = 60
HOUR_S = 3600
SLOT_S = bluezone.SLOT_S


def token(bench: Bench, name: str = "a", x_m: float = 0.0, profile: int = 0, **options: object) -> Wearer:
    """A token of this profile, on its way."""
    wearer = bench.hand_out(name, x_m, **options)
    if profile:
        wearer.tell(p=profile)
    return wearer


def clock_error_s(bench: Bench, wearer: Wearer) -> float:
    """By how much the token's clock is ahead."""
    wearer.wake()
    return float(wearer.status()["t"] / 1000 - bench.now_s)


def id_of(sniffed: Sniffed) -> bytes:
    parsed = bluezone.parse_advertisement(sniffed.broadcast.data)
    assert parsed is not None
    return parsed[0]


def wrong_id_seconds(bench: Bench, wearer: Wearer, since_s: float = 0.0) -> float:
    """For how long at a stretch it has broadcast anything but the ID of the true slot, at most. 3 s of grace at each
    turn of a slot."""
    keys = wearer.day_keys()
    worst_s = 0.0
    for sniffed in bench.sniffed:
        if sniffed.name != wearer.token.station.name:
            continue
        start_s = max(since_s, sniffed.broadcast.start_us / SECOND_US)
        end_s = (sniffed.broadcast.end_us or bench.lockstep.now_us) / SECOND_US
        rotating_id = id_of(sniffed)
        at_s = start_s
        while at_s < end_s:
            slot_end_s = min(end_s, (at_s // SLOT_S + 1) * SLOT_S)
            key = keys.get(bluezone.day_of(int(at_s)), bytes(32))
            if bluezone.slot_id(key, bluezone.slot_of(int(at_s))) != rotating_id:
                worst_s = max(worst_s, slot_end_s - at_s)
            at_s = slot_end_s
    return worst_s


def assert_records_are_true(pages: list[tuple[PageHeader, list[Record]]], since_s: float, until_s: float) -> None:
    """Windows lie within this time, records within their windows, and nobody is marked."""
    for header, records in pages:
        assert since_s - 300 <= header.window_start_s <= until_s
        for record in records:
            assert 0 <= record.first_s <= record.last_s < header.window_s
            assert not record.flags & RECORD_STALE


def silence_s(bench: Bench, name: str, since_s: float, until_s: float) -> float:
    """The longest time without any broadcast."""
    spans = [
        (s.broadcast.start_us / SECOND_US, (s.broadcast.end_us or bench.lockstep.now_us) / SECOND_US)
        for s in bench.sniffed
        if s.name == name
    ]
    inside = [(start, end) for start, end in spans if end > since_s and start < until_s]
    ends = [since_s, *[end for _, end in inside]]
    starts = [*[start for start, _ in inside], until_s]
    return max(start - end for end, start in zip(ends, starts, strict=True))
