"""How long a battery lasts: the seconds a token spends in each state, times the board's cited currents.

Pure arithmetic, no hardware and no simulation: `Schedule` comes from a run on the virtual board, `Figures` from a board
file. Every current is the total that flows in that state, except `light_on_ma` and `board_ma`, which come on top. A
current that nobody published is None; its part is then named unknown, and the sum says "at least".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

DAY_S = 86400.0
# Our assumption, not a cited figure: the rest goes to ageing, and to the end of the discharge, which a 3.3 V regulator
# cannot use.
USABLE_SHARE = 0.85
# Where a board file has no time of its own. Boot: MicroPython on an ESP32-S3, from deep sleep to main.py and back, 635
# ms (github.com/glenn20/upy-esp32-experiments, OptimisingMicropythonBootTime). Radio: "about 200 ms" from deep sleep to
# advertising on an ESP32-C3 (esp32.com, viewtopic.php?t=46435); a boot without MicroPython is in it: an upper bound.
ASSUMED_BOOT_MS = 635.0
ASSUMED_RADIO_START_MS = 200.0
# One advertising event of ours (Bluetooth Core specification, Vol 6 Part B): on each of three channels a packet of at
# most 16 + 31 bytes, 8 us each; then the receiver waits 150 us (T_IFS) for an answer, and 50 us more (ours) to see that
# none came.
SEND_S = 3 * 47 * 8e-6
ANSWER_S = 3 * 200e-6


class UsageLike(Protocol):
    """What the virtual board counts (`bzvirtual.usage.Usage`): microseconds and numbers since a token's first boot."""

    asleep_us: int
    deep_asleep_us: int
    off_us: int
    radio_on_us: int
    listen_us: int
    connected_us: int
    advertisements: int
    radio_starts: int
    boots: int


@dataclass(frozen=True)
class Schedule:
    """Seconds and numbers of a day. listen_s and connected_s lie within radio_on_s."""

    asleep_s: float = 0.0
    deep_asleep_s: float = 0.0
    off_s: float = 0.0
    radio_on_s: float = 0.0
    listen_s: float = 0.0
    connected_s: float = 0.0
    light_s: float = 0.0
    advertisements: float = 0.0
    radio_starts: float = 0.0
    boots: float = 0.0


def schedule_of(before: UsageLike, after: UsageLike, span_s: float, light_s: float = 0.0) -> Schedule:
    """What lies between two readings that are span_s apart, stretched to a day. light_s: of them with the light on."""
    to_day = DAY_S / span_s

    def seconds(name: str) -> float:
        return float(getattr(after, name) - getattr(before, name)) * to_day / 1e6

    def times(name: str) -> float:
        return float(getattr(after, name) - getattr(before, name)) * to_day

    return Schedule(
        asleep_s=seconds("asleep_us"),
        deep_asleep_s=seconds("deep_asleep_us"),
        off_s=seconds("off_us"),
        radio_on_s=seconds("radio_on_us"),
        listen_s=seconds("listen_us"),
        connected_s=seconds("connected_us"),
        light_s=light_s * to_day,
        advertisements=times("advertisements"),
        radio_starts=times("radio_starts"),
        boots=times("boots"),
    )


@dataclass(frozen=True)
class Figures:
    """Currents in mA and times in ms of a board; None: nobody published one.

    radio_idle_ma holds between Bluetooth events when the image lets the radio sleep there (`radio_sleeps`);
    radio_idle_awake_ma when it does not.
    """

    cpu_awake_ma: float | None = None
    radio_idle_ma: float | None = None
    radio_idle_awake_ma: float | None = None
    listen_ma: float | None = None
    transmit_ma: float | None = None
    light_sleep_ma: float | None = None
    deep_sleep_ma: float | None = None
    light_on_ma: float | None = None
    board_ma: float | None = None
    radio_start_ms: float | None = None
    boot_ms: float | None = None
    radio_sleeps: bool = False

    @classmethod
    def of_board(cls, board: Mapping[str, Any]) -> "Figures":
        """From a board file: `currents`, `times`, and whether the image's radio sleeps between events."""
        named = {**board.get("currents", {}), **board.get("times", {})}
        values = {name: entry["value"] for name, entry in named.items()}
        sleeps = board.get("image", {}).get("radio_sleeps", {}).get("value", False)
        return cls(**values, radio_sleeps=bool(sleeps))

    def with_radio_sleep(self, sleeps: bool) -> "Figures":
        """The same board with an image that lets the radio sleep between events, or does not."""
        return replace(self, radio_sleeps=sleeps)

    def between_events_ma(self) -> float | None:
        """While Bluetooth is on and neither sends nor listens."""
        return self.radio_idle_ma if self.radio_sleeps else self.radio_idle_awake_ma


