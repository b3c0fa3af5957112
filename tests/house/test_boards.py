"""Board files: valid by their schema, every fact with its source, everything unknown listed in the notes."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from tests.house.board_files import faults, figures_of, misfits, unsaid, unsourced

REAL = ("esp32-devkit", "esp32c6-devkit", "m5stickc-plus2", "xiao-esp32c3", "xiao-esp32s3")


@pytest.fixture
def schema(repository: Path) -> Any:
    return json.loads((repository / "boards/board.schema.json").read_text(encoding="utf-8"))


@pytest.fixture
def board(repository: Path) -> Any:
    return json.loads((repository / "boards/xiao-esp32c3/board.json").read_text(encoding="utf-8"))


def test_every_folder_of_a_board_is_known(repository: Path) -> None:
    found = {path.parent.name for path in (repository / "boards").glob("*/board.json")}
    assert found == {*REAL, "virtual"}


@pytest.mark.parametrize("name", REAL)
def test_a_real_board_is_valid_sourced_and_open_about_what_is_unknown(repository: Path, schema: Any, name: str) -> None:
    assert faults(repository / "boards" / name, schema) == []


def test_the_virtual_board_is_valid(repository: Path, schema: Any) -> None:
    virtual = json.loads((repository / "boards/virtual/board.json").read_text(encoding="utf-8"))
    assert list(misfits(virtual, schema, schema)) == []
    figures = figures_of(virtual).values()
    assert all((figure["value"] is None) == (figure["source"] is None) for figure in figures)


@pytest.mark.parametrize("name", REAL)
def test_currents_rise_from_asleep_to_sending(repository: Path, name: str) -> None:
    currents = json.loads((repository / "boards" / name / "board.json").read_text(encoding="utf-8"))["currents"]
    order = ("deep_sleep_ma", "light_sleep_ma", "cpu_awake_ma", "radio_idle_ma", "listen_ma", "transmit_ma")
    values = [currents[key]["value"] for key in order]
    assert values == sorted(values)
    assert currents["radio_idle_ma"]["value"] < currents["radio_idle_awake_ma"]["value"]


@pytest.mark.parametrize("name", REAL)
def test_a_real_board_says_by_which_usb_numbers_it_is_known(repository: Path, name: str) -> None:
    ports = json.loads((repository / "boards" / name / "board.json").read_text(encoding="utf-8"))["usb"]
    numbers = [(port["vid"], port["pid"]) for port in ports]
    assert numbers and len(numbers) == len(set(numbers))


@pytest.mark.parametrize("name", REAL)
def test_the_notes_say_that_the_board_has_not_run(repository: Path, name: str) -> None:
    notes = (repository / "boards" / name / "notes.md").read_text(encoding="utf-8")
    assert "not yet run" in notes and "- [ ]" in notes


def test_the_readme_explains_every_key_and_lists_every_board(repository: Path, schema: Any) -> None:
    text = (repository / "boards/README.md").read_text(encoding="utf-8")
    keys = set(schema["properties"]) | set(schema["properties"]["currents"]["properties"])
    assert [key for key in sorted(keys) if f"`{key}" not in text] == []
    assert [name for name in REAL if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("chip",), "z80"),
        (("radio", "tx_power_dbm"), "9"),
        (("radio", "tx_power_dbm"), True),
        (("radio", "colour"), 1),
        (("currents", "listen_ma"), 86),
        (("currents", "listen_ma", "value"), "86"),
        (("button",), {}),
        (("toaster",), {}),
        (("usb",), {}),
        (("usb", 0), "303a:1001"),
        (("usb", 0, "vid"), 12346),
        (("usb", 0, "vid"), "0x303A"),
        (("usb", 0, "pid"), "1001"),
        (("usb", 0, "serial"), "1"),
    ],
)
def test_a_misshapen_file_is_seen(schema: Any, board: Any, path: tuple[str | int, ...], value: object) -> None:
    broken = copy.deepcopy(board)
    place: Any = broken
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert list(misfits(board, schema, schema)) == []
    assert list(misfits(broken, schema, schema))


def test_a_figure_without_a_source_is_seen(board: Any) -> None:
    board["currents"]["listen_ma"]["source"] = " "
    assert list(unsourced(board)) == ["listen_ma: value and source go together"]


def test_a_fact_without_a_source_is_seen(board: Any) -> None:
    del board["sources"]["button"]
    assert list(unsourced(board)) == ["button: no source"]


def test_usb_numbers_without_a_source_are_seen(board: Any) -> None:
    board["usb"][0]["source"] = " "
    assert list(unsourced(board)) == ["usb[0]: no source"]


def test_an_unknown_figure_that_the_notes_hide_is_seen(board: Any, repository: Path) -> None:
    notes = (repository / "boards/xiao-esp32c3/notes.md").read_text(encoding="utf-8")
    board["currents"]["listen_ma"] = {"value": None, "source": None}
    assert list(unsaid(board, notes)) == ["listen_ma: unknown, and not in the notes"]


def test_a_word_of_the_schema_that_is_not_checked_is_an_error(board: Any) -> None:
    with pytest.raises(ValueError, match="minimum"):
        list(misfits(3, {"type": "integer", "minimum": 5}, {}))
