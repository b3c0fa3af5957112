"""The words of the wearer's page in each language: `leaflet_texts.toml`, filled in with the firmware's own numbers.

Which sentences a board needs is decided here too: from what its file says it has, never from its name.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bztoken.errors import PrintError
from bztoken.printing.light_pictures import UNCOLOURED, Sign, sign_of
from bzwire import light_patterns

NO_BREAK = "\u00a0"
FILE = Path(__file__).with_suffix(".toml")
# In the order in which a wearer meets them; the button's two come only where there is one, and so does the battery's.
PATTERNS = (
    "WORKING", "CHARGE_ME", "EXPOSURE", "BRING_ME", "SAFE_MODE", "LOCATE", "ASKING", "THANKS", "SWITCHING_OFF",
)  # fmt: skip
NEED_A_BUTTON = frozenset({"ASKING", "THANKS", "SWITCHING_OFF"})
NEEDS_A_BATTERY = "CHARGE_ME"
NUMBERS = {
    "consent_s": light_patterns.CONSENT_MS // 1000,
    "off_s": light_patterns.OFF_MS // 1000,
    "on_s": light_patterns.SWITCH_ON_MS // 1000,
    "dark_min": sum(light_patterns.WORKING[2:]) // 60_000,  # as long as it is dark while all is well
}


@dataclass(frozen=True)
class Row:
    """One thing that is said: in each language, with <b> for bold, and the sign that it is about, if it is one."""

    texts: tuple[str, ...]
    sign: Sign | None = None


class Words:
    """One language."""

    def __init__(self, code: str, table: Mapping[str, Any]) -> None:
        self.code = code
        self._table = table

    def __call__(self, *keys: str) -> str:
        """The sentences of these keys, one after the other."""
        return " ".join(self._kept_together(self._table[key].format(**NUMBERS)) for key in keys)

    def _kept_together(self, text: str) -> str:
        """With spaces at which no line is broken where it would be hard to read on: within a word, after a number."""
        for words in self._table["keep_together"]:
            text = text.replace(words, words.replace(" ", NO_BREAK))
        return re.sub(r"(?<=\d) ", NO_BREAK, text)

    def light(self, pattern: str, sign: Sign) -> str:
        """What a sign means, after what it looks like."""
        meaning = self._table["lights"][pattern].format(**NUMBERS)
        return self._kept_together(f"<b>{self.looks(sign)}:</b> {meaning}")

    def looks(self, sign: Sign) -> str:
        """What it looks like: colour, how often, in what time."""
        rhythm = self._rhythm(sign)
        if sign.colour == UNCOLOURED:
            return rhythm[0].upper() + rhythm[1:]
        coloured: str = self._table["signs"]["coloured"]
        return coloured.format(colour=self._table["colours"][sign.colour], rhythm=rhythm)

    def _rhythm(self, sign: Sign) -> str:
        signs: Mapping[str, str] = self._table["signs"]
        if sign.is_steady or sign.is_fast:
            return signs["steady" if sign.is_steady else "fast"]
        times = signs.get(f"times_{sign.blinks}", signs["times_more"]).format(count=sign.blinks)
        if not sign.after_ms:
            return signs["burst"].format(times=times)
        single = {1: "every_second", 60: "every_minute"}.get(sign.period_s, "every_seconds")
        blinking = signs["blinking_uncoloured" if sign.colour == UNCOLOURED else "blinking"]
        return blinking.format(times=times, every=signs[single].format(seconds=sign.period_s))


@cache
def tables() -> dict[str, Any]:
    """The file: by language, first the one that comes first."""
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def words_of(codes: Sequence[str]) -> list[Words]:
    """The languages of these codes, each once. Raises PrintError for one that there is not."""
    unknown = [code for code in codes if code not in tables()]
    if unknown or not codes:
        named = f"there is no page in the language {unknown[0]}" if unknown else "no language is named"
        raise PrintError(f"{named}: give one or more of {', '.join(tables())}, with commas between them")
    return [Words(code, tables()[code]) for code in dict.fromkeys(codes)]


# -- what a board's wearer has to know -------------------------------------------------------------------------------
def signs_of(board: Mapping[str, Any]) -> dict[str, Sign]:
    """What a wearer can see on a board (its board.json), by the pattern's name."""
    found = {}
    for name in PATTERNS:
        if name in NEED_A_BUTTON and "button" not in board:
            continue
        if name == NEEDS_A_BATTERY and not _knows_its_battery(board):
            continue
        sign = sign_of(getattr(light_patterns, name), board.get("light"))
        if sign is not None:
            found[name] = sign
    return found


def beginning(board: Mapping[str, Any], profile: str, words: Sequence[Words]) -> list[Row]:
    """What it is, how to wear and charge it."""
    charge = [f"charge_{profile}"]
    if signs_of(board) and not _knows_its_battery(board):
        charge.append("no_charge_sign")
    return [_row(words, "what"), _row(words, "wear"), _row(words, *charge)]


def of_the_light(board: Mapping[str, Any], words: Sequence[Words]) -> list[Row]:
    """A row for each sign, then what no sign means."""
    signs = signs_of(board)
    if not signs:
        return [_row(words, "no_light")]
    rows = [Row(tuple(each.light(name, sign) for each in words), sign) for name, sign in signs.items()]
    return [*rows, _row(words, "dark")]


def of_the_button(board: Mapping[str, Any], words: Sequence[Words]) -> Iterator[Row]:
    """What a press does; the consent too, where no light asks for it."""
    if "button" not in board:
        yield _row(words, "no_button")
        return
    signs = signs_of(board)
    if "ASKING" not in signs:
        yield _row(words, "consent")
    is_green = "WORKING" in signs and signs["WORKING"].colour == "green"
    press = ["press" if is_green else "press_uncoloured"] if signs else []
    yield _row(words, *press, "off")


def end(words: Sequence[Words]) -> list[Row]:
    """What it never does."""
    return [_row(words, "never")]


def _row(words: Sequence[Words], *keys: str) -> Row:
    return Row(tuple(each(*keys) for each in words))


def _knows_its_battery(board: Mapping[str, Any]) -> bool:
    """Without the mark below which a battery is low the firmware never asks for the charger."""
    return bool(board.get("battery", {}).get("low_mv"))
