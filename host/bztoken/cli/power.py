"""`bztoken power`: days of life of a board, from its cited currents and a day that the real firmware lived.

The schedule is measured on the virtual board (a token beside one neighbour); only the currents are taken from paper.
"""

import json
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from bztoken import boards
from bztoken.cli.fleet import told_plainly
from bztoken.cli.output import answer, answer_json, answer_table, say
from bztoken.cli.registry import AsJson
from bztoken.errors import BoardError, BztokenError
from bztoken.power import DAY_S, USABLE_SHARE, Budget, Figures, Schedule, deep_sleep_day, light_sleep_day, schedule_of
from bztoken.token_settings import Profile
from bzvirtual import application
from bzvirtual.channel import Channel
from bzvirtual.desk import Desk, identities_from_seed
from bzvirtual.ether import Ether, Station
from bzvirtual.lockstep import Lockstep, Token
from bzvirtual.process import TokenProcess
from bzvirtual.settings import tell_settings
from bzvirtual.token_folder import TokenFolder
from bzvirtual.world import Options, Position

START_S = 1_767_571_200  # 2026-01-05 00:00 UTC, a Monday: every run has the same day
SETTLE_S = 180  # after hand-out the token stays awake for a minute; the day is counted from here on
NEIGHBOUR_M = 1.5
SEED = 1
ORIGIN = "computed from cited currents, not measured on a board"
# Of a board's own description the schedule needs these; its pins would name hardware that the virtual board lacks.
OWN_KEYS = ("name", "radio", "power", "clock")


def board_named(name: str) -> dict[str, Any]:
    """The board's file. Raises BztokenError, with the boards that there are."""
    board = boards.load(name).description
    if "currents" not in board:
        raise BoardError(f"The file of board {name!r} has no currents: add them, or null where nobody states them.")
    return board


def power(
    board_name: Annotated[str, typer.Option("--board", help="Folder name of the board.")],
    profile: Annotated[Profile, typer.Option("--profile", help="Power profile.")],
    battery_mah: Annotated[float, typer.Option("--battery-mah", min=1, help="Capacity of the battery.")] = 1000,
    hours: Annotated[float, typer.Option("--hours", min=0.1, max=240, help="How long the virtual day is.")] = 24,
    as_json: AsJson = False,
) -> None:
    """Compute the days of life on a battery.

    Currents from the board's file, the schedule from a virtual day.
    """
    board = board_named(board_name)
    with told_plainly():
        schedule = measured(board, profile, hours)
    if schedule.advertisements <= 0:
        raise BztokenError("The virtual token never broadcast, so its day says nothing about a battery.")
    figures = Figures.of_board(board)
    if as_json:
        answer_json(_document(board_name, profile, battery_mah, schedule, figures))
        return
    budget = light_sleep_day(schedule, figures)
    _show(budget)
    answer(_life("As it runs", budget, battery_mah))
    if schedule.asleep_s > 0:
        answer(_life("With deep sleep between the windows", deep_sleep_day(schedule, figures), battery_mah))
    for sentence in _other_image(schedule, figures, battery_mah):
        answer(sentence)
    answer(f"All of this is {ORIGIN}; what the processor needs to compute is not in it.")


@dataclass
class _Lights:
    """Adds up how long lights are on: told of every output pin."""

    pins: frozenset[int]
    active_low: bool
    total_us: int = 0
    _since_us: dict[int, int] = field(default_factory=dict)

    def told(self, time_us: int, pin: int, level: int) -> None:
        if pin not in self.pins:
            return
        self.total_us += time_us - self._since_us.pop(pin, time_us)
        if bool(level) != self.active_low:
            self._since_us[pin] = time_us


def measured(board: dict[str, Any], profile: Profile, hours: float) -> Schedule:
    """What the firmware does in a day with this board's power options and this profile, beside one neighbour."""
    with tempfile.TemporaryDirectory(prefix="bztoken-power-") as scratch:
        folder = Path(scratch)
        description = json.loads((application.BOARD / "board.json").read_text())
        description.update({key: board[key] for key in OWN_KEYS if key in board})
        for paper in ("currents", "times", "image", "sources", "flash_map"):
            description.pop(paper, None)
        app = application.build(folder / "app", description)
        lockstep = Lockstep(Ether(Channel(SEED, 0.0)), START_S * 1_000_000)
        try:
            tokens = _handed_out(lockstep, folder, app, profile, description["radio"]["tx_power_dbm"])
            return _live(lockstep, tokens[0], description.get("light", {}), hours)
        finally:
            lockstep.stop()


