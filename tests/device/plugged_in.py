"""Blank virtual tokens behind ports, for a desk without boards: from here they look as real ones do."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bztoken.errors import BztokenError

START_S = 30


@contextmanager
def virtual_ports(tokens: int) -> Iterator[list[str]]:
    """Ports of so many blank virtual tokens side by side, flashed as for wearers, while the block runs."""
    line = [sys.executable, "-m", "bztoken", "fleet", "attach", str(tokens), "--build", "production", "--json"]
    process = subprocess.Popen(line, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield _ports_of(process)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=START_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _ports_of(process: "subprocess.Popen[str]") -> list[str]:
    """From the one JSON document that is printed once every port can be opened."""
    assert process.stdout is not None and process.stderr is not None
    text = ""
    for line in process.stdout:
        text += line
        if line.rstrip() == "}":
            return [token["port"] for token in json.loads(text)["tokens"]]
    raise BztokenError(f"the virtual tokens did not start: {process.stderr.read().strip()}")
