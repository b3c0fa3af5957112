"""Ctrl-C and the prompt of a program that runs as on a chip: what the chip's interrupt routine does with a 0x03, and
which of the two prompts is there.

Not as on a chip: this interpreter takes a Ctrl-C anywhere, not at jumps only. It is therefore raised where the program
waits; in one that never does, wherever it stands after so much time on its processor.
"""

import os
import signal
import time
from pathlib import Path

CTRL_C = b"\x03"
RAW_MODE = b"\x01"
SOFT_REBOOT = b"MPY: soft reboot\r\n"
BUSY_S = 0.5  # of the processor's time: more than a boot takes
GIVE_UP_S = 10.0  # of true time, for a program that is not let run
LOOK_S = 0.0005
# The last words of either prompt's greeting.
_RAW = b"raw REPL; CTRL-B to exit\r\n"
_FRIENDLY = b'Type "help()" for more information.\r\n'


class Prompt:
    """Of one boot. is_raw: the raw prompt was the last to show itself."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._tail = b""
        self.is_raw = False

    def watch(self, output: bytes) -> None:
        """See what the program says."""
        text = self._tail + output
        raw, friendly = text.rfind(_RAW), text.rfind(_FRIENDLY)
        if raw != friendly:
            self.is_raw = raw > friendly
        self._tail = text[-max(len(_RAW), len(_FRIENDLY)) + 1 :]

    def interrupt(self, data: bytes) -> bytes:
        """Input as it arrives; what is left of it for the program. Several Ctrl-C of one piece are one."""
        if CTRL_C in data and self._raise():
            return data.replace(CTRL_C, b"")
        return data

    def _raise(self) -> bool:
        """False: the program has switched Ctrl-C off, and it is a byte like any other."""
        began_s, end_s = self._spent_s(), time.monotonic() + GIVE_UP_S
        while self._catches() and time.monotonic() < end_s:
            if self._waits() or self._spent_s() - began_s > BUSY_S:
                return self._signal()
            time.sleep(LOOK_S)
        return False

    def _signal(self) -> bool:
        """Look again while the program stands still: the signal would end one that has just switched it off."""
        os.kill(self._pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self._pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        catches = self._catches()
        if catches:
            os.kill(self._pid, signal.SIGINT)
        os.kill(self._pid, signal.SIGCONT)
        return catches

    def _catches(self) -> bool:
        return bool(int(self._status("SigCgt") or "0", 16) >> (signal.SIGINT - 1) & 1)

    def _waits(self) -> bool:
        return self._status("State").startswith("S")

    def _spent_s(self) -> float:
        try:
            fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _status(self, wanted: str) -> str:
        try:
            lines = Path(f"/proc/{self._pid}/status").read_text().splitlines()
        except OSError:
            return ""
        return next((value.strip() for name, _, value in (line.partition(":") for line in lines) if name == wanted), "")
