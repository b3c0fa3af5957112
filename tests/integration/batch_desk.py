"""A desk at which a batch is provisioned: an empty registry, blank tokens behind ports, and the real console script."""

import asyncio
import csv
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pypdfium2
import zxingcpp

from bztoken.connection import connect
from bztoken.home import Home
from bztoken.registry import tokens
from bztoken.registry.batch_labels import label_of
from bztoken.registry.database import open_registry

NAME = "Sáng thứ ba"  # of the batch
CONSOLE_SCRIPT = Path(sys.executable).parent / "bztoken"


@dataclass(frozen=True)
class Row:
    """What the registry says of a token."""

    label: str
    state: str
    number: int | None
    batch_id: int | None


def rows(home: Home) -> list[Row]:
    """In the order in which they were begun."""
    with open_registry(home) as registry, registry.read() as session:
        return [Row(token.label, token.state, token.number, token.batch_id) for token in tokens.all_tokens(session)]


def labels_proven(home: Home, ports: Sequence[str]) -> list[str]:
    """By which labels the registry knows the tokens at these ports, from what each one proves."""

    async def ask(port: str) -> str:
        with open_registry(home) as registry:
            async with connect(home, registry, port) as known:
                return known.label

    return [asyncio.run(ask(port)) for port in ports]


def labels(count: int, first: int = 1) -> list[str]:
    """So many of the prefix that these tests use."""
    return [label_of("YB-", number) for number in range(first, first + count)]


def read_codes(path: Path) -> list[str]:
    """What a label sheet's QR codes hold, sorted."""
    pages = pypdfium2.PdfDocument(path.read_bytes())
    return sorted(code.text for page in pages for code in zxingcpp.read_barcodes(page.render(scale=4).to_pil()))


def read_list(path: Path) -> list[dict[str, str]]:
    """The rows of a batch's list."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


class Running:
    """`bztoken provision` as a program of its own; on_terminal: its stderr and stdin are a terminal."""

    started: ClassVar[list["Running"]] = []

    def __init__(self, home: Home, *words: object, on_terminal: bool = False) -> None:
        self._master, slave = pty.openpty() if on_terminal else (None, None)
        self._shown = b""
        command = [str(CONSOLE_SCRIPT), "--home", str(home.path), "provision", *map(str, words)]
        side = slave if slave is not None else subprocess.PIPE
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
        self.process = subprocess.Popen(
            command, stdin=side, stdout=subprocess.PIPE, stderr=side, text=True, env=environment
        )
        if slave is not None:
            os.close(slave)
        self.started.append(self)

    def next_line(self) -> str:
        """Of stdout."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def next_document(self) -> dict[str, Any]:
        """With --json."""
        return dict(json.loads(self.next_line()))

    def shown(self, until: str, limit_s: float = 60) -> str:
        """What the terminal has shown so far; waits until `until` is there."""
        assert self._master is not None
        until_s = time.monotonic() + limit_s
        while until not in self._shown.decode(errors="replace"):
            ready, _, _ = select.select([self._master], [], [], max(0, until_s - time.monotonic()))
            assert ready, f"not shown within {limit_s} s: {until!r}; shown: {self._shown!r}"
            self._shown += os.read(self._master, 4096)
        return self._shown.decode(errors="replace")

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str, str]:
        """Ctrl-C; see `ended`."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> tuple[int, str, str]:
        """Exit code, the rest of stdout, and stderr or what the terminal showed."""
        try:
            out, err = self.process.communicate(timeout=90)
        finally:
            self.process.kill()
        if self._master is not None:
            try:
                while data := os.read(self._master, 4096):
                    self._shown += data
            except OSError:  # nobody holds the other end any more
                pass
            os.close(self._master)
            err = self._shown.decode(errors="replace")
        self.started.remove(self)
        return self.process.returncode, out, err


def among(ports: Sequence[str]) -> list[str]:
    """These ports and no others."""
    return [word for port in ports for word in ("--among", port)]