def _handed_out(
    lockstep: Lockstep, folder: Path, app: application.Application, profile: Profile, tx_power_dbm: int
) -> list[Token]:
    labels = ["token", "neighbour"]
    tokens = []
    for number, identity in enumerate(identities_from_seed(labels, SEED)[1]):
        process = TokenProcess(TokenFolder.create(folder / identity.label), app, identity.label.encode(), lockstep=True)
        station = Station(identity.label, tx_power_dbm, _stands(number * NEIGHBOUR_M), random.Random(number))
        token = lockstep.add_token(process, station)
        session = Desk(lockstep).hand_out(token, identity, START_S * 1000)
        tell_settings(lockstep, token, session, Options(profile=profile.value))
        lockstep.unplug(token)
        tokens.append(token)
    return tokens


def _stands(x_m: float) -> Callable[[float], Position]:
    return lambda _: Position(x_m, 0.0, "room", True)


def _live(lockstep: Lockstep, token: Token, light: dict[str, Any], hours: float) -> Schedule:
    pins = frozenset(pin for name, pin in light.items() if name != "active_low")
    lights = _Lights(pins, bool(light.get("active_low", False)))
    lockstep.run_until((START_S + SETTLE_S) * 1_000_000)
    before = lockstep.usage_of(token)
    token.pins = lights.told
    span_s = hours * 3600
    lockstep.run_until(round((START_S + SETTLE_S + span_s) * 1e6))
    return schedule_of(before, lockstep.usage_of(token), span_s, lights.total_us / 1e6)


def _show(budget: Budget) -> None:
    rows = [
        (part.name, f"{part.seconds / 3600:.3f}", _shown(part.current_ma), _shown(part.mean_ma))
        for part in budget.parts
    ]
    answer_table(("part", "hours a day", "mA while", "mA average"), rows, "The token did nothing.")
    if budget.unknown:
        say(f"No published current: {', '.join(budget.unknown)}.")
    if budget.assumed:
        say(f"Assumed, the board's file has no figure: {', '.join(budget.assumed)}.")


def _shown(current_ma: float | None) -> str:
    return "unknown" if current_ma is None else f"{current_ma:.3f}"


def _life(way: str, budget: Budget, battery_mah: float) -> str:
    days = budget.days(battery_mah)
    more, less = ("at least ", "at most ") if budget.unknown else ("", "")
    lasts = "no end in sight" if days is None else f"{less}{days:.1f} days"
    return f"{way}: {more}{budget.total_ma:.2f} mA, {lasts} on {battery_mah:g} mAh ({USABLE_SHARE:.0%} of it usable)."


def _other_image(schedule: Schedule, figures: Figures, battery_mah: float) -> list[str]:
    """What an image with the other setting of Bluetooth modem sleep would make of the same day."""
    if schedule.radio_on_s <= 0:
        return []
    other = figures.with_radio_sleep(not figures.radio_sleeps)
    way = "With an image whose radio " + ("sleeps" if other.radio_sleeps else "stays powered") + " between events"
    return [_life(way, light_sleep_day(schedule, other), battery_mah)]


def _document(
    board: str, profile: Profile, battery_mah: float, schedule: Schedule, figures: Figures
) -> dict[str, object]:
    other = figures.with_radio_sleep(not figures.radio_sleeps)
    return {
        "board": board,
        "profile": profile.value,
        "battery_mah": battery_mah,
        "usable_share": USABLE_SHARE,
        "origin": ORIGIN,
        "radio_sleeps": figures.radio_sleeps,
        "schedule_a_day": {name: round(value, 3) for name, value in vars(schedule).items()},
        "as_run": _budget_document(light_sleep_day(schedule, figures), battery_mah),
        "deep_sleep": _budget_document(deep_sleep_day(schedule, figures), battery_mah),
        "as_run_other_image": _budget_document(light_sleep_day(schedule, other), battery_mah),
    }


def _budget_document(budget: Budget, battery_mah: float) -> dict[str, object]:
    days = budget.days(battery_mah)
    return {
        "total_ma": round(budget.total_ma, 4),
        "at_least": bool(budget.unknown),
        "unknown": budget.unknown,
        "assumed": budget.assumed,
        "days": None if days is None else round(days, 2),
        "parts": [
            {
                "name": part.name,
                "hours_a_day": round(part.seconds * 24 / DAY_S, 4),
                "current_ma": part.current_ma,
                "mean_ma": None if part.mean_ma is None else round(part.mean_ma, 4),
            }
            for part in budget.parts
        ],
    }
