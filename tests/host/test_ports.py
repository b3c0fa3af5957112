"""Which ports are tried: by USB numbers of the board files, by name, and how one plugging is told from the next.

Ports by name are real pseudo terminals. What the system lists of USB devices is made up, in pyserial's own class.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from serial.tools.list_ports_common import ListPortInfo
from tests.program import Program, program

from bztoken import boards
from bztoken.errors import LinkError
from bztoken.link import ports
from bztoken.link.ports import candidates, look, usb_ids
from bzvirtual.port_links import PortLinks

CDC_OF_ESPRESSIF = (0x303A, 0x1001)
ARDUINO = (0x2341, 0x0043)
# The clock of file systems moves in steps of some ms; nobody pulls a cable and puts it back faster.
FILE_CLOCK_S = 0.02


@contextmanager
def terminal() -> Iterator[str]:
    """A pseudo terminal, for as long as the block lasts."""
    master, slave = os.openpty()
    tty.setraw(slave)
    try:
        yield os.ttyname(slave)
    finally:
        os.close(master)
        os.close(slave)


def usb(device: str, numbers: tuple[int, int], location: str = "1-2", serial: str | None = None) -> ListPortInfo:
    """A USB device as the system lists it."""
    info = ListPortInfo(device)
    info.vid, info.pid = numbers
    info.location, info.serial_number, info.product = location, serial, "USB JTAG/serial debug unit"
    info.apply_usb_info()
    return info


@pytest.fixture(autouse=True)
def no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ports.VARIABLE, raising=False)


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Program:
    return program(monkeypatch, capfd)


def paths(found: list[ports.FoundPort]) -> list[str]:
    return [port.path for port in found]


# -- USB numbers ---------------------------------------------------------------------------------------------------
def test_the_numbers_are_those_of_the_board_files(repository: Path) -> None:
    written = {
        (int(port["vid"], 16), int(port["pid"], 16))
        for file in (repository / "boards").glob("*/board.json")
        for port in json.loads(file.read_text(encoding="utf-8")).get("usb", [])
    }
    assert usb_ids() == written
    assert CDC_OF_ESPRESSIF in written and len(written) >= 4


def test_without_board_files_the_reason_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(boards.VARIABLE, str(tmp_path))
    with pytest.raises(LinkError, match=r"No board file.*BZTOKEN_PORTS"):
        look(listed=[])
    monkeypatch.setenv(boards.VARIABLE, str(tmp_path / "absent"))
    with pytest.raises(LinkError, match=r"no folder.*BZTOKEN_BOARDS.*BZTOKEN_PORTS"):
        look(listed=[])


def test_a_board_whose_file_is_wrong_does_not_take_the_others_away(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, repository: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("esp32-devkit", "xiao-esp32c3"):
        shutil.copytree(repository / "boards" / name, tmp_path / name)
    (tmp_path / "esp32-devkit/board.json").write_text("{")
    monkeypatch.setenv(boards.VARIABLE, str(tmp_path))
    assert usb_ids() == {CDC_OF_ESPRESSIF}
    assert [record.getMessage() for record in caplog.records if "esp32-devkit" in record.getMessage()]


def test_only_known_numbers_are_tried_in_the_order_of_their_names() -> None:
    devices = [usb(f"/dev/ttyACM{n}", CDC_OF_ESPRESSIF, f"1-{n}") for n in (10, 2)]
    found = look(listed=[*devices, usb("/dev/ttyACM0", ARDUINO), ListPortInfo("/dev/ttyS0")])
    assert paths(found.tried) == ["/dev/ttyACM2", "/dev/ttyACM10"]
    assert {port.description for port in found.tried} == {"USB JTAG/serial debug unit"}
    assert [(port.path, port.why) for port in found.left_alone] == [
        ("/dev/ttyACM0", "no board has the USB numbers 2341:0043"),
        ("/dev/ttyS0", "not on USB"),
    ]


def test_vendor_and_product_must_both_fit() -> None:
    vendors = {vendor for vendor, _ in usb_ids()}
    products = {product for _, product in usb_ids()}
    strange = sorted({(vendor, product) for vendor in vendors for product in products} - usb_ids())
    assert strange
    assert look(listed=[usb(f"/dev/ttyUSB{n}", numbers) for n, numbers in enumerate(strange)]).tried == []


def test_another_device_on_the_same_port_is_another_plugging() -> None:
    keys = [
        look(listed=[usb("/dev/ttyACM0", CDC_OF_ESPRESSIF, location, serial)]).tried[0].key
        for location, serial in (("1-2", "A"), ("1-2", "A"), ("1-2", "B"), ("1-3", "A"))
    ]
    assert keys[0] == keys[1] and len(set(keys)) == 3


def test_the_serial_number_of_a_device_is_not_shown() -> None:
    found = look(
        listed=[usb("/dev/ttyACM0", CDC_OF_ESPRESSIF, serial="CANARY"), usb("/dev/ttyACM1", ARDUINO, "1-3", "CANARY")]
    )
    shown = [(port.path, port.description) for port in found.tried]
    shown += [(port.path, port.description + port.why) for port in found.left_alone]
    assert "CANARY" not in str(shown)


def test_a_device_that_is_pulled_out_while_the_system_lists_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """What pyserial does then: it reads the vendor's number of a device that is gone."""
    tries: list[None] = []

    def stumble(times: int) -> list[ListPortInfo]:
        tries.append(None)
        return [usb("/dev/ttyACM0", CDC_OF_ESPRESSIF)] if len(tries) > times else [int(None, 16)]  # type: ignore

    monkeypatch.setattr(ports, "comports", lambda: stumble(2))
    assert paths(candidates()) == ["/dev/ttyACM0"]
    monkeypatch.setattr(ports, "comports", lambda: stumble(1000))
    with pytest.raises(LinkError, match="come and go"):
        candidates()


