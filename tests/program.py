"""Runs the console script's own entry in this process, with a data folder and arguments of the test's choice."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bztoken.cli.main import run


class Ran(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


Program = Callable[..., Ran]


def program(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Program:
    """`program(home, "sync", "--port", port)`."""

    def ran(home: Path, *arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["bztoken", "--home", str(home), *map(str, arguments)])
        monkeypatch.delenv("BZTOKEN_DEBUG", raising=False)
        capfd.readouterr()
        code = 0
        try:
            run()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        captured = capfd.readouterr()
        return Ran(code, captured.out, captured.err)

    return ran
