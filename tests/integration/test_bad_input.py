"""Whatever is wrong, a command says so in one sentence: never a traceback, never a key or an ID."""

import asyncio
import base64
import os
import random
import re
import select
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cbor2
import pytest
import serial
from tests.case_desk import TRACER, days_ago
from tests.integration.clinic import Clinic, attached, mounted, save_image

from bztoken.registry import events, tokens
from bztoken.registry.database import open_registry
from bzwire.smp import encode_lines

AN = "Bà An"
Cli = Callable[..., Any]
LONG_HEX = re.compile(r"[0-9a-fA-F]{16}")


def assert_one_sentence(ran: Any, says: str) -> None:
    """Exit code 1, nothing on stdout, one line on stderr, no secret."""
    assert ran.code == 1
    assert ran.out == ""
    lines = ran.err.splitlines()
    assert len(lines) == 1, ran.err
    assert lines[0].startswith("bztoken: ") and says in lines[0], ran.err
    assert "Traceback" not in ran.err and "unexpected" not in ran.err
    assert not LONG_HEX.search(ran.err)


WITHOUT_A_DEVICE = {
    "unknown port": ("sync --port /dev/ttyNONE7", "There is no port /dev/ttyNONE7"),
    "file as port": ("sync --port {tmp}/a.txt", "is not a serial port"),
    "folder as port": ("sync --port {tmp}", "is not a serial port"),
    "device that is no terminal": ("sync --port /dev/null", "is not a serial port"),
    "provisioning at no port": ("provision --port /dev/ttyNONE7 --label X", "There is no port"),
    "case at no port": ("case add --name F0 --test {today} --port /dev/ttyNONE7", "There is no port"),
    "info at a file": ("info --port {tmp}/a.txt", "is not a serial port"),
    "no registry": ("--home {tmp}/none sync --port /dev/ttyNONE7", "there is no registry"),
    "no registry to provision": ("--home {tmp}/none provision --port /dev/ttyNONE7 --label X", "there is no registry"),
    "fleet into a full folder": ("fleet run --out {fleet}", "is not empty"),
    "unknown world": ("fleet run --out {tmp}/new --world atlantis", "There is no world 'atlantis'"),
    "broken world": ("fleet run --out {tmp}/new --world {tmp}/broken.world", "broken.world, line 3: "),
    "attach without a fleet": ("fleet attach --from {tmp}", "There is no virtual fleet in"),
    "press without a fleet": ("fleet press X --from {fleet}", "No attached fleet runs in"),
    "stop without a fleet": ("fleet stop --from {tmp}", "No attached fleet runs in"),
    "score without a fleet": ("fleet score {tmp}", "There is no virtual fleet in"),
}


@pytest.mark.parametrize("name", WITHOUT_A_DEVICE)
def test_a_wrong_command_ends_in_one_sentence(clinic: Clinic, cli: Cli, tmp_path: Path, name: str) -> None:
    (tmp_path / "a.txt").write_text("no port\n")
    (tmp_path / "broken.world").write_text("world broken\nplace near 0 0 indoor\nspot far bed 0 0\n")
    line, says = WITHOUT_A_DEVICE[name]
    words = [word.format(tmp=tmp_path, fleet=clinic.fleet, today=days_ago(0)) for word in line.split()]
    with events.acting_as(TRACER):
        assert_one_sentence(cli(*words), says)
    assert not (tmp_path / "new").exists()


USAGE = {
    "wrong role": "provision --port /dev/null --label X --role mayor",
    "case from nowhere": "case add --name F0",
    "case from two places": "case add --name F0 --list a.json --port /dev/null",
    "case on no day": "case add --name F0 --list a.json --onset yesterday",
    "code for a token's keys": "case add --name F0 --port /dev/null --code 12345678",
    "case with a signature of nothing": "case add --name F0 --list a.json --unverified",
    "attach nothing": "fleet attach",
    "attach both": "fleet attach 2 --from somewhere",
    "no date": "fleet run --out x --start tomorrow",
    "no port": "sync",
    "hold for ever": "fleet press X --from y --hold-s 999",
}


@pytest.mark.parametrize("name", USAGE)
def test_wrong_usage_exits_with_2(cli: Cli, name: str) -> None:
    ran = cli(*USAGE[name].split())
    assert (ran.code, ran.out) == (2, "")
    assert "Usage: bztoken" in ran.err and "Traceback" not in ran.err


def test_a_blank_token_is_not_synced(clinic: Clinic, cli: Cli, tmp_path: Path) -> None:
    with attached(tmp_path / "blank", 1) as there:
        port = there.ports["blank-1"]
        assert_one_sentence(cli("sync", "--port", port), "is not provisioned")
        with events.acting_as(TRACER):
            add = ("case", "add", "--name", "F0", "--onset", days_ago(1), "--port", port)
            assert_one_sentence(cli(*add), "is not provisioned")
        assert_one_sentence(cli("fleet", "press", "nobody", "--from", tmp_path / "blank"), "give one of blank-1")


def test_a_token_is_provisioned_once_and_under_a_free_label(clinic: Clinic, cli: Cli, tmp_path: Path) -> None:
    with attached(tmp_path / "blank", 1) as there:
        port = there.ports["blank-1"]
        assert_one_sentence(cli("provision", "--port", port, "--label", AN), "another token has this label")
        assert '"provisioned": false' in cli("info", "--port", port, "--json").out
        assert cli("provision", "--port", port, "--label", "Bà Em").code == 0
        assert_one_sentence(cli("provision", "--port", port, "--label", "Bà Gấm"), "belongs to a registry already")
        with open_registry(clinic.home) as registry, registry.read() as session:
            assert tokens.by_label(session, "Bà Gấm") is None
        assert cli("sync", "--port", port).code == 0


