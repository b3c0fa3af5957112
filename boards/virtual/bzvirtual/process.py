"""One token: a MicroPython process, its pipe to the ether, its console, and what outlives a restart."""

import fcntl
import json
import os
import struct
import subprocess
import termios
from dataclasses import dataclass
from typing import Any

from .application import Application, interpreter
from .device import pipe
from .errors import TokenDied
from .prompt import RAW_MODE, SOFT_REBOOT, Prompt
from .token_folder import TokenFolder, mac_of

EPOCH_2000_US = 946684800 * 1_000_000
# An ESP32 without PSRAM leaves about 110 KiB to Python; we allow 80 KiB, and a 64-bit word takes twice as much.
FIRMWARE_HEAP_BYTES = 160 * 1024
# What interpreter and stand-in modules take before the firmware's first line: 59.9 KiB by `make bench-token`.
STAND_INS_HEAP_BYTES = 62 * 1024
# The interpreter keeps names in tables of 10, 20, 40 .. entries of 11 bytes. The firmware's own fit into the first 7,
# 1,270 entries; with those of the stand-ins, which a chip has in its image, an eighth is needed.
NAMES_HEAP_BYTES = 1280 * 11
BOARD_HEAP_BYTES = STAND_INS_HEAP_BYTES + NAMES_HEAP_BYTES
CLOCK_CHIP_HEAP_BYTES = 4 * 1024  # its stand-in, 2.9 KiB, where the board has such a chip


@dataclass
class Command:
    """One command of a token to the ether."""

    kind: int
    time_us: int
    payload: bytes


def _output_pipe(lines: int) -> tuple[int, int]:
    """A pipe for a console in real time, in which a program cannot run ahead of its line by much.

    A pipe holds a page at least, and takes nothing more until the whole page is read: 350 ms at 115200 baud, in which
    the program would stand still. With `lines` each write lies in it by itself, so many at most, and is read whole.
    """
    reader, writer = os.pipe2(os.O_DIRECT if lines else 0)
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, max(1, lines) * 4096)
    return reader, writer


