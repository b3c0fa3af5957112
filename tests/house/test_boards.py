"""Board files and the papers beside them: valid, every fact with its source, everything unknown on the record sheet."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.house.board_files import sheet_faults, unsaid

from bztoken import boards
from bztoken.boards import chips, records, shape
from bztoken.boards.chips import pins_of

BOARDS = sorted(path.parent.name for path in chips.CHECKOUT.glob("*/board.json"))
REAL = [name for name in BOARDS if name != "virtual"]


@pytest.fixture(autouse=True)
def of_this_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(boards.VARIABLE, raising=False)


@pytest.fixture
def board() -> dict[str, Any]:
    return boards.load("xiao-esp32c3").description


def test_every_folder_of_a_board_is_known(repository: Path) -> None:
    assert boards.folder() == repository / "boards"
    assert sorted(boards.names()) == BOARDS
    ours = {"esp32-devkit", "esp32c6-devkit", "m5stickc-plus2", "virtual", "xiao-esp32c3", "xiao-esp32s3"}
    assert ours <= set(BOARDS)


@pytest.mark.parametrize("name", [*REAL, "virtual"])
def test_nothing_is_wrong_with_a_boards_file(name: str) -> None:
    assert boards.problems(name) == []


@pytest.mark.parametrize("name", REAL)
def test_currents_rise_from_asleep_to_sending(name: str) -> None:
    currents = boards.load(name).description["currents"]
    order = ("deep_sleep_ma", "light_sleep_ma", "cpu_awake_ma", "radio_idle_ma", "listen_ma", "transmit_ma")
    values = [currents[key]["value"] for key in order]
    assert values == sorted(values)
    assert currents["radio_idle_ma"]["value"] < currents["radio_idle_awake_ma"]["value"]


@pytest.mark.parametrize("name", REAL)
def test_a_real_board_says_by_which_usb_numbers_it_is_known(name: str) -> None:
    ports = boards.load(name).description["usb"]
    numbers = [(port["vid"], port["pid"]) for port in ports]
    assert numbers and len(numbers) == len(set(numbers))


def test_all_real_boards_have_one_release_that_loads_our_files() -> None:
    releases = {boards.load(name).description["image"]["release"] for name in REAL}
    assert len(releases) == 1
    assert tuple(map(int, releases.pop().lstrip("v").split("."))) >= (1, 23, 0)  # where .mpy 6.3 begins


@pytest.mark.parametrize("name", REAL)
def test_the_file_system_of_a_real_board_holds_what_the_firmware_is_made_for(name: str) -> None:
    board = boards.load(name)
    assert board.flash_bytes is not None and board.vfs(board.flash_bytes).size is not None
    assert (board.vfs(board.flash_bytes).size or 0) >= 2 * 1024 * 1024


# -- record sheets ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", REAL)
def test_the_record_sheet_lists_exactly_what_is_unknown(name: str) -> None:
    board = boards.load(name)
    assert sheet_faults(board.folder, board.description) == []


@pytest.mark.parametrize("name", REAL)
def test_boards_that_have_not_run_say_so_everywhere(repository: Path, name: str) -> None:
    folder = repository / "boards" / name
    row = next(
        line
        for line in (repository / "boards/README.md").read_text("utf-8").splitlines()
        if line.startswith(f"| `{name}`")
    )
    assert "Not yet run" in (folder / "record.md").read_text("utf-8")
    assert ("[not yet run]" in row) == (records.runs(folder) == [])


def test_an_unknown_fact_that_the_sheet_hides_is_seen(board: dict[str, Any], repository: Path) -> None:
    sheet = (repository / "boards/xiao-esp32c3/record.md").read_text(encoding="utf-8")
    assert list(unsaid(board, sheet)) == []
    board["currents"]["listen_ma"] = {"value": None, "source": None}
    assert list(unsaid(board, sheet)) == ["currents.listen_ma: unknown, and not on the record sheet"]


def test_a_known_fact_that_the_sheet_calls_unknown_is_seen(board: dict[str, Any], repository: Path) -> None:
    sheet = (repository / "boards/xiao-esp32c3/record.md").read_text(encoding="utf-8")
    board["currents"]["light_on_ma"] = {"value": 3, "source": "measured"}
    assert list(unsaid(board, sheet)) == ["currents.light_on_ma: on the record sheet, and known"]


def test_a_sheet_without_its_table_or_its_list_is_seen(board: dict[str, Any], repository: Path, tmp_path: Path) -> None:
    sheet = (repository / "boards/xiao-esp32c3/record.md").read_text(encoding="utf-8")
    (tmp_path / "record.md").write_text(sheet.replace("| failed ", "").replace("- [ ]", "*"))
    assert len(sheet_faults(tmp_path, board)) == 2


def test_rows_of_a_sheet_are_read(repository: Path, tmp_path: Path) -> None:
    sheet = (repository / "boards/xiao-esp32c3/record.md").read_text(encoding="utf-8")
    assert records.runs(repository / "boards/xiao-esp32c3") == []
    row = "| 2026-11-30 | v1.29.0 | 0.4.0 | desk | 31 | 0 | 2 | cold room |"
    (tmp_path / "record.md").write_text(sheet.replace("|---|---|---|---|---|---|---|---|", f"{'|---' * 8}|\n{row}"))
    assert [run["notes"] for run in records.runs(tmp_path) or []] == ["cold room"]
    assert records.runs(tmp_path / "nowhere") is None


# -- chips -----------------------------------------------------------------------------------------------------------
def test_chips_have_their_shape_and_every_fact_its_source(repository: Path) -> None:
    document = json.loads((repository / "boards/chips.json").read_text(encoding="utf-8"))
    assert list(shape.problems(document, shape.CHIPS_SCHEMA)) == []
    facts = [(chip, key, fact) for chip, keys in document["chips"].items() for key, fact in keys.items()]
    assert [(chip, key) for chip, key, fact in facts if (fact["value"] is None) != (not fact["source"])] == []


def test_a_chip_with_a_strange_key_or_list_is_seen(repository: Path) -> None:
    document = json.loads((repository / "boards/chips.json").read_text(encoding="utf-8"))
    document["chips"]["esp32"]["pins"]["value"] = "0-"
    document["chips"]["esp32"]["colour"] = {"value": "", "source": ""}
    assert len(list(shape.problems(document, shape.CHIPS_SCHEMA))) == 2


@pytest.mark.parametrize("name", sorted(chips.known()))
def test_pins_of_a_chip_agree_with_each_other(name: str) -> None:
    chip = chips.known()[name]
    assert chip.adc_beside_radio <= chip.adc <= chip.pins
    assert chip.input_only <= chip.pins
    assert all(pins <= chip.pins for pins in chip.wake.values())


def test_lists_of_pins_are_read() -> None:
    assert pins_of("0-2, 5, 9-10") == {0, 1, 2, 5, 9, 10} and pins_of("") == frozenset()


# -- what the README says --------------------------------------------------------------------------------------------
def test_the_readme_explains_every_key_and_lists_every_board(repository: Path) -> None:
    schema = json.loads((repository / "boards/board.schema.json").read_text(encoding="utf-8"))
    text = (repository / "boards/README.md").read_text(encoding="utf-8")
    keys = set(schema["properties"]) | set(schema["properties"]["currents"]["properties"])
    assert [key for key in sorted(keys) if f"`{key}" not in text] == []
    assert [name for name in REAL if f"`{name}`" not in text] == []


def test_the_readme_names_what_the_firmware_reads_and_nothing_more(repository: Path) -> None:
    text = (repository / "boards/README.md").read_text(encoding="utf-8")
    table = text.partition("The firmware reads these keys")[2].partition("\n\nThe flash tool")[0]
    told: dict[str, set[str]] = {}
    for line in [line for line in table.splitlines() if line.startswith("| `")]:
        first, *others = re.findall(r"`([^`]+)`", line.split("|")[1])
        key, _, part = first.partition(".")
        told.setdefault(key, set()).update({part, *(other.lstrip(".") for other in others)} - {""})
    assert told == {key: set(parts) for key, parts in boards.DEVICE_KEYS.items()}