@dataclass(frozen=True)
class Part:
    """One state: seconds of a day, and the current while it lasts."""

    name: str
    seconds: float
    current_ma: float | None

    @property
    def mean_ma(self) -> float | None:
        """Its share of the day's average; None when the current is unknown and the state occurs."""
        if self.seconds <= 0:
            return 0.0
        return None if self.current_ma is None else self.current_ma * self.seconds / DAY_S


@dataclass(frozen=True)
class Budget:
    """All parts of a day. assumed: what stands in for a time that the board file does not have."""

    parts: list[Part]
    assumed: list[str] = field(default_factory=list)

    @property
    def total_ma(self) -> float:
        """Average of the known parts."""
        return sum(part.mean_ma or 0.0 for part in self.parts)

    @property
    def unknown(self) -> list[str]:
        """Parts that occur and have no published current: the true total is higher."""
        return [part.name for part in self.parts if part.mean_ma is None]

    def days(self, capacity_mah: float) -> float | None:
        """Days on a battery of so many mAh; at most, when a part is unknown. None when nothing is known to flow."""
        if self.total_ma <= 0:
            return None
        return capacity_mah * USABLE_SHARE / self.total_ma / 24


def light_sleep_day(schedule: Schedule, figures: Figures) -> Budget:
    """The day as it was run: the program sleeps lightly between windows, its memory kept."""
    return _day(schedule, figures)


def deep_sleep_day(schedule: Schedule, figures: Figures) -> Budget:
    """The same windows with deep sleep between them, computed: each window then begins with a boot."""
    return _day(
        replace(
            schedule,
            asleep_s=0.0,
            deep_asleep_s=schedule.deep_asleep_s + schedule.asleep_s,
            boots=max(schedule.boots, schedule.radio_starts),
        ),
        figures,
    )


def _day(schedule: Schedule, figures: Figures) -> Budget:
    assumed: list[str] = []
    boot_s = schedule.boots * _time_s("boot", figures.boot_ms, ASSUMED_BOOT_MS, schedule.boots, assumed)
    start_s = schedule.radio_starts * _time_s(
        "radio start", figures.radio_start_ms, ASSUMED_RADIO_START_MS, schedule.radio_starts, assumed
    )
    # The virtual board boots and starts its radio in no time; a real one sleeps that much less.
    deep_asleep_s, missing_s = _shortened(schedule.deep_asleep_s, boot_s + start_s)
    asleep_s, missing_s = _shortened(schedule.asleep_s, missing_s)
    send_s = schedule.advertisements * SEND_S
    listen_s = schedule.listen_s + schedule.connected_s + schedule.advertisements * ANSWER_S
    idle_s, missing_s = _shortened(schedule.radio_on_s, send_s + listen_s + missing_s)
    asleep_or_off_s = schedule.asleep_s + schedule.deep_asleep_s + schedule.off_s
    awake_s = max(0.0, DAY_S - asleep_or_off_s - schedule.radio_on_s - missing_s)
    parts = [
        Part("asleep", asleep_s, figures.light_sleep_ma),
        Part("deeply asleep", deep_asleep_s, figures.deep_sleep_ma),
        Part("off", schedule.off_s, 0.0),
        Part("awake, radio off", awake_s, figures.cpu_awake_ma),
        Part("starting the program", boot_s, figures.cpu_awake_ma),
        Part("starting the radio", start_s, figures.listen_ma),
        Part("radio on, idle", idle_s, figures.between_events_ma()),
        Part("listening", listen_s, figures.listen_ma),
        Part("sending", send_s, figures.transmit_ma),
        Part("light", schedule.light_s, figures.light_on_ma),
        Part("rest of the board", DAY_S, figures.board_ma),
    ]
    return Budget([part for part in parts if part.seconds > 0], assumed)


def _time_s(name: str, known_ms: float | None, assumed_ms: float, count: float, assumed: list[str]) -> float:
    if known_ms is None and count > 0:
        assumed.append(f"{name} {assumed_ms:g} ms")
    return (assumed_ms if known_ms is None else known_ms) / 1000


def _shortened(seconds: float, by_s: float) -> tuple[float, float]:
    """(what is left, what could not be taken away)."""
    return max(0.0, seconds - by_s), max(0.0, by_s - seconds)