class TokenProcess:
    """A running board. `start` may be called again after `stop` or when the program asked for a reset."""

    def __init__(
        self,
        folder: TokenFolder,
        application: Application,
        seed: bytes | None,
        lockstep: bool,
        firmware_heap_bytes: int = FIRMWARE_HEAP_BYTES,
    ) -> None:
        self.folder = folder
        self._application = application
        self._seed = seed
        self._lockstep = lockstep
        self._process: subprocess.Popen[bytes] | None = None
        self._received = bytearray()
        self._wake_fd = self.command_fd = self.stdin_fd = self.stdout_fd = -1
        self._stdin_read_fd = -1
        self._last_output = b""  # what the console said before the power went
        self._clock_set_us = 0  # since then the clock has drifted from its offset
        board_file = application.rom / "board.json"
        # What the board has, as its firmware reads it.
        self.board: dict[str, Any] = json.loads(board_file.read_text()) if board_file.exists() else {}
        self._heap_bytes = BOARD_HEAP_BYTES + firmware_heap_bytes
        if self.board.get("rtc"):
            self._heap_bytes += CLOCK_CHIP_HEAP_BYTES
        self.pins: dict[int, int] = {}  # level of the pins that something outside drives
        self.asleep = False  # light or deep; the console is deaf
        self.power_cut_after_bytes: int | None = None  # from the next start on; see device/esp32.py
        self.output_lines = 0  # from the next start on: in real time, what waits for a line, counted in writes
        self.ticks_at_boot_ms = 0  # from the next start on: 0 on a chip, more to meet the wrap of the ticks sooner
        self.prompt: Prompt | None = None  # of a program that its port runs; told by itself
        self._raw_prompt = False  # what a soft reset left, for the next start

    def start(self, now_us: int) -> None:
        """Power up at this true time."""
        state = self.folder.state
        if state.rtc_offset_us is None:
            state.rtc_offset_us = EPOCH_2000_US - now_us
        state.boots += 1
        self._clock_set_us = now_us
        child_in, self._wake_fd = os.pipe()
        self.command_fd, child_out = os.pipe()
        self._stdin_read_fd, self.stdin_fd = os.pipe()
        self.stdout_fd, child_stdout = os.pipe() if self._lockstep else _output_pipe(self.output_lines)
        os.set_blocking(self.stdout_fd, False)
        self._process = subprocess.Popen(
            [
                interpreter(),
                "-X",
                f"heapsize={self._heap_bytes // 1024}K",
                "-m",
                "vboot",
                str(child_in),
                str(child_out),
            ],
            stdin=self._stdin_read_fd,
            stdout=child_stdout,
            stderr=subprocess.STDOUT,
            pass_fds=(child_in, child_out),
            process_group=0,  # a Ctrl-C in the terminal is for the fleet: it ends its boards, and not they themselves
            # The interpreter's own mktime takes the host's time zone.
            env={**os.environ, "TZ": "UTC", "MICROPYPATH": f"{self._application.device.resolve()}:.frozen"},
            cwd="/",
        )
        for descriptor in (child_in, child_out, child_stdout):
            os.close(descriptor)
        self._received.clear()
        self.asleep = False
        if self._raw_prompt:
            os.write(self.stdin_fd, RAW_MODE)  # the interpreter begins with the other one
        self.wake(now_us, json.dumps(self._boot_config(state.rtc_offset_us)).encode())

    def _boot_config(self, rtc_offset_us: int) -> dict[str, object]:
        """What `device/vboot.py` is told of the board."""
        state = self.folder.state
        return {
            "rtc_offset_us": rtc_offset_us,
            "drift_ppm": state.drift_ppm,
            "lockstep": self._lockstep,
            "seed": None if self._seed is None else (self._seed + struct.pack(">I", state.boots)).hex(),
            "boot_cause": state.boot_cause,
            "wake_reason": state.wake_reason,
            "rtc_memory": state.rtc_memory,
            "battery_mv": state.battery_mv,
            "chip_clock": (state.rtc_chip_offset_us, state.rtc_chip_set_us, state.rtc_chip_drift_ppm),
            "ble_leak_cycles": state.ble_leak_cycles,
            "mac": self.mac.hex(),
            "board": self.board,
            "pins": self.pins,
            "flash": str(self.folder.flash.resolve()),
            "power_cut_after_bytes": self.power_cut_after_bytes,
            "ticks_at_boot_ms": self.ticks_at_boot_ms,
            "application": str(self._application.rom.resolve()),
            "raw_prompt": self._raw_prompt,
        }

    @property
    def mac(self) -> bytes:
        """The chip's fixed address, which is public and must never be on the air."""
        return bytes.fromhex(self.folder.state.mac) if self.folder.state.mac else mac_of(self.folder.path.name)

    @property
    def running(self) -> bool:
        """False when the power is off."""
        return self._process is not None

    def usb_sense(self, plugged: bool) -> tuple[int, int] | None:
        """(pin, level) by which the board tells the program whether a cable is in; None when it cannot."""
        sense = self.board.get("usb_sense")
        if not sense:
            return None
        return sense["pin"], int(plugged) ^ int(bool(sense.get("active_low")))

    def clock_us(self, now_us: int) -> int:
        """What the chip's clock shows at this true time."""
        offset_us = self.folder.state.rtc_offset_us or 0
        return now_us + offset_us + (now_us - self._clock_set_us) * self.folder.state.drift_ppm // 1_000_000

    def jump_clock(self, delta_us: int) -> None:
        """The clock jumped by itself."""
        if self.folder.state.rtc_offset_us is not None:
            self.folder.state.rtc_offset_us += delta_us

    def note_chip_clock(self, now_us: int, offset_us: int) -> None:
        """The program set the clock chip."""
        self.folder.state.rtc_chip_offset_us = offset_us
        self.folder.state.rtc_chip_set_us = now_us

    def note_clock(self, now_us: int, rtc_offset_us: int) -> None:
        """The program set its clock."""
        self.folder.state.rtc_offset_us = rtc_offset_us
        self._clock_set_us = now_us

    def _settle_clock(self, now_us: int) -> None:
        """Put what the clock has drifted since it was set into the offset that the board keeps."""
        state = self.folder.state
        if self._process is not None and state.rtc_offset_us is not None:
            state.rtc_offset_us += (now_us - self._clock_set_us) * state.drift_ppm // 1_000_000
            self._clock_set_us = now_us

    def halt(self, now_us: int) -> None:
        """End the program at this true time, as a reset or a charger's switch does: the clock goes on."""
        self._settle_clock(now_us)
        self.stop()
        self._raw_prompt = False

    def end_softly(self, now_us: int) -> None:
        """As `halt`, for a soft reset: the port says so, and a raw prompt comes again as one."""
        raw = self.prompt is not None and self.prompt.is_raw
        self.halt(now_us)
        self._raw_prompt = raw
        self._last_output += SOFT_REBOOT

    def has_port(self) -> None:
        """The program has said that it runs as on a chip."""
        self.prompt = Prompt(self.pid)

    def stop(self) -> None:
        """Cut the power: the program ends where it stands."""
        if self._process is None:
            return
        self._last_output = self.read_console()
        for descriptor in (self._wake_fd, self.command_fd, self.stdin_fd, self.stdout_fd, self._stdin_read_fd):
            os.close(descriptor)
        # A closed number may soon be another token's.
        self._wake_fd = self.command_fd = self.stdin_fd = self.stdout_fd = self._stdin_read_fd = -1
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        self.prompt = None

    def kill(self) -> None:
        """Cut the power this instant, even in the middle of a computation."""
        if self._process is not None:
            self._process.kill()
            self.stop()

    def wake(self, now_us: int, events: bytes) -> None:
        """Hand the turn to the token."""
        try:
            os.write(self._wake_fd, pipe.wake(now_us, events))
        except BrokenPipeError:
            self._raise_died()

    def read_commands(self) -> list[Command]:
        """Read what the token has sent (blocking for at least one byte) and return the whole commands of it."""
        piece = os.read(self.command_fd, 65536)
        if not piece:
            self._raise_died()
        self._received += piece
        found = []
        at = 0
        while len(self._received) - at >= pipe.COMMAND_BYTES:
            kind, time_us, length = struct.unpack_from(pipe.COMMAND, self._received, at)
            end = at + pipe.COMMAND_BYTES + length
            if end > len(self._received):
                break
            found.append(Command(kind, time_us, bytes(self._received[at + pipe.COMMAND_BYTES : end])))
            at = end
        del self._received[:at]
        return found

    def _raise_died(self) -> None:
        try:
            last = os.read(self.stdout_fd, 65536)
        except BlockingIOError:
            last = b""
        lines = last.decode(errors="replace").strip().splitlines()[-12:]
        raise TokenDied(f"The token in {self.folder.path.name} stopped: " + " | ".join(lines or ["no last words"]))

    def write_console(self, data: bytes) -> None:
        """Serial input, all of it (for virtual time, where nothing overflows)."""
        os.write(self.stdin_fd, data)

    def read_console(self) -> bytes:
        """Serial output so far, without waiting; what came before a restart is not lost on the line."""
        earlier, self._last_output = self._last_output, b""
        if self._process is None:
            return earlier
        try:
            found = os.read(self.stdout_fd, 65536)
        except BlockingIOError:
            return earlier
        if self.prompt is not None:
            self.prompt.watch(found)
        return earlier + found

    def unread_console_bytes(self) -> int:
        """Bytes that wait in the token's serial input."""
        raw = fcntl.ioctl(self._stdin_read_fd, termios.FIONREAD, b"\x00" * 4)
        return int(struct.unpack("i", raw)[0])

    @property
    def pid(self) -> int:
        """Process number, for tests that measure or kill."""
        if self._process is None:
            raise TokenDied("The token is not running.")
        return self._process.pid
