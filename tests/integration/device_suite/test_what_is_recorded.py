"""What the device suite asks and writes down: the tester's answers, the record sheet, options that make no sense."""

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest
from tests.device.desk import read_info
from tests.device.options import chosen
from tests.device.record_sheet import Run, add
from tests.integration.clinic import attached
from tests.integration.device_suite.suite_run import RELEASE, SHEET, Suite, counts, failed, rows

from bztoken.errors import FormatError


def test_answers_of_the_tester_are_kept_and_what_was_left_out_for_want_of_a_second_token(
    tmp_path: Path, suite: Suite, boards: Path
) -> None:
    with attached(tmp_path / "fleet", blank=1) as there:
        (port,) = there.ports.values()
        said = "y all three\nno too quiet\nskip\ny\ns\n"  # light, locate, battery, two items of the sheet
        options = ("--hands", "--record", "--micropython", RELEASE)
        ran = suite("-k", "by_hand or two_tokens", f"--board=serial:{port}", *options, said=said)
    assert failed(ran) == ["test_the_button_is_felt", "test_it_can_be_found_by_its_light_and_its_beep"]
    assert "there is no second token: name its port with --neighbour" in ran.out
    assert "Now press the button once within the next 5 s and look at the light" in ran.out
    assert "Did the light show red, green, blue, one after the other?" in ran.out
    assert "By hand: the case closes. Is it so?" in ran.out
    assert counts(ran) == {"failed": 2, "passed": 2, "skipped": 3}
    assert rows(boards)[0][4:7] == ["2", "2", "3"]
    assert rows(boards)[0][-1].split("; ") == [
        "only a part: by_hand or two_tokens",
        "without a neighbour",
        "button: not felt",
        "light: yes (all three)",
        "locate: no (too quiet)",
        "battery: not looked at",
        "the case closes: yes",
        "sleep current below 1 mA: not looked at",
    ]


def test_a_run_that_could_not_be_recorded_is_not_begun(tmp_path: Path, suite: Suite, boards: Path) -> None:
    """Nobody answers questions for half an hour to learn that the answers are lost."""
    sheet = boards / "virtual/record.md"
    sheet.unlink()
    with attached(tmp_path / "fleet", blank=1) as there:
        (port,) = there.ports.values()
        ran = suite("-k", "by_hand", f"--board=serial:{port}", "--hands", "--record", "--micropython", RELEASE)
        assert not read_info(port).provisioned
    assert ran.code == 1 and "there is no such record sheet" in ran.out + ran.err
    assert not sheet.exists() and "Now press" not in ran.out


# -- what is told before anything runs -------------------------------------------------------------------------------
NOTHING_CHOSEN = {
    "board": "virtual",
    "neighbour": None,
    "board_name": None,
    "hands": False,
    "long": False,
    "record": False,
    "micropython": "",
    "by": None,
}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"board": "/dev/ttyUSB0"}, "--board is virtual or serial:PORT"),
        ({"board": "serial:"}, "--board is virtual or serial:PORT"),
        ({"board": "serial:/dev/x", "neighbour": "/dev/y"}, "--neighbour is serial:PORT"),
        ({"board": "serial:/dev/x", "neighbour": "serial:/dev/x"}, "a token is not its own neighbour"),
        ({"neighbour": "serial:/dev/x"}, "the virtual board brings its own neighbour"),
        ({"record": True, "micropython": RELEASE}, "--record needs --board=serial:PORT"),
        ({"board": "serial:/dev/x", "record": True}, "--record needs the MicroPython release that is flashed"),
        ({"board": "serial:/dev/x", "record": True, "micropython": "newest"}, "as --micropython v1.29.0"),
    ],
)
def test_options_that_make_no_sense_are_told(options: dict[str, object], sentence: str) -> None:
    chosen(Namespace(**NOTHING_CHOSEN))
    with pytest.raises(pytest.UsageError, match=sentence):
        chosen(Namespace(**NOTHING_CHOSEN | options))


def test_wrong_options_end_the_run_before_anything_is_touched(suite: Suite) -> None:
    ran = suite("--board=/dev/ttyUSB0")
    assert ran.code == pytest.ExitCode.USAGE_ERROR and "--board is virtual or serial:PORT" in ran.out + ran.err


def test_a_port_that_is_not_there_is_told(suite: Suite, boards: Path) -> None:
    ran = suite("-k", "blank", "--board=serial:/dev/nowhere", "--record", "--micropython", RELEASE)
    assert ran.code == 1 and "There is no port /dev/nowhere" in ran.out + ran.err
    assert rows(boards) == []


def test_a_sheet_without_its_table_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    run = Run("2026-01-01", RELEASE, "1.0.0", "desk", 1, 0, 0, "")
    sheet = tmp_path / "record.md"
    with pytest.raises(FormatError, match="there is no such record sheet"):
        add(sheet, run)
    for text in ("", "## Runs\n\nnothing\n", SHEET.replace("## Runs", "## Races")):
        sheet.write_text(text, encoding="utf-8")
        with pytest.raises(FormatError, match="this sheet has no table"):
            add(sheet, run)
        assert sheet.read_text(encoding="utf-8") == text
    sheet.write_text(SHEET, encoding="utf-8")
    add(sheet, run)
    add(sheet, replace(run, notes="second\nline | bar"))
    first, second = (line for line in sheet.read_text(encoding="utf-8").splitlines() if line.startswith("| 2026"))
    assert first == "| 2026-01-01 | v1.29.0 | 1.0.0 | desk | 1 | 0 | 0 |  |"
    assert second.endswith("| second line / bar |")
    assert sheet.read_text(encoding="utf-8").count("## By hand") == 1