# -- by name -------------------------------------------------------------------------------------------------------
def test_names_and_wildcards_choose_exactly_what_they_match(tmp_path: Path) -> None:
    with terminal() as first, terminal() as second, terminal() as third:
        for name, target in (("token-10", first), ("token-9", second), ("printer", third)):
            (tmp_path / name).symlink_to(target)
        found = look([f"{tmp_path}/token-*"], listed=[usb("/dev/ttyACM0", CDC_OF_ESPRESSIF)])
        assert paths(found.tried) == [f"{tmp_path}/token-9", f"{tmp_path}/token-10"]
        alone = [(port.path, port.why) for port in found.left_alone]
        assert alone == [("/dev/ttyACM0", "not among those that were named")]
        assert paths(candidates([third])) == [third]


def test_the_environment_names_ports_unless_the_caller_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal() as first, terminal() as second:
        (tmp_path / "a").symlink_to(first)
        monkeypatch.setenv(ports.VARIABLE, os.pathsep.join([f"{tmp_path}/*", second, ""]))
        assert sorted(paths(candidates())) == sorted([f"{tmp_path}/a", second])
        assert paths(candidates([second])) == [second]
        alone = look(listed=[usb("/dev/ttyACM0", CDC_OF_ESPRESSIF)]).left_alone
        assert [(port.path, port.why) for port in alone] == [("/dev/ttyACM0", "not named in BZTOKEN_PORTS")]


def test_two_names_of_one_port_are_one_port(tmp_path: Path) -> None:
    with terminal() as port:
        for name in ("a", "b"):
            (tmp_path / name).symlink_to(port)
        found = look([f"{tmp_path}/*"], listed=[])
    assert paths(found.tried) == [f"{tmp_path}/a"]
    assert [(alone.path, alone.why) for alone in found.left_alone] == [
        (f"{tmp_path}/b", "another name of a port that is tried")
    ]


