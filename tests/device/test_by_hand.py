"""What a cable cannot tell: somebody at the desk looks, listens and presses (`--hands`), and the answers are kept."""

from textwrap import shorten

import pytest
from tests.device.desk import DeskToken
from tests.device.hands import Hands, checklist

from bztoken.boards.records import FILE
from bztoken.token_care import SelfTest, locate, self_test

HANDS_S = 1800  # a person needs time
LOOK_S = 20
NAME_CHARACTERS = 48  # of a question in the notes of the record


def require(token: DeskToken, part: str, what: str) -> None:
    if not token.has(part):
        pytest.skip(f"this board has no {what}")


@pytest.fixture(scope="module")
def found(worn: DeskToken, hands: Hands) -> SelfTest:
    """What the token found when it examined itself, while somebody pressed and looked."""
    wanted = ["press the button once within the next 5 s"] if worn.has("button") else []
    wanted += ["look at the light, which shows its colours in turn"] if worn.has("light") else []
    if not wanted:
        pytest.skip("this board has neither a button nor a light")
    hands.tell(f"Now {' and '.join(wanted)}.")
    (result,) = self_test(worn.home, [worn.port], lambda: None)
    return result


@pytest.mark.timeout(HANDS_S, func_only=True)
def test_the_button_is_felt(worn: DeskToken, hands: Hands, found: SelfTest) -> None:
    require(worn, "button", "button")
    hands.answers.append(f"button: {'felt' if found.button_pressed else 'not felt'}")
    assert found.button_pressed


@pytest.mark.timeout(HANDS_S, func_only=True)
@pytest.mark.usefixtures("found")
def test_the_light_shows_all_its_colours(worn: DeskToken, hands: Hands) -> None:
    require(worn, "light", "light that a pin can switch")
    colours = [colour for colour in ("red", "green", "blue") if colour in worn.board.description["light"]]
    wanted = f"{', '.join(colours)}, one after the other" if colours else "three long flashes"
    assert hands.ask(f"Did the light show {wanted}?", "light")


@pytest.mark.timeout(HANDS_S, func_only=True)
def test_it_can_be_found_by_its_light_and_its_beep(worn: DeskToken, hands: Hands) -> None:
    if not (worn.has("light") or worn.has("buzzer")):
        pytest.skip("this board has neither a light nor a buzzer")
    locate(worn.home, worn.port, LOOK_S)
    seen = "flash twice a second" if worn.has("light") else ""
    heard = "beep once a second" if worn.has("buzzer") else ""
    assert hands.ask(f"Does it {' and '.join(word for word in (seen, heard) if word)}?", "locate")
    locate(worn.home, worn.port, 0)


@pytest.mark.timeout(HANDS_S, func_only=True)
def test_the_battery_reading_agrees_with_a_meter(worn: DeskToken, hands: Hands) -> None:
    require(worn, "battery", "battery that it can measure")
    volts = worn.status().battery_mv / 1000
    assert hands.ask(f"It says {volts:.2f} V: is that what a meter shows at the battery, within 0.1 V?", "battery")


@pytest.mark.timeout(HANDS_S, func_only=True)
def test_the_list_of_the_record_sheet(worn: DeskToken, hands: Hands) -> None:
    """Sleep currents, phones, patterns, ..: whatever the board's sheet lists. All are asked, then the verdict."""
    items = checklist(worn.board.folder / FILE)
    if not items:
        pytest.skip("this board has no list of things to do by hand")
    failed = [item for item in items if said_no(hands, item)]
    assert failed == []


def said_no(hands: Hands, item: str) -> bool:
    """An item that nobody could look at is no failure; it is kept as such."""
    try:
        return not hands.ask(f"By hand: {item}. Is it so?", shorten(item, NAME_CHARACTERS, placeholder=" .."))
    except pytest.skip.Exception:
        return False
