"""From a life in virtual time to a list of exposures, with the commands that a person types."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.case_desk import TRACER, CaseDesk, as_operator, staff
from tests.integration.clinic import Clinic
from tests.program import Ran

from bztoken.home import Home

WORLD = Path(__file__).parent / "worlds" / "house.world"
AN, BINH = "Bà An", "Ông Bình"
A_NIGHT = "0.25"  # days


def words(home: Home, *arguments: object) -> list[str]:
    return [sys.executable, "-m", "bztoken", "--home", str(home.path), *map(str, arguments)]


@contextmanager
def attached_by_command(home: Home, fleet: Path) -> Iterator[dict[str, str]]:
    """`bztoken fleet attach` as a program of its own: port by label."""
    process = subprocess.Popen(words(home, "fleet", "attach", "--from", fleet, "--json"), stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        lines: list[str] = []
        while not lines or lines[-1] != "}\n":
            lines.append(process.stdout.readline().decode())
            assert lines[-1], "the fleet ended early"
        yield {token["label"]: token["port"] for token in json.loads("".join(lines))["tokens"]}
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_from_a_virtual_day_to_the_exposures(tmp_path: Path, cli: Callable[..., Any]) -> None:
    home, fleet = Home(tmp_path / "new home"), tmp_path / "lived"
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()

    def done(*arguments: object) -> str:
        ran = cli(*arguments, home=home.path)
        assert ran.code == 0, ran.err
        return str(ran.out)

    def done_by(*arguments: object) -> Ran:
        return cli(*arguments, home=home.path)

    done("registry", "init")
    staff(home)
    run = ("--world", WORLD, "--tokens", 3, "--days", A_NIGHT, "--seed", 11, "--start", yesterday)
    done("fleet", "run", "--out", fleet, *run, "--register")
    with attached_by_command(home, fleet) as ports:
        assert len(ports) == 3
        for port in ports.values():
            assert json.loads(done("sync", "--port", port, "--json"))["pages_new"] >= 72
        adding = subprocess.Popen(
            words(home, "case", "add", "--port", ports[AN], "--name", "F0-1", "--onset", yesterday),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=as_operator(TRACER),
        )
        assert adding.stderr is not None
        assert b"Waiting" in adding.stderr.readline()
        done("fleet", "press", AN, "--from", fleet, "--hold-s", "3.3")
        out, err = adding.communicate(timeout=60)
        assert (adding.returncode, err) == (0, b"")
        assert b"Recorded case F0-1 as a draft" in out
    done("match")
    assert json.loads(done("exposures", "list", "--case", "F0-1", "--json"))["exposures"] == []
    CaseDesk(done_by, tmp_path).confirm("F0-1")
    done("match")
    exposures = json.loads(done("exposures", "list", "--case", "F0-1", "--json"))["exposures"]
    close = [found for found in exposures if found["verdict"] == "F1"]
    assert [(found["who"], found["day"]) for found in close] == [(BINH, yesterday)]
    assert close[0]["close_minutes"] > 300
    score = json.loads(done("fleet", "score", fleet, "--json"))
    assert [found["who"] for found in score["found"]] == [BINH]
    assert score["missed"] == score["false"] == []
    assert Clinic(home, fleet).last_sync_state() == "done"
