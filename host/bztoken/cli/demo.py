"""`bztoken demo`: the whole path once, with the same commands a person would type, each shown with its real output."""

import json
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from bztoken.cli.output import answer
from bztoken.errors import BztokenError
from bztoken.registry.events import OPERATOR_VARIABLE

WORLD = "village"
TOKENS = 12
SEED = 7
ILL = "Bà Lan"
PHONE = "minh"
PHONE_LABEL = "Anh Minh"
CASE = "F0-1"
ADMIN, TRACER, DOCTOR = "An", "Hoa", "Dũng"
STAFF = {ADMIN: "admin", TRACER: "tracer", DOCTOR: "doctor"}
HOLD_S = 4


@dataclass(frozen=True)
class _Stage:
    """Runs commands with this data folder and shows them."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "BZTOKEN_HOME": str(self.folder / "home"), OPERATOR_VARIABLE: TRACER}

    @staticmethod
    def _line(words: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "bztoken", *words]

    def start(self, words: Sequence[str]) -> "subprocess.Popen[str]":
        """A command that goes on in the background."""
        answer(f"$ bztoken {shlex.join(words)} &")
        return subprocess.Popen(
            self._line(words), env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def run(self, words: Sequence[str], show: bool = True) -> str:
        """A command and its output. Raises BztokenError when it fails."""
        done = subprocess.run(self._line(words), env=self.environment, text=True, capture_output=True, check=False)
        if show:
            answer(f"$ bztoken {shlex.join(words)}\n{done.stdout.rstrip()}")
        if done.returncode != 0:
            raise BztokenError(f"the demonstration stopped at `bztoken {shlex.join(words)}`: {done.stderr.strip()}")
        return done.stdout


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for everything it makes; replaced if a demo made it.")],
) -> None:
    """Show the whole path on virtual tokens.

    A virtual day in a village, sync by cable, one person falls ill, who was near.
    """
    folder = out.resolve()
    _make_room(folder)
    began = time.monotonic()
    stage = _Stage(folder)
    _title(f"1. Hand out: a registry, and {TOKENS} tokens with the real firmware")
    stage.run(["registry", "init"])
    _add_staff(stage)
    _title("2. Yesterday in the village, in virtual time")
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    fleet = str(folder / "fleet")
    words = ["fleet", "run", "--world", WORLD, "--tokens", str(TOKENS), "--days", "1", "--seed", str(SEED)]
    stage.run([*words, "--start", yesterday, "--register", "--out", fleet])
    with _attached(stage, fleet) as ports:
        _title(f"3. Today at the clinic: {len(ports)} tokens are plugged in and synced")
        _sync_all(stage, ports)
        _title("4. A phone's owner uploads the contact history of the Bluezone app")
        stage.run(["history", "add", str(folder / "fleet" / f"phone-{PHONE}.tsv"), "--label", PHONE_LABEL])
        _title(f"5. {ILL} has fallen ill and agrees to help: she holds the button of her token")
        _record_case(stage, fleet, ports[ILL], yesterday)
        _authorise_case(stage)
    _title("6. Who was near?")
    stage.run(["match"])
    stage.run(["exposures", "list", "--case", CASE])
    _title("7. Is it true? The world knows where everybody was")
    stage.run(["fleet", "score", fleet])
    _require_all_found(stage, fleet)
    answer(f"\nDone in {time.monotonic() - began:.0f} s. Registry and keys: {folder / 'home'}")
    answer(f"Flash images, the phone's history and the truth: {fleet}")


def _require_all_found(stage: _Stage, fleet: str) -> None:
    """A demonstration that misses somebody has failed, whatever it printed."""
    found = json.loads(stage.run(["fleet", "score", fleet, "--json"], show=False))
    if found["missed"] or not found["found"]:
        raise BztokenError("The demonstration did not find everybody who was near: something is broken here.")


def _title(text: str) -> None:
    answer(f"\n=== {text}")


def _make_room(folder: Path) -> None:
    """Replace what an earlier demo made, and nothing else."""
    marker = folder / ".bztoken-demo"
    if folder.exists() and any(folder.iterdir()):
        if not marker.exists():
            raise BztokenError(f"{folder} holds something that no demo made: name a new folder with --out.")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    marker.touch()


@contextmanager
def _attached(stage: _Stage, fleet: str) -> Iterator[dict[str, str]]:
    """The fleet behind ports: port by label."""
    process = stage.start(["fleet", "attach", "--from", fleet, "--json"])
    try:
        yield _ports_of(process)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _ports_of(process: "subprocess.Popen[str]") -> dict[str, str]:
    """Reads the one JSON document that `attach` prints once every port can be opened."""
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if line.rstrip() == "}":
            return {token["label"]: token["port"] for token in json.loads(text)["tokens"]}
    raise BztokenError("The virtual tokens did not start: run `bztoken fleet attach 1` to see why.")


def _sync_all(stage: _Stage, ports: dict[str, str]) -> None:
    """Two at a time: each sync is a program of its own."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        for port, output in zip(
            ports.values(),
            pool.map(lambda port: stage.run(["sync", "--port", port], show=False), ports.values()),
            strict=True,
        ):
            answer(f"$ bztoken sync --port {port}\n{output.rstrip()}")


def _password_file(stage: _Stage, name: str) -> str:
    """Of somebody who exists in a demonstration only."""
    path = stage.folder / f"{name}.password"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(f"{secrets.token_urlsafe(12)}\n")
    return str(path)


def _add_staff(stage: _Stage) -> None:
    """Nobody records a case alone: a tracer does, and a doctor draws the code for it."""
    for name, role in STAFF.items():
        words = ["operator", "add", name, "--role", role, "--password-file", _password_file(stage, name)]
        by = [] if name == ADMIN else ["--as", ADMIN, "--as-password-file", _password_file(stage, ADMIN)]
        stage.run([*words, *by])


def _authorise_case(stage: _Stage) -> None:
    words = ["case", "authorise", CASE, "--as", DOCTOR, "--password-file", _password_file(stage, DOCTOR)]
    answered = stage.run(words)
    code = next(line.removeprefix("Code: ") for line in answered.splitlines() if line.startswith("Code: "))
    stage.run(["case", "confirm", CASE, "--code", code])


def _record_case(stage: _Stage, fleet: str, port: str, onset: str) -> None:
    process = stage.start(["case", "add", "--port", port, "--name", CASE, "--onset", onset])
    assert process.stderr is not None
    for line in process.stderr:
        answer(line.rstrip())
        if line.startswith("Waiting: "):
            stage.run(["fleet", "press", ILL, "--from", fleet, "--hold-s", str(HOLD_S)])
            break
    output, complaint = process.communicate(timeout=90)
    if process.returncode != 0:
        raise BztokenError(f"the demonstration stopped at `bztoken case add`: {complaint.strip()}")
    answer(output.rstrip())
