"""Published MCUmgr clients that share no code with ours above the serial port: `smpmgr` and `mcumgr-toolkit`.

And the search for what no stranger may learn, in every byte that came out of a token.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from littlefs import LittleFS
from tests.integration.clinic import mounted
from tests.program import Ran

from bzwire import smp
from bzwire.page import split_pages
from bzwire.page_format import HEADER_BYTES, OVERHEAD_BYTES

PATIENCE_S = 90
TIMEOUT_MS = 2000
WINDOW_BYTES = 8  # so much of a secret in a row is a leak


def smpmgr(port: str, *arguments: object) -> Ran:
    """Run the published program. Its answers are Python objects, printed."""
    program = [str(Path(sys.executable).parent / "smpmgr"), "--port", port, *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "500", "PYTHONUTF8": "1"}
    done = subprocess.run(program, capture_output=True, text=True, timeout=PATIENCE_S, env=environment, check=False)
    return Ran(done.returncode, done.stdout, done.stderr)


class Answer(NamedTuple):
    """Of one call: its value, or what the library says went wrong."""

    value: Any
    error: str


def toolkit(port: str, *calls: Sequence[object], timeout_ms: int = TIMEOUT_MS) -> list[Answer]:
    """Make calls of mcumgr-toolkit in order, each (method, arguments..), none of them twice."""
    order = json.dumps({"port": port, "timeout_ms": timeout_ms, "calls": calls})
    program = [sys.executable, str(Path(__file__).parent / "toolkit_calls.py")]
    done = subprocess.run(program, input=order, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(calls)
    return [Answer(answer.get("value"), answer.get("error", "")) for answer in answers]


class Heard:
    """Everything that a token sent; `to_host` is for a Line."""

    def __init__(self) -> None:
        self.raw = bytearray()

    def to_host(self, _passed: int, data: bytes) -> bytes:
        self.raw += data
        return data

    def messages(self) -> list[bytes]:
        """The SMP messages in it."""
        return smp.LineDecoder().feed(bytes(self.raw))

    def leaks(self, secrets: Iterable[bytes]) -> list[int]:
        """Where secrets begin that were told in part or whole, in the bytes as they came and as they are decoded."""
        forbidden = {window for secret in secrets for window in _windows(secret)}
        told = bytes(self.raw) + b"".join(self.messages())
        return [at for at, window in enumerate(_windows(told)) if window in forbidden]


def _windows(data: bytes) -> list[bytes]:
    return [data[at : at + WINDOW_BYTES] for at in range(len(data) - WINDOW_BYTES + 1)]


def secrets_of(image: Path, label: str) -> list[bytes]:
    """What a stranger must never see, from a flash image: number and keys, pages but for their headers, the label."""
    flash = mounted(image)
    found = [_content(flash, path) for path in ("/identity", "/log_key", "/day_keys")]
    for name in flash.listdir("/log"):
        pages = split_pages(_content(flash, f"/log/{name}"))
        found += [bytes(page)[HEADER_BYTES:] for page in pages if len(page) > OVERHEAD_BYTES]
    return [*found, label.encode().rjust(WINDOW_BYTES)]


def _content(flash: LittleFS, path: str) -> bytes:
    with flash.open(path, "rb") as file:
        return bytes(file.read())
