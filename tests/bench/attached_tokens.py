"""Virtual tokens behind ports, in a process of their own, as long as a measurement takes."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO


@contextmanager
def attached_tokens(*which: str, baud: int | None = None) -> Iterator[dict[str, str]]:
    """Port of each token by its label. which: arguments of `bztoken fleet attach`; baud: None as fast as it goes."""
    words = [sys.executable, "-m", "bztoken", "fleet", "attach", *which, "--json"]
    words += ["--baud", str(baud)] if baud else []
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield _ports(process.stdout)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        process.stdout.close()


def _ports(stream: IO[str]) -> dict[str, str]:
    text = ""
    for line in stream:
        text += line
        if line.rstrip() == "}":
            return {token["label"]: token["port"] for token in json.loads(text)["tokens"]}
    raise AssertionError("the tokens did not start")
