"""`bztoken purge`: delete what is past its time; and the same once a day, by the commands of every day."""

import sys
import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from bztoken.cli.output import answer, answer_json, say
from bztoken.cli.registry import AsJson
from bztoken.errors import BztokenError, RegistryError
from bztoken.home import Home
from bztoken.people import retention
from bztoken.people.retention import Purged
from bztoken.registry.database import Registry, open_registry


def purge(
    ctx: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="The computer's date is right, however long ago the last was.")] = (
        False
    ),
    as_json: AsJson = False,
) -> None:
    """Delete what is past its time.

    No trace of it is left in the file.

    Encounters after 14 days (of places 21), cases 30 days after their window, persons who withdrew. `sync`, `match` and
    `follow-up list` do it once a day by themselves.
    """
    home: Home = ctx.obj
    home.require_clinic()
    with open_registry(home) as registry:
        done = retention.purge(registry, int(time.time()), insist=yes)
    if as_json:
        answer_json(_document(done))
    else:
        answer(_sentence(done) or f"Nothing is past its time: heard before {_day(done.floors.person_s)} (UTC) is gone.")
    if done.log_problem is not None:
        raise RegistryError(done.log_problem)


def purge_when_due(registry: Registry) -> None:
    """For commands of every day: a remark on stderr when something went, or when it could not; never an error."""
    try:
        done = retention.purge_when_due(registry, int(time.time()))
    except BztokenError as error:
        say(f"Remark: not purged: {error}")
        return
    if done is not None and done.is_something:
        say(f"Remark: {_sentence(done)}")
    if done is not None and done.log_problem is not None:
        say(f"Remark: {done.log_problem}.")


def purge_home_when_due(home: Home) -> None:
    """The same for commands that open the registry by themselves; nothing on a courier's computer."""
    if home.is_courier or not home.registry_path.exists():
        return
    try:
        with open_registry(home) as registry:
            purge_when_due(registry)
    except BztokenError:  # the command itself tells it
        return


def has_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _sentence(done: Purged) -> str:
    parts = [f"{count:,} {name}" for name, count in done.rows.items()]
    erased = f", {done.persons} persons who had withdrawn among them" if done.persons else ""
    return f"Purged what was past its time: {', '.join(parts)}{erased}." if done.is_something else ""


def _document(done: Purged) -> dict[str, object]:
    return {
        "rows": done.rows,
        "persons_erased": done.persons,
        "heard_before": {"people": _day(done.floors.person_s), "places": _day(done.floors.site_s)},
        "log_emptied": done.log_problem is None,
    }


def _day(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).date().isoformat()
