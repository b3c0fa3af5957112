"""`bztoken boards`: list, show, check, pin, as somebody at a desk types them."""

import hashlib
import json
from pathlib import Path

import pytest
from tests.host.boards_elsewhere import change_at, put
from tests.program import Program, program
from tests.synthetic_image import write

from bztoken import boards

C6 = "ESP32_GENERIC_C6-20260824-v1.29.0.bin"


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Program:
    monkeypatch.delenv(boards.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return program(monkeypatch, capfd)


@pytest.fixture
def elsewhere(cli: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "boards"
    folder.mkdir()
    monkeypatch.setenv(boards.VARIABLE, str(folder))
    return folder


# -- list ------------------------------------------------------------------------------------------------------------
def test_the_list_says_what_each_board_has(cli: Program, tmp_path: Path) -> None:
    ran = cli(tmp_path, "boards", "list")
    rows = {
        line.split("│")[1].strip(): [cell.strip() for cell in line.split("│")[2:-1]]
        for line in ran.out.splitlines()
        if "│" in line
    }
    assert ran.code == 0 and set(rows) == set(boards.names())
    assert rows["m5stickc-plus2"] == [
        "esp32", "8 MiB", "mono", "yes", "measured", "ESP32_GENERIC-20260824-v1.29.0.bin", "known", "not yet run",
    ]  # fmt: skip
    assert rows["esp32c6-devkit"][-2:] == ["unknown", "not yet run"]
    told = {board["board"]: board for board in cli(tmp_path, "boards", "list", "--json").document()}
    assert told["virtual"]["lights"] == ["red", "green", "blue"] and told["virtual"]["image"] is None
    assert (
        rows["virtual"][-2:] == ["-", "-"]
        and "It has no record sheet." in cli(tmp_path, "boards", "show", "virtual").out
    )
    assert told["xiao-esp32s3"]["digest_known"] and not told["esp32c6-devkit"]["digest_known"]


def test_a_wrong_file_does_not_hide_the_other_boards(cli: Program, elsewhere: Path, tmp_path: Path) -> None:
    put(elsewhere, "esp32-devkit")
    put(elsewhere, "xiao-esp32c3", change=change_at("button.pin", 14))
    ran = cli(tmp_path, "boards", "list")
    assert ran.code == 0 and "esp32-devkit" in ran.out and "xiao-esp32c3" not in ran.out
    assert "xiao-esp32c3 is left out: " in ran.err and "GPIO 14" in ran.err
    assert "problem" in cli(tmp_path, "boards", "list", "--json").document()[1]


# -- show ------------------------------------------------------------------------------------------------------------
def test_show_tells_every_fact_with_its_source_and_what_is_unknown(cli: Program, tmp_path: Path) -> None:
    ran = cli(tmp_path, "boards", "show", "esp32c6-devkit")
    assert ran.code == 0
    described = boards.load("esp32c6-devkit").description
    assert [source for source in described["sources"].values() if source not in ran.out] == []
    assert [
        figure["source"]
        for figure in described["currents"].values()
        if figure["source"] and figure["source"] not in ran.out
    ] == []
    assert "image.sha256: unknown\n    no source\n" in ran.out
    assert ran.out.splitlines()[-2:] == [
        "Unknown: currents.light_on_ma, currents.board_ma, times.radio_start_ms, times.boot_ms, image.sha256.",
        "Not yet run: its record sheet has no row.",
    ]
    assert cli(tmp_path, "boards", "show", "esp32c6-devkit", "--json").document()["facts"] == described


def test_a_digest_is_shown_whole(cli: Program, tmp_path: Path) -> None:
    image = boards.load("xiao-esp32c3").image
    assert image is not None and image.sha256 is not None
    assert image.sha256 in cli(tmp_path, "boards", "show", "xiao-esp32c3").out


# -- check -----------------------------------------------------------------------------------------------------------
def test_check_finds_nothing_in_our_boards(cli: Program, tmp_path: Path) -> None:
    ran = cli(tmp_path, "boards", "check")
    assert (ran.code, ran.err) == (0, "") and ran.out.startswith("Nothing is wrong with esp32-devkit, ")
    assert cli(tmp_path, "boards", "check", "virtual").out == "Nothing is wrong with virtual.\n"


def test_check_gives_a_line_for_each_problem_of_each_board(cli: Program, elsewhere: Path, tmp_path: Path) -> None:
    put(elsewhere, "esp32-devkit", change=change_at("button", {"pin": 8, "active_low": True}))
    put(elsewhere, "xiao-esp32c3", change=change_at("toaster", 1))
    (elsewhere / "broken").mkdir()
    (elsewhere / "broken/board.json").write_text("{")
    ran = cli(tmp_path, "boards", "check")
    lines = ran.out.splitlines()
    assert (ran.code, ran.err) == (1, "")
    assert [line.split(": ")[0] for line in lines] == ["broken", "esp32-devkit", "esp32-devkit", "xiao-esp32c3"]
    told = cli(tmp_path, "boards", "check", "esp32-devkit", "--json")
    assert told.code == 1 and told.document()["problems"] == 2


# -- pin -------------------------------------------------------------------------------------------------------------
def test_the_first_download_is_recorded_and_the_second_held_against_it(
    cli: Program, elsewhere: Path, tmp_path: Path
) -> None:
    path = put(elsewhere, "esp32c6-devkit")
    file = write(tmp_path / C6, "esp32c6")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    first = cli(tmp_path, "boards", "pin", "esp32c6-devkit", "--image", file)
    assert first.code == 0 and f"Recorded SHA-256 {digest}" in first.out
    image = json.loads(path.read_text())["image"]
    assert image["sha256"] == digest and image["sha256_source"].startswith("first download, 20")
    assert (tmp_path / "cache/bztoken/images" / C6).read_bytes() == file.read_bytes()
    again = cli(tmp_path, "boards", "pin", "esp32c6-devkit", "--image", file, "--json").document()
    assert again["sha256"] == digest and again["recorded"] is False
    file.write_bytes(file.read_bytes() + b"\0")
    other = cli(tmp_path, "boards", "pin", "esp32c6-devkit", "--image", file)
    assert other.code == 1 and digest in other.err and len(other.err.splitlines()) == 1
    assert json.loads(path.read_text())["image"] == image


# -- bad input -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("show", "toaster"), "There is no board 'toaster'"),
        (("check", "toaster"), "There is no board 'toaster'"),
        (("pin", "toaster", "--image", "x"), "There is no board 'toaster'"),
        (("pin", "virtual", "--image", "x.bin"), "names no image file"),
        (("pin", "esp32c6-devkit", "--image", "x.bin"), f"x.bin is not the image of board esp32c6-devkit: give {C6}"),
        (("pin", "esp32c6-devkit", "--image", f"nowhere/{C6}"), "cannot be read: no such file"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    cli: Program, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    ran = cli(tmp_path, "boards", *arguments)
    assert (ran.code, ran.out) == (1, "") and len(ran.err.splitlines()) == 1 and told in ran.err


@pytest.mark.parametrize("command", [("list",), ("check",), ("show", "esp32-devkit")])
def test_a_folder_that_is_none_is_one_sentence(
    cli: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv(boards.VARIABLE, str(tmp_path / "absent"))
    ran = cli(tmp_path, "boards", *command)
    assert (ran.code, ran.out) == (1, "") and "absent, which is no folder" in ran.err


def test_an_empty_folder_has_no_boards_and_nothing_to_check(cli: Program, elsewhere: Path, tmp_path: Path) -> None:
    assert "There is no board in" in cli(tmp_path, "boards", "list").out
    ran = cli(tmp_path, "boards", "check")
    assert ran.code == 1 and "There is no board in" in ran.err


@pytest.mark.parametrize("arguments", [("show",), ("pin", "esp32-devkit"), ("pin", "--image", "x"), ("paint",)])
def test_wrong_usage_exits_2(cli: Program, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert cli(tmp_path, "boards", *arguments).code == 2
