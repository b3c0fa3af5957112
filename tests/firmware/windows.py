"""Windows of the windowed profile as a sniffer sees them, one broadcast each. Figures from SPEC.md."""

from dataclasses import dataclass

from tests.firmware.bench import SECOND_US, Bench, Wearer

from bzvirtual.usage import Usage
from bzwire import bluezone, messages

MINUTE_S = 60
# SPEC.md "When the radio is on"
REGULAR_S = 2.0
FIRST_S = 2.0
JITTER_S = 0.4
EXTRA_S = 0.2
EXTRAS_ALONE, EXTRAS_IN_COMPANY = 3, 2  # a minute
RETURN_MINUTES = 10
SLACK_S = 0.1  # what switching and flash may take


@dataclass
class Window:
    """One broadcast of a windowed token. start_s: true Unix time."""

    start_s: float
    length_s: float
    address: bytes
    rotating_id: bytes
    public: bool


def windowed(bench: Bench, name: str, x_m: float = 0.0, offset_s: float = 0.0, **options: object) -> Wearer:
    """A windowed token in a pocket, its clock wrong by so much."""
    wearer = bench.hand_out(name, x_m, **options)
    wearer.tell(p=messages.PROFILE_WINDOWED)
    if offset_s:
        wearer.set_clock(bench.now_s + offset_s)
    wearer.unplug()
    return wearer


def ahead_s(wearer: Wearer) -> float:
    """By how much the clock of a token that does not drift is ahead; it was set a moment late."""
    now_us = wearer.bench.lockstep.now_us
    return (wearer.token.process.clock_us(now_us) - now_us) / SECOND_US


def windows_of(bench: Bench, name: str, since_s: float = 0.0) -> list[Window]:
    """Every window that is over."""
    found = []
    for sniffed in bench.sniffed:
        broadcast = sniffed.broadcast
        if sniffed.name != name or broadcast.end_us is None or broadcast.start_us < since_s * SECOND_US:
            continue
        parsed = bluezone.parse_advertisement(broadcast.data)
        assert parsed is not None
        length_s = (broadcast.end_us - broadcast.start_us) / SECOND_US
        start_s = broadcast.start_us / SECOND_US
        found.append(Window(start_s, length_s, broadcast.address, parsed[0], broadcast.public))
    return found


def long_ones(bench: Bench, name: str, since_s: float = 0.0) -> list[Window]:
    """Its regular and check windows."""
    return [window for window in windows_of(bench, name, since_s) if window.length_s > REGULAR_S - SLACK_S]


def by_minute(windows: list[Window], offset_s: float = 0.0) -> dict[int, list[Window]]:
    """Windows of each minute of the token's clock."""
    found: dict[int, list[Window]] = {}
    for window in windows:
        found.setdefault(int((window.start_s + offset_s) // MINUTE_S), []).append(window)
    return found


def phase_s(window: Window, offset_s: float = 0.0) -> float:
    """Where in the minute of a clock that is so much ahead it begins."""
    return (window.start_s + offset_s) % MINUTE_S


def apart_s(one: float, other: float) -> float:
    """Distance of two moments of a minute."""
    gap_s = abs(one - other) % MINUTE_S
    return min(gap_s, MINUTE_S - gap_s)


def share_in_step(bench: Bench, a: str, b: str, since_s: float) -> float:
    """Share of a's minutes in which a long window of a overlaps one of b by half a second or more."""
    others = [window.start_s for window in long_ones(bench, b, since_s)]
    minutes = by_minute(long_ones(bench, a, since_s)).values()
    met = [any(abs(w.start_s - start_s) <= REGULAR_S - 0.5 for w in minute for start_s in others) for minute in minutes]
    return sum(met) / len(met)


def spent(later: Usage, earlier: Usage, field: str) -> float:
    """Share of the time between two looks that was spent in this state."""
    return float(getattr(later, field) - getattr(earlier, field)) / (later.total_us - earlier.total_us)
