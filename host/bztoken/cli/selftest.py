"""`bztoken selftest`: a token, or two side by side, examine themselves."""

from typing import Annotated

import typer

from bztoken.cli.output import answer_json, answer_table, say
from bztoken.cli.registry import AsJson
from bztoken.errors import BztokenError
from bztoken.token_care import Neighbour, SelfTest, self_test


def selftest(
    ctx: typer.Context,
    port: Annotated[str, typer.Option("--port", help="Serial port of the token.")],
    neighbour: Annotated[
        str | None, typer.Option("--neighbour", help="Port of a second token beside it: do they hear each other?")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Test a token's flash, clock, radio, button and light.

    Takes about 8 s. Exit code 1 when a part failed.
    """
    if neighbour == port:
        raise typer.BadParameter("a token is not its own neighbour: name another port", param_hint="--neighbour")
    ports = [port] if neighbour is None else [port, neighbour]
    found = self_test(ctx.obj, ports, lambda: _ask_person(len(ports)))
    if as_json:
        answer_json({"passed": not any(one.failed() for one in found), "tokens": [_document(one) for one in found]})
    else:
        answer_table(("part", *(one.label for one in found)), _rows(found), "")
    failed = [f"{one.label} ({', '.join(one.failed())})" for one in found if one.failed()]
    if failed:
        raise BztokenError(
            f"The self-test failed on {' and '.join(failed)}: repeat it once, then let a technician look at it."
        )


def _ask_person(tokens: int) -> None:
    lights, button = ("The light shows", "the button") if tokens == 1 else ("Both lights show", "both buttons")
    say(f"{lights} red, green and blue in turn: look whether all three come. Press {button} once within 5 s.")


def _rows(found: list[SelfTest]) -> list[tuple[str, ...]]:
    rows = {
        "flash": [_ok(one.flash) for one in found],
        "clock": [_ok(one.clock) for one in found],
        "radio": [_radio(one) for one in found],
        "heard by its neighbour": [_heard(one) for one in found],
        "button": ["ok" if one.button_pressed else "not pressed" for one in found],
        "light": ["as you saw it" for _ in found],
        "battery": [battery_volts(one.battery_mv) for one in found],
    }
    return [(part, *said) for part, said in rows.items()]


def battery_volts(battery_mv: int) -> str:
    """0 when the board cannot tell."""
    return f"{battery_mv / 1000:.2f} V" if battery_mv else "not measured"


def _ok(is_right: bool) -> str:
    return "ok" if is_right else "failed"


def _radio(one: SelfTest) -> str:
    if one.ids_heard is None:
        return "failed: off (safe mode)"
    return f"heard {one.ids_heard}" if one.ids_heard else "heard nobody"


def _heard(one: SelfTest) -> str:
    words = {Neighbour.HEARD: "ok", Neighbour.NOT_HEARD: "failed", Neighbour.NOT_ASKED: "not tested"}
    return words.get(one.neighbour, f"unknown: {one.neighbour}")


def _document(one: SelfTest) -> dict[str, object]:
    return {
        "label": one.label,
        "passed": not one.failed(),
        "failed": one.failed(),
        "flash": one.flash,
        "clock": one.clock,
        "ids_heard": one.ids_heard,
        "heard_by_neighbour": one.neighbour.value,
        "button_pressed": one.button_pressed,
        "battery_mv": one.battery_mv,
    }
