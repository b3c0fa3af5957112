"""The command line: answers, one JSON document, exit codes, and no traceback whatever comes in."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.case_desk import CaseDesk, staff

from bztoken.formats.case_list import CaseKey, write_case_list
from bztoken.formats.history import HistoryLine, write_history
from bztoken.home import Home
from bztoken.registry.migrating import head_revision
from bzwire.bluezone import DAY_S, slot_id

Cli = Callable[..., Any]
START_S = (int(time.time()) // DAY_S - 2) * DAY_S
DAY = datetime.fromtimestamp(START_S, UTC).date().isoformat()
KEY = bytes.fromhex("4c5224b397f8ab3896781d5aa0f3119f280513f1b592ca280ebded6357e21084")


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    path = tmp_path / "cases.json"
    write_case_list(
        path, [CaseKey(b"x" * 32, START_S, 96, START_S + 86399), CaseKey(KEY, START_S, 96, START_S + 86399)]
    )
    return path


@pytest.fixture
def history(tmp_path: Path, vectors: Any) -> Path:
    """15 minutes with the captured key of the vectors, one line a minute, in captured slot 23."""
    contact = bytes.fromhex(vectors["captured"][0]["slots"]["23"])
    at_s = START_S + 23 * 900
    path = tmp_path / "history.tsv"
    write_history(path, [HistoryLine(bytes(12), contact, -70 + n % 2, (at_s + 60 * n) * 1000) for n in range(15)])
    return path


@pytest.fixture
def desk(cli: Cli, home: Home, tmp_path: Path) -> CaseDesk:
    """A registry in which an admin, a tracer and a doctor work."""
    cli("registry", "init")
    staff(home)
    return CaseDesk(cli, tmp_path)


def test_two_files_match_without_a_registry(cli: Cli, cases: Path, history: Path, home: Home) -> None:
    ran = cli("match", "--cases", cases, "--history", history, "--json")
    assert (ran.code, ran.err) == (0, "")
    document = ran.document()
    assert document["sightings"] == 15
    (exposure,) = document["exposures"]
    wanted = {"case": 2, "day": DAY, "minutes": 15, "rssi_max_dbm": -69, "band": "near", "verdict": "F1"}
    assert wanted.items() <= exposure.items()
    assert not home.path.exists()


def test_strangers_files_give_an_empty_answer(cli: Cli, cases: Path, tmp_path: Path) -> None:
    path = tmp_path / "strangers.tsv"
    write_history(path, [HistoryLine(bytes(12), b"\1" * 12, -50, START_S * 1000)])
    assert cli("match", "--cases", cases, "--history", path, "--json").document() == {
        "lines": 1,
        "sightings": 0,
        "exposures": [],
    }
    ran = cli("match", "--cases", cases, "--history", path)
    assert ran.code == 0 and "None of 1 contacts" in ran.out


def test_the_tolerance_is_an_option(cli: Cli, cases: Path, tmp_path: Path) -> None:
    path = tmp_path / "late.tsv"
    late_s = START_S + 24 * 900 + 1200
    write_history(path, [HistoryLine(bytes(12), slot_id(KEY, 23), -60, late_s * 1000)])
    found = [
        cli("match", "--cases", cases, "--history", path, "--tolerance-min", minutes, "--json").document()["sightings"]
        for minutes in (30, 21, 20, 0)
    ]
    assert found == [1, 1, 0, 0]


def test_init_tells_the_migration(cli: Cli) -> None:
    made = cli("registry", "init", "--json")
    assert made.code == 0 and made.document()["migration"] == head_revision()


def test_a_case_goes_from_list_to_exposure(cli: Cli, desk: CaseDesk, cases: Path, history: Path) -> None:
    added = desk.record("F0-12", "--list", cases, "--onset", DAY).document()
    assert {"case": "F0-12", "state": "draft", "keys": 2, "left_out": 0}.items() <= added.items()
    added = cli("history", "add", history, "--label", "Phone of [Lan]", "--json")
    assert added.document() == {"label": "Phone of [Lan]", "lines": 15, "known": False}
    again = cli("history", "add", history, "--label", "Other")
    assert again.code == 0 and "already" in again.out
    matched = cli("match", "--json")
    assert matched.code == 0 and DAY in matched.err
    assert matched.document()["exposures"] == 1
    listed = cli("exposures", "list", "--case", "F0-12", "--json").document()["exposures"]
    assert [(row["case"], row["who"], row["minutes"], row["verdict"]) for row in listed] == [
        ("F0-12", "Phone of [Lan]", 15, "F1")
    ]
    table = cli("exposures", "list").out
    assert "Phone of [Lan]" in table and "12:45 - 12:59" in table and "Asia/Ho_Chi_Minh" in table
    assert "05:45 - 05:59" in cli("exposures", "list", "--zone", "UTC").out
    counts = {"tokens": 0, "logs": 1, "pages": 0, "sightings": 15, "cases": 1, "exposures": 1}
    assert counts.items() <= cli("registry", "status", "--json").document().items()
    assert cli("case", "list", "--json").document()["cases"][0]["keys"] == 2
    assert "Phone of [Lan]" in cli("history", "list").out


def test_no_answer_shows_keys_or_ids(desk: CaseDesk, cases: Path, history: Path, tmp_path: Path) -> None:
    everything = ""
    other = tmp_path / "other.json"  # the keys of one case are refused for a second
    write_case_list(other, [CaseKey(KEY, START_S, 96, START_S + 86399)])
    desk.record("F0-11", "--list", cases, "--onset", DAY)
    for arguments in (
        ("case", "inspect", "--list", cases, "--onset", DAY),
        ("case", "add", "--list", other, "--name", "F0-12", "--onset", DAY),
        ("case", "add", "--history", history, "--name", "F0-13", "--onset", DAY),
        ("case", "show", "F0-12", "--json"),
        ("case", "show", "F0-12"),
        ("history", "add", history, "--label", "Phone"),
        ("match",),
        ("case", "list"),
        ("exposures", "list", "--json"),
        ("match", "--cases", cases, "--history", history),
        ("match", "--cases", cases, "--history", history, "--json"),
    ):
        ran = desk.tracer(*arguments)
        assert ran.code == 0, ran.err
        everything += (ran.out + ran.err).lower()
    assert KEY.hex()[:12] not in everything
    assert slot_id(KEY, 23).hex()[:12] not in everything


@pytest.mark.parametrize(
    "arguments",
    [
        ("match", "--cases", "x.json"),
        ("match", "--history", "x.tsv"),
        ("match", "--tolerance-min", "-1"),
        ("match", "--tolerance-min", "many"),
        ("case", "add", "--name", "F0"),
        ("case", "add", "--name", "F0", "--list", "x", "--port", "y"),
        ("case", "add", "--list", "x"),
        ("history", "add", "x"),
        ("exposures", "list", "--zone", "Mars/Olympus"),
        ("exposures", "list", "--zone", "../../etc/passwd"),
        ("no-such-command",),
        ("match", "--no-such-option"),
    ],
)
def test_wrong_usage_exits_2(cli: Cli, arguments: tuple[str, ...]) -> None:
    ran = cli(*arguments)
    assert ran.code == 2 and ran.out == "" and "Traceback" not in ran.err and ran.err


@pytest.mark.parametrize("bad", ["", "[]", '{"data": [{}]}', '{"data":\n[\n,', "\x00"])
def test_a_bad_case_list_leaves_no_case(cli: Cli, desk: CaseDesk, tmp_path: Path, history: Path, bad: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(bad)
    for arguments in (
        ("case", "add", "--list", path, "--name", "F0", "--test", DAY),
        ("match", "--cases", path, "--history", history),
    ):
        ran = desk.tracer(*arguments, "--json")
        assert ran.code == 1 and ran.out == "" and len(ran.err.splitlines()) == 1
        assert ran.err.startswith(f"bztoken: {path}")
    assert cli("case", "list", "--json").document() == {"cases": []}


def test_a_history_that_breaks_late_leaves_nothing(cli: Cli, history: Path, tmp_path: Path) -> None:
    cli("registry", "init")
    path = tmp_path / "late.tsv"
    path.write_bytes(history.read_bytes() * 300 + b"broken\n")
    ran = cli("history", "add", path, "--label", "Phone")
    assert ran.code == 1 and "line 4501" in ran.err and len(ran.err.splitlines()) == 1
    assert set(cli("registry", "status", "--json").document().values()) == {0}
    path.write_bytes(b"")
    assert "empty" in cli("history", "add", path, "--label", "Phone").err
    assert set(cli("registry", "status", "--json").document().values()) == {0}


def test_missing_files_and_folders_are_sentences(cli: Cli, cases: Path, tmp_path: Path) -> None:
    for arguments, said in (
        (("match", "--cases", cases, "--history", tmp_path / "none.tsv"), "no such file"),
        (("match", "--cases", tmp_path, "--history", tmp_path), "is a directory"),
        (("registry", "status"), "registry init"),
        (("match",), "registry init"),
    ):
        ran = cli(*arguments)
        assert ran.code == 1 and ran.out == "" and said in ran.err.lower() and len(ran.err.splitlines()) == 1


def test_a_name_is_taken_once_and_not_repeated_in_the_error(cli: Cli, desk: CaseDesk, cases: Path) -> None:
    add = ("case", "add", "--list", cases, "--onset", DAY, "--name")
    assert desk.tracer(*add, "Bà Lan").code == 0
    ran = desk.tracer(*add, "Bà Lan")
    assert ran.code == 1 and "recorded already" in ran.err and "Lan" not in ran.err
    assert "needs a name" in desk.tracer(*add, " ").err
    assert cli("exposures", "list", "--case", "nobody").code == 1


def test_a_second_init_changes_nothing(cli: Cli, home: Home) -> None:
    cli("registry", "init")
    before = home.registry_key_path.read_bytes()
    ran = cli("registry", "init")
    assert ran.code == 1 and "exists already" in ran.err
    assert home.registry_key_path.read_bytes() == before
    assert "up to date" in cli("registry", "upgrade").out


def test_a_mistake_of_ours_is_one_sentence_unless_asked(
    cli: Cli, cases: Path, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bztoken.cli.match.match_files", lambda *_: 1 // 0)
    ran = cli("match", "--cases", cases, "--history", history)
    assert ran.code == 1 and ran.err.startswith("bztoken: unexpected ZeroDivisionError; set BZTOKEN_DEBUG=1")


def environment(**changes: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **changes}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "bztoken", *map(str, arguments)]


def test_the_module_runs_as_a_program_with_its_home_from_the_environment(tmp_path: Path) -> None:
    changes = environment(BZTOKEN_HOME=str(tmp_path / "h"))
    made = subprocess.run(command("registry", "init"), env=changes, capture_output=True, text=True, check=True)
    assert "Back up" in made.stdout
    status = subprocess.run(command("registry", "status", "--json"), env=changes, capture_output=True, check=True)
    assert json.loads(status.stdout)["tokens"] == 0
    version = subprocess.run(command("--version"), env=changes, capture_output=True, text=True, check=True)
    assert version.stdout.startswith("bztoken ")


def test_a_full_disk_behind_the_answer_is_an_error(cases: Path, history: Path) -> None:
    with open("/dev/full", "w") as full:
        ran = subprocess.run(
            command("match", "--cases", cases, "--history", history),
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ran.returncode == 1 and "no space left" in ran.stderr and "Traceback" not in ran.stderr


def test_the_debug_variable_shows_where(tmp_path: Path) -> None:
    ran = subprocess.run(
        command("--home", tmp_path / "none", "registry", "status"),
        env=environment(BZTOKEN_DEBUG="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1 and "Traceback" in ran.stderr


def test_an_interrupt_ends_with_130_and_a_word(cases: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "history.fifo"
    os.mkfifo(fifo)
    process = subprocess.Popen(
        command("match", "--cases", cases, "--history", fifo), env=environment(), stderr=subprocess.PIPE, text=True
    )
    with fifo.open("w"):  # opens once the command reads: it is inside the matching now
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=90)
    assert process.returncode == 130 and said == "bztoken: interrupted\n"


def test_a_killed_import_leaves_all_or_nothing(cli: Cli, home: Home, tmp_path: Path) -> None:
    """The history is a pipe, so every kill falls inside the import, with rows already written."""
    cli("registry", "init")
    lines = [HistoryLine(bytes(12), n.to_bytes(12, "big"), -70, (START_S + n) * 1000) for n in range(9000)]
    whole = tmp_path / "whole.tsv"
    write_history(whole, lines)
    for kill_after in (1, 4000, 8999):
        growing = tmp_path / f"growing{kill_after}.tsv"
        os.mkfifo(growing)
        process = subprocess.Popen(
            command("--home", home.path, "history", "add", growing, "--label", "P"), env=environment()
        )
        with growing.open("wb") as pipe:  # first reading: the digest
            pipe.write(whole.read_bytes())
        with growing.open("wb") as pipe:  # second reading: the rows
            pipe.write(b"".join(whole.read_bytes().splitlines(keepends=True)[:kill_after]))
            pipe.flush()
            time.sleep(0.2)
            process.kill()
            process.wait(timeout=90)
        assert set(cli("registry", "status", "--json").document().values()) == {0}
    assert cli("history", "add", whole, "--label", "P", "--json").document()["lines"] == 9000
    assert cli("registry", "status", "--json").document()["sightings"] == 9000