def test_files_and_names_that_lead_to_nothing_are_no_ports(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    found = look([f"{tmp_path}/*", f"{tmp_path}/absent"], listed=[])
    assert found.tried == []
    assert {Path(alone.path).name: alone.why.partition(":")[0] for alone in found.left_alone} == {
        "absent": "nothing there",
        "folder": "not a serial port",
        "gone": "leads to nothing",
        "notes": "not a serial port",
    }


def test_the_terminal_of_the_person_who_asks_is_no_port() -> None:
    with terminal() as own, terminal() as other, open(own, "rb", buffering=0) as keyboard:
        ran = subprocess.run(
            [sys.executable, "-c", "from bztoken.cli.main import run; run()", "ports", "--json"],
            stdin=keyboard, capture_output=True, text=True, check=True, timeout=90,
            env={**os.environ, ports.VARIABLE: f"{own}:{other}"},
        )  # fmt: skip
    shown = json.loads(ran.stdout)
    assert [port["port"] for port in shown["ports"]] == [other]
    assert {"port": own, "why": "the terminal from which this program runs"}.items() <= next(
        port for port in shown["left_alone"] if port["port"] == own
    ).items()


def test_the_key_of_a_port_stays_while_it_is_used(tmp_path: Path) -> None:
    with terminal() as port:
        (tmp_path / "a").symlink_to(port)
        before = candidates([f"{tmp_path}/*", port])
        with open(port, "r+b", buffering=0) as line:
            line.write(b"a line\n")
        assert candidates([f"{tmp_path}/*", port]) == before


def test_a_port_that_was_put_back_has_another_key(tmp_path: Path) -> None:
    links = PortLinks(tmp_path)
    links.begin()
    with terminal() as port:
        links.show("token-1", port)
        first = candidates([f"{tmp_path}/ports/*"])
        links.hide("token-1")
        assert candidates([f"{tmp_path}/ports/*"]) == []
        time.sleep(FILE_CLOCK_S)
        links.show("token-1", port)
        second = candidates([f"{tmp_path}/ports/*"])
    assert paths(first) == paths(second) and first[0].key != second[0].key


def test_a_new_terminal_under_an_old_number_has_another_key() -> None:
    """The system hands the numbers of pseudo terminals out again at once."""
    seen: dict[str, str] = {}
    for _ in range(5):
        with terminal() as port:
            found = candidates([port])[0]
            if port in seen:
                assert found.key != seen[port]
                return
            seen[port] = found.key
        time.sleep(FILE_CLOCK_S)
    pytest.skip("this system never gave a number twice")


# -- names of an attached fleet ------------------------------------------------------------------------------------
def test_names_left_by_a_killed_fleet_are_cleared_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "ports").mkdir()
    (tmp_path / "ports" / "token-9").symlink_to("/dev/null")
    links = PortLinks(tmp_path)
    links.begin()
    assert list((tmp_path / "ports").iterdir()) == []
    links.end()
    assert not (tmp_path / "ports").exists()
    links.end()
    links.begin()
    (tmp_path / "ports" / "mine").write_text("")
    links.end()
    assert (tmp_path / "ports" / "mine").exists()


# -- the command ---------------------------------------------------------------------------------------------------
def test_the_command_shows_what_is_tried_and_what_is_not(cli: Program, tmp_path: Path) -> None:
    with terminal() as port:
        (tmp_path / "a").symlink_to(port)
        (tmp_path / "b").write_text("")
        told = cli(tmp_path / "no-home", "ports", "--json", f"{tmp_path}/*").document()
        assert told["ports"] == [{"port": f"{tmp_path}/a", "description": ""}]
        assert {"port": f"{tmp_path}/b", "description": "", "why": "not a serial port"} in told["left_alone"]
        shown = cli(tmp_path / "no-home", "ports", f"{tmp_path}/*")
    assert shown.code == 0 and f"{tmp_path}/a" in shown.out and "not a serial port" in shown.out


def test_the_command_says_that_there_is_nothing(cli: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ports.VARIABLE, f"{tmp_path}/*")
    ran = cli(tmp_path / "no-home", "ports")
    assert ran.code == 0 and "No port here may have a token" in ran.out
