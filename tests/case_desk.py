"""What tests need to record cases: operators with passwords, a case without the way there, or all of that way."""

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from sqlalchemy.orm import Session
from tests.program import Ran

from bztoken.formats.case_list import CaseKey, day_keys
from bztoken.formats.tracing_key import TracingKey
from bztoken.home import Home
from bztoken.key_lock import Costs
from bztoken.registry import cases, events, operators
from bztoken.registry.database import open_registry
from bztoken.registry.models import Case, Token
from bztoken.registry.permissions import Role

ADMIN, TRACER, DOCTOR = "Quản", "Hoa", "Bác sĩ Dũng"
STAFF = {ADMIN: Role.ADMIN, TRACER: Role.TRACER, DOCTOR: Role.DOCTOR}
CHEAP = Costs(memory_kib=32, passes=1, lanes=1)  # a guess may cost nothing here, and a test no time


def password_of(name: str) -> str:
    """Theirs, in tests."""
    return f"mật khẩu của {name}"


def password_file(folder: Path, name: str) -> Path:
    """A file with it, for its owner only."""
    path = folder / f"{name}.password"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(password_of(name) + "\n", encoding="utf-8")
    return path


def staff(home: Home, now_s: int = 1) -> None:
    """An admin, a tracer and a doctor work here."""
    with open_registry(home) as registry, registry.write() as session:
        for name, role in STAFF.items():
            operators.add(session, name, role, password_of(name), now_s, CHEAP)


def days_ago(days: int, now_s: float | None = None) -> str:
    """A UTC day as it is typed."""
    now = datetime.now(UTC) if now_s is None else datetime.fromtimestamp(now_s, UTC)
    return (now - timedelta(days=days)).date().isoformat()


class Runs(Protocol):
    """A `Program` with its data folder filled in."""

    def __call__(self, *arguments: object) -> Ran:
        """Run the console script."""


class CaseDesk:
    """Tracer and doctor at a command line."""

    def __init__(self, run: Runs, folder: Path) -> None:
        self._run = run
        self.folder = folder

    def tracer(self, *arguments: object) -> Ran:
        """A command by the tracer."""
        with events.acting_as(TRACER):
            return self._run(*arguments)

    def authorise(self, name: str) -> str:
        """The doctor's code for a draft."""
        file = password_file(self.folder, DOCTOR)
        drawn = self._run("case", "authorise", name, "--as", DOCTOR, "--password-file", file, "--json")
        assert drawn.code == 0, drawn.err
        return str(drawn.document()["code"])

    def confirm(self, name: str) -> None:
        """The doctor draws a code, the tracer gives it."""
        done = self.tracer("case", "confirm", name, "--code", self.authorise(name))
        assert done.code == 0, done.err

    def record(self, name: str, *arguments: object) -> Ran:
        """`case add` and all that makes the case active."""
        added = self.tracer("case", "add", "--name", name, *arguments, "--json")
        assert added.code == 0, added.err
        self.confirm(name)
        return added


def as_operator(name: str) -> dict[str, str]:
    """The environment of a program that this operator starts."""
    return {**os.environ, events.OPERATOR_VARIABLE: name}


def active_case(
    session: Session,
    name: str,
    source: str,
    token: Token | None,
    keys: Sequence[CaseKey | TracingKey],
    now_s: int,
    ids: Sequence[tuple[bytes, int]] = (),
    person_id: int | None = None,
) -> Case:
    """A case that is matched, for tests of what comes after; how one becomes active is tested where codes are."""
    new = cases.NewCase(name, source, list(_by_day(keys)), ids, token, person_id)
    case = cases.add_draft(session, new, now_s)
    cases.activate(session, case)
    return case


def _by_day(keys: Sequence[CaseKey | TracingKey]) -> Iterator[TracingKey]:
    for key in keys:
        yield from day_keys(key) if isinstance(key, CaseKey) else (key,)