def test_a_port_in_use_by_another_program_is_told(clinic_of_an: Clinic, cli: Cli) -> None:
    with attached(clinic_of_an.fleet) as there, serial.Serial(there.ports[AN], exclusive=True):
        assert_one_sentence(cli("sync", "--port", there.ports[AN]), "Another program is using")


@contextmanager
def device(answer: Callable[[bytes], bytes]) -> Iterator[str]:
    """Something else on a serial port."""
    master, slave = os.openpty()
    tty.setraw(slave)
    end_read, end_write = os.pipe()

    def serve() -> None:
        while True:
            ready, _, _ = select.select([master, end_read], [], [])
            if end_read in ready:
                return
            os.write(master, answer(os.read(master, 4096)))

    thread = threading.Thread(target=serve, name="device")
    thread.start()
    try:
        yield os.ttyname(slave)
    finally:
        os.write(end_write, b".")
        thread.join()
        for descriptor in (master, slave, end_read, end_write):
            os.close(descriptor)


def rubbish(_data: bytes) -> bytes:
    return random.Random(9).randbytes(300)


def framed(answer: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """A device that speaks the framing of SMP, whole and with right checksums. answer: to the header of a request."""

    def heard(data: bytes) -> bytes:
        header = base64.b64decode(data[2:].split(b"\n")[0])[2:10]
        return b"".join(encode_lines(answer(bytes([header[0] + 1]) + header[1:])))

    return heard


DEVICES: dict[str, Callable[[bytes], bytes]] = {
    "silent": lambda _data: b"",
    "rubbish": rubbish,
    "echo": lambda data: data,
    "prompt": lambda _data: b"\r\n>>> SyntaxError: invalid syntax\r\n>>> ",
    "frame without end": lambda _data: b"\x06\x09" + b"A" * 200,
    "frame without header": framed(lambda header: header[:3]),
    "frame without body": framed(lambda header: header),
    "body cut short": framed(lambda header: header + b"\xa2\x61p"),
    "body that is no map": framed(lambda header: header + b"\x81\x01"),
    "body with numbers for names": framed(lambda header: header + b"\xa1\x01\x02"),
    "body with names of smp's own": framed(lambda header: header + cbor2.dumps({"header": 1, "smp_data": b""})),
    "body nested deep": framed(lambda header: header + b"\x81" * 1500 + b"\x01"),
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("name", DEVICES)
def test_a_device_that_is_no_token_is_told_apart(cli: Cli, name: str) -> None:
    with device(DEVICES[name]) as port:
        assert_one_sentence(cli("sync", "--port", port), "does not answer as a token")


@pytest.mark.usefixtures("impatient")
def test_a_device_that_is_no_token_is_not_provisioned(clinic: Clinic, cli: Cli) -> None:
    with device(rubbish) as port:
        assert_one_sentence(cli("provision", "--port", port, "--label", "Bà Em"), "does not answer as a token")
    with open_registry(clinic.home) as registry, registry.read() as session:
        assert tokens.by_label(session, "Bà Em") is None


def spoil_page(clinic: Clinic, number: int, at: int = -6) -> None:
    """Turn one bit of a page in flash: byte `at` of it, from the end when negative."""
    pages = clinic.pages_in_flash(AN)
    before = pages[: number - 1]
    image = clinic.image(AN)
    flash = mounted(image)
    name = min(flash.listdir("/log"), key=lambda name: name[7:])
    with flash.open(f"/log/{name}", "rb") as file:
        content = bytearray(file.read())
    content[len(b"".join(before)) + at % len(pages[number - 1])] ^= 1
    with flash.open(f"/log/{name}", "wb") as file:
        file.write(bytes(content))
    save_image(flash, image)


def test_a_damaged_page_in_flash_is_told_and_stays_there_with_all_that_follow(clinic_of_an: Clinic, cli: Cli) -> None:
    clinic = clinic_of_an
    pages = clinic.pages_in_flash(AN)
    number = 150
    spoil_page(clinic, number)
    files = mounted(clinic.image(AN)).listdir("/log")
    with attached(clinic.fleet) as there:
        port = there.ports[AN]
        assert_one_sentence(cli("sync", "--port", port), f"damaged, first at page {number}: ")
        stored = {page.sequence: page.raw for page in clinic.stored(AN)}
        assert number not in stored
        for sequence, page in enumerate(pages, 1):
            assert sequence == number or stored[sequence] == page
        assert asyncio.run(clinic.acknowledged(port)) == number - 1
        cli("sync", "--port", port)
        assert asyncio.run(clinic.acknowledged(port)) == number - 1
    assert set(files) <= set(mounted(clinic.image(AN)).listdir("/log"))


def test_a_damaged_header_costs_no_page_that_can_still_be_read_by_a_technician(clinic_of_an: Clinic, cli: Cli) -> None:
    """The token cannot look behind a header that it cannot read; it must then keep the file, acknowledged or not."""
    clinic = clinic_of_an
    pages = clinic.pages_in_flash(AN)
    number = 150
    spoil_page(clinic, number, at=2)
    name = min(mounted(clinic.image(AN)).listdir("/log"), key=lambda name: name[7:])
    with attached(clinic.fleet) as there:
        port = there.ports[AN]
        assert_one_sentence(cli("sync", "--port", port), f"damaged, first at page {number}: ")
        stored = {page.sequence: page.raw for page in clinic.stored(AN)}
        assert [stored[sequence] for sequence in range(1, number)] == pages[: number - 1]
        assert asyncio.run(clinic.acknowledged(port)) == number - 1
        cli("sync", "--port", port)
        assert asyncio.run(clinic.acknowledged(port)) == number - 1
    assert name in mounted(clinic.image(AN)).listdir("/log")
