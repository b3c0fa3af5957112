"""The same board in real time behind a pseudo terminal: a serial input of 260 bytes without flow control."""

import os
import select
import signal
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bzvirtual.attach import attach
from bzvirtual.errors import FleetError
from bzvirtual.realtime import Port, order
from bzvirtual.serial_line import CONSOLE_BYTES
from bzwire import cbor, messages, smp


@pytest.fixture(scope="module")
def attached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Port]]:
    folder = tmp_path_factory.mktemp("attached")
    fleet = attach(folder, blank=1)
    ready = threading.Event()
    runner = threading.Thread(target=fleet.run, args=(lambda _ports: ready.set(),))
    runner.start()
    assert ready.wait(60)
    yield folder, fleet.ports[0]
    order(folder, do="stop")
    runner.join(60)
    fleet.close()


def ask(port: Port, group: int = smp.GROUP_TOKEN, command: int = messages.CMD_INFO, patience_s: float = 30) -> object:
    """One request through the pseudo terminal."""
    line = os.open(port.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        packed = smp.Message(smp.OP_WRITE, group, command, 1, cbor.dumps({})).pack()
        os.write(line, b"".join(smp.encode_lines(packed)))
        decoder, end = smp.LineDecoder(), time.monotonic() + patience_s
        while time.monotonic() < end:
            try:
                found = decoder.feed(os.read(line, 4096))
            except BlockingIOError:
                found = []
                time.sleep(0.01)
            if found:
                return cbor.loads(smp.unpack_message(found[0]).body)
        return None
    finally:
        os.close(line)


def look(folder: Path, port: Port) -> dict[str, int]:
    return order(folder, do="look", token=port.label)


def until(condition, patience_s: float = 30) -> bool:
    end = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_a_token_answers_through_its_port(attached: tuple[Path, Port]) -> None:
    answer = ask(attached[1])
    assert answer["pr"] is False
    assert answer["b"] == "virtual"


def test_input_beyond_260_bytes_is_lost_and_counted_while_the_program_does_not_read(
    attached: tuple[Path, Port],
) -> None:
    folder, port = attached
    assert ask(port) is not None
    lost_before, pid = look(folder, port)["lost_bytes"], look(folder, port)["pid"]
    os.kill(pid, signal.SIGSTOP)
    line = os.open(port.path, os.O_RDWR | os.O_NOCTTY)
    try:
        for _ in range(10):
            os.write(line, b"\n" * 100)
            termios.tcdrain(line)
        assert until(lambda: look(folder, port)["lost_bytes"] - lost_before >= 1000 - CONSOLE_BYTES)
        assert look(folder, port)["lost_bytes"] - lost_before == 1000 - CONSOLE_BYTES
    finally:
        os.kill(pid, signal.SIGCONT)
        os.close(line)
    assert until(lambda: ask(port, patience_s=1) is not None)


def test_answers_that_nobody_reads_are_lost_and_the_next_one_arrives(attached: tuple[Path, Port]) -> None:
    """As with USB-Serial-JTAG: the token goes on, a line may end in the middle, and the decoder finds the next one."""
    folder, port = attached
    assert ask(port) is not None
    line = os.open(port.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        request = b"".join(smp.encode_lines(smp.Message(2, smp.GROUP_TOKEN, messages.CMD_INFO, 9, b"\xa0").pack()))
        sent = 0
        while not look(folder, port)["lost_output_bytes"]:
            os.write(line, request)
            sent += 1
            time.sleep(0.0005)
        time.sleep(0.3)
        decoder, answers = smp.LineDecoder(), 0
        with suppress(BlockingIOError):
            while True:
                answers += len(decoder.feed(os.read(line, 4096)))
        assert 10 < answers < sent
        os.write(line, request)
        assert until(lambda: select.select([line], [], [], 0)[0])
        assert until(lambda: decoder.feed(os.read(line, 4096)) if select.select([line], [], [], 0)[0] else None)
    finally:
        os.close(line)
    assert ask(port) is not None


def test_a_pulled_cable_carries_nothing_and_a_plugged_one_again(attached: tuple[Path, Port]) -> None:
    folder, port = attached
    order(folder, do="unplug", token=port.label)
    assert ask(port, patience_s=0.3) is None
    order(folder, do="plug", token=port.label)
    assert until(lambda: ask(port, patience_s=1) is not None)


def test_a_reset_board_answers_the_reset_and_comes_back(attached: tuple[Path, Port]) -> None:
    folder, port = attached
    pid = look(folder, port)["pid"]
    assert ask(port, smp.GROUP_OS, smp.OS_RESET) == {}
    assert until(lambda: look(folder, port)["pid"] != pid)
    assert until(lambda: ask(port, patience_s=1) is not None)


def catches_ctrl_c(pid: int) -> bool:
    """Whether the program of this process would be ended by it: on a chip, by the byte 0x03 from the cable."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(next(line for line in status.splitlines() if line.startswith("SigCgt")).split()[1], 16)
    return bool(caught >> (signal.SIGINT - 1) & 1)


def test_ctrl_c_is_noise_from_the_boot_on(attached: tuple[Path, Port]) -> None:
    """Noise on a cable makes a 0x03, and a token at its prompt is a dead one."""
    folder, port = attached
    order(folder, do="reset", token=port.label)
    pid = look(folder, port)["pid"]
    assert until(lambda: not catches_ctrl_c(pid))
    assert ask(port) is not None
    line = os.open(port.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    os.write(line, b"\x03\x03")
    os.close(line)
    assert ask(port) is not None and look(folder, port)["pid"] == pid
    assert not catches_ctrl_c(pid)


def test_a_blank_tokens_light_is_red_now_and_then(attached: tuple[Path, Port]) -> None:
    folder, port = attached
    assert until(lambda: "4" in look(folder, port)["pins"], patience_s=30)


def test_an_order_for_nobody_is_refused(attached: tuple[Path, Port]) -> None:
    with pytest.raises(FleetError, match="no such token"):
        order(attached[0], do="press", token="nobody", hold_s=1)
