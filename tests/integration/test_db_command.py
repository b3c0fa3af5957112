"""`bztoken db` as its user meets it: real programs side by side, questions on a real terminal, kill -9."""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.integration.batch_desk import CONSOLE_SCRIPT
from tests.program import Program

from bztoken.home import Home
from bztoken.registry import tokens
from bztoken.registry.database import open_registry

PASSPHRASE = "bốn con mèo đen"
LIMIT_S = 90
WRITER = """
import sys
from pathlib import Path
from bztoken.home import Home
from bztoken.registry import tokens
from bztoken.registry.database import open_registry

number = 0
with open_registry(Home(Path(sys.argv[1]))) as registry:
    while True:
        number += 1
        with registry.write() as session:
            tokens.create(session, f"W{number}", number.to_bytes(8, "big"), "person", "virtual", 1)
        print(number, flush=True)
"""


def on_terminal(home: Home, words: Sequence[object], answers: Sequence[tuple[str, str]]) -> tuple[int, str]:
    """Run the console script on a terminal, where each answer is typed after its question; exit code, and all shown."""
    master, slave = pty.openpty()
    line = [str(CONSOLE_SCRIPT), "--home", str(home.path), *map(str, words)]
    process = subprocess.Popen(line, stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm"})
    os.close(slave)
    shown, waiting, seen = b"", list(answers), 0
    until_s = time.monotonic() + LIMIT_S
    try:
        while select.select([master], [], [], max(0, until_s - time.monotonic()))[0]:
            try:
                shown += os.read(master, 4096)
            except OSError:  # the program ended
                break
            if waiting and waiting[0][0].encode() in shown[seen:]:
                seen = len(shown)
                _await_hidden(master, "[y/N]" not in waiting[0][0], until_s)
                os.write(master, f"{waiting.pop(0)[1]}\n".encode())
        assert not waiting, f"never asked {waiting[0][0]!r}: {shown!r}"
        return process.wait(LIMIT_S), shown.decode()
    finally:
        process.kill()
        process.wait()
        os.close(master)


def _await_hidden(terminal: int, hidden: bool, until_s: float) -> None:
    """What is typed before the terminal stopped to echo would be thrown away, and shown."""
    while hidden and termios.tcgetattr(terminal)[3] & termios.ECHO:
        assert time.monotonic() < until_s


def labels(home: Home) -> list[str]:
    with open_registry(home) as registry, registry.read() as session:
        return [token.label for token in tokens.all_tokens(session)]


def add(home: Home, label: str) -> None:
    with open_registry(home) as registry, registry.write() as session:
        tokens.create(session, label, label.encode().ljust(8), "person", "virtual", 1)


def test_a_backup_is_made_while_another_program_writes_and_it_is_restored(
    home: Home, desk_cli: Program, tmp_path: Path
) -> None:
    out = tmp_path / "clinic.backup"
    words = [sys.executable, "-c", WRITER, str(home.path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        try:
            for _ in range(5):
                writer.stdout.readline()
            made = desk_cli("db", "backup", out, "--json")
            refused = desk_cli("db", "restore", out, "--yes")
        finally:
            writer.kill()
    assert made.code == 0 and made.document()["holds_keys"] is False
    assert refused.code == 1 and "another program has the registry open" in refused.err
    rows = made.document()["rows"]["tokens"]
    assert rows >= 5 and len(labels(home)) > rows
    restored = desk_cli("db", "restore", out, "--yes", "--json").document()
    assert labels(home) == [f"W{number}" for number in range(1, rows + 1)]
    assert Path(restored["kept"]).exists() and restored["upgraded"] is False
    assert desk_cli("db", "check").code == 0


def test_a_restore_asks_on_a_terminal(home: Home, desk_cli: Program, tmp_path: Path) -> None:
    out = tmp_path / "clinic.backup"
    assert desk_cli("db", "backup", out).code == 0
    add(home, "later")
    not_asked = desk_cli("db", "restore", out)
    assert not_asked.code == 1 and "add --yes" in not_asked.err
    code, shown = on_terminal(home, ["db", "restore", out], [("[y/N]", "n")])
    assert code == 1 and "bztoken: nothing was changed" in shown and labels(home) == ["later"]
    code, shown = on_terminal(home, ["db", "restore", out], [("[y/N]", "y")])
    assert code == 0 and "Restored" in shown and labels(home) == []


def test_a_passphrase_is_asked_for_on_a_terminal(home: Home) -> None:
    new, again = ("New passphrase", PASSPHRASE), ("Repeat for confirmation", PASSPHRASE)
    code, shown = on_terminal(home, ["db", "lock"], [new, again])
    assert code == 0 and "Locked registry.key, master.key." in shown and PASSPHRASE not in shown
    code, shown = on_terminal(home, ["registry", "status"], [("Passphrase of", PASSPHRASE)])
    assert code == 0 and "0 tokens" in shown
    code, shown = on_terminal(home, ["registry", "status"], [("Passphrase of", "another one")])
    assert code == 1 and "not the passphrase" in shown and "another one" not in shown
    code, shown = on_terminal(home, ["db", "unlock"], [("Passphrase of", PASSPHRASE)])
    assert code == 0 and len(home.registry_key()) == 32


def test_two_different_new_passphrases_are_asked_for_again(home: Home) -> None:
    questions = [("New passphrase", PASSPHRASE), ("Repeat for confirmation", "another long one")]
    code, _ = on_terminal(home, ["db", "lock"], questions + [("New passphrase", PASSPHRASE), ("Repeat", PASSPHRASE)])
    assert code == 0
    assert len(Home(home.path, ask=lambda _: PASSPHRASE).master_key()) == 32


@pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.2, 0.4])
def test_a_killed_rotation_leaves_a_registry_that_opens(home: Home, desk_cli: Program, delay_s: float) -> None:
    add(home, "T1")
    words = [str(CONSOLE_SCRIPT), "--home", str(home.path), "db", "rotate-key"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        next_key = home.registry_key_path.with_name("registry.key.next")
        until_s = time.monotonic() + LIMIT_S
        while not next_key.exists() and process.poll() is None:
            assert time.monotonic() < until_s
        try:
            process.wait(delay_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
    assert labels(home) == ["T1"] and not list(home.path.glob("*.next"))
    assert desk_cli("db", "check").code == 0


def test_a_rotated_key_is_told_with_what_to_do(home: Home, desk_cli: Program, tmp_path: Path) -> None:
    out = tmp_path / "clinic.backup"
    desk_cli("db", "backup", out)
    told = desk_cli("db", "rotate-key")
    assert told.code == 0 and "make a new backup" in told.out and "registry.key.before-" in told.out
    refused = desk_cli("db", "restore", out, "--yes")
    assert refused.code == 1 and "--key" in refused.err and refused.err.count("\n") == 1
    (old_key,) = home.path.glob("registry.key.before-*")
    assert desk_cli("db", "restore", out, "--yes", "--key", old_key).code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["db", "backup", "{home}"], "is a folder"),
        (["db", "backup", "{home}/none/x"], "no such file or directory"),
        (["db", "backup", "{home}/registry.key", "--force"], "lies in the data folder itself"),
        (["db", "restore", "{home}/none", "--yes"], "is no file"),
        (["db", "restore", "{home}/master.key", "--yes"], "does not open"),
        (["db", "restore", "{home}/registry.db", "--yes", "--key", "{home}/none"], "none is missing"),
        (["db", "lock", "--passphrase-file", "{home}/none"], "passphrase file"),
        (["db", "unlock"], "no key file is locked"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(home: Home, desk_cli: Program, words: list[str], told: str) -> None:
    kept = [home.registry_key_path, home.master_key_path]
    before, had = [path.read_bytes() for path in kept], labels(home)
    names = {path.name for path in home.path.iterdir()}
    done = desk_cli(*[word.format(home=home.path) for word in words])
    assert done.code == 1 and done.out == "" and told in done.err and done.err.count("\n") == 1
    assert ([path.read_bytes() for path in kept], labels(home)) == (before, had)
    assert {path.name for path in home.path.iterdir()} == names
