"""`bztoken db`: backup, restore, check, a new key, a passphrase for the keys."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, TextColumn

from bztoken import key_lock
from bztoken.cli.bars import on_stderr
from bztoken.cli.output import answer, answer_json, say
from bztoken.errors import HomeError
from bztoken.home import Home
from bztoken.locked_keys import lock_keys, unlock_keys
from bztoken.registry import backup as backups
from bztoken.registry import restoring
from bztoken.registry.checking import check as check_registry
from bztoken.registry.connecting import Progress
from bztoken.registry.rekeying import rotate_key as new_key

app = typer.Typer(no_args_is_help=True, help="Backup, restore, check, key and passphrase.")

AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
KeyFile = Annotated[
    Path | None, typer.Option("--key", help="Key file of the time of the backup, where it was another one.")
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="Take the new passphrase from the first line of this file, do not ask."),
]
SHOWN_TABLES = ("tokens", "persons", "cases", "pages", "sightings", "exposures", "audit")


@app.command()
def backup(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file of this name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write an encrypted copy of the registry, and read it again.

    Others may go on working meanwhile. The file opens with registry.key, which is not in it.
    """
    home: Home = ctx.obj
    with _pages_shown(home, "Copying") as progress:
        made = backups.backup(home, file, _now_s(), progress, replace=force)
    if as_json:
        answer_json(
            {
                "file": str(made.path),
                "bytes": made.size_bytes,
                "migration": made.migration,
                "rows": made.rows,
                "holds_keys": False,
            }
        )
        return
    size = f"{made.size_bytes / 1e6:,.1f} MB"
    answer(f"Wrote {made.path}: {size}, migration {made.migration}, {_counts(made.rows)}; read again, whole.")
    answer("It holds no key: it opens with the present registry.key only. Keep registry.key and master.key elsewhere.")


@app.command()
def restore(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")],
    key: KeyFile = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Put a backup in the registry's place.

    The present one is kept beside it. An older backup is brought up to this version. What came after the backup is not
    in it.
    """
    home: Home = ctx.obj
    found = restoring.inspect(home, file, key)
    _confirm_restore(home, found, yes)
    with _pages_shown(home, "Copying") as progress:
        done = restoring.restore(home, file, _now_s(), key, progress)
    if as_json:
        answer_json(
            {
                "file": str(found.path),
                "migration": found.migration,
                "upgraded": found.is_older,
                "rows": found.rows,
                "kept": None if done.kept is None else str(done.kept),
                "erased_since": found.erased_since,
            }
        )
        return
    answer(f"Restored {found.path}: {_counts(found.rows)}{', upgraded to this version' if found.is_older else ''}.")
    if done.kept is not None:
        answer(f"The registry of before is {done.kept}: delete it when nobody needs it any more.")
    if found.erased_since:
        answer(f"{_erased(found)} withdrew or were erased after the backup: do it again, they are back.")


@app.command("rotate-key")
def rotate_key(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Encrypt the registry under a new key.

    May be interrupted at any moment: the next command finishes or undoes it. Needs disk space for a second registry.
    """
    home: Home = ctx.obj
    with _pages_shown(home, "Encrypting") as progress:
        done = new_key(home, _now_s(), progress)
    if as_json:
        answer_json({"key": str(home.registry_key_path), "old_key": str(done.old_key_path), "rows": done.rows})
        return
    answer(f"The registry has a new key: keep a copy of {home.registry_key_path} elsewhere now, and make a new backup.")
    answer(
        f"Backups of before open with {done.old_key_path} only: delete it together with the last of them. master.key "
        "and the keys of tokens are the same."
    )


@app.command()
def check(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Check registry, audit and keys.

    Whether they are whole, and who can read the keys.
    A line a problem, and exit 1; remarks go to stderr.
    """
    home: Home = ctx.obj
    found = check_registry(home)
    if as_json:
        answer_json(
            {
                "whole": not found.problems,
                "problems": found.problems,
                "remarks": found.remarks,
                "migration": found.migration,
                "rows": found.rows,
            }
        )
    else:
        for problem in found.problems:
            answer(problem)
        for remark in found.remarks:
            say(f"Remark: {remark}.")
        if not found.problems:
            counts = _counts(found.rows)
            answer(f"The registry is whole: migration {found.migration}, {counts}; audit unbroken, keys private.")
    if found.problems:
        raise typer.Exit(1)


@app.command()
def lock(ctx: typer.Context, passphrase_file: PassphraseFile = None, as_json: AsJson = False) -> None:
    """Lock the key files with a passphrase, or change it.

    It is asked for by every command from then on, or read from the file that BZTOKEN_PASSPHRASE_FILE names. Nobody
    can open the keys without it.
    """
    home: Home = ctx.obj
    home.registry_key()  # the old passphrase is asked for first
    changed = lock_keys(home, _new_passphrase(passphrase_file))
    if as_json:
        answer_json({"locked": [str(path) for path in changed.files]})
        return
    answer(
        f"Locked {', '.join(path.name for path in changed.files)}. Write the passphrase down and keep it elsewhere: "
        "without it nobody reads the registry or the tokens again. Copies of the keys made before have none."
    )


@app.command()
def unlock(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Take the passphrase off the key files."""
    home: Home = ctx.obj
    changed = unlock_keys(home)
    if as_json:
        answer_json({"unlocked": [str(path) for path in changed.files]})
        return
    answer(f"Unlocked {', '.join(path.name for path in changed.files)}: whoever can read the files has the keys.")


def ask_passphrase(file: str) -> str | None:
    """The passphrase of a key file, from whoever sits at the terminal; None when there is none."""
    if not _has_terminal():
        return None
    return str(typer.prompt(f"Passphrase of {file}", hide_input=True, err=True))


def _new_passphrase(file: Path | None) -> str:
    if file is not None:
        return key_lock.passphrase_in(file)
    if not _has_terminal():
        raise HomeError("nobody can be asked for a passphrase here: run this in a terminal, or add --passphrase-file")
    return str(typer.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True))


def _confirm_restore(home: Home, found: restoring.Found, yes: bool) -> None:
    if yes:
        return
    last = found.last_entry_s
    of = "" if last is None else f", last audit entry {datetime.fromtimestamp(last, UTC):%Y-%m-%d %H:%M} UTC"
    say(f"{found.path}: migration {found.migration}{of}, {_counts(found.rows)}.")
    if found.erased_since:
        say(f"{_erased(found)} withdrew or were erased after the backup: they come back with it.")
    if not _has_terminal():
        raise HomeError("nobody can be asked here whether to replace the registry: nothing was changed, add --yes")
    older = " The backup is of an older version and is upgraded." if found.is_older else ""
    replaced = f"Replace {home.registry_path}?" if home.registry_path.exists() else f"Make {home.registry_path} of it?"
    if not typer.confirm(f"{replaced}{older}", err=True):
        raise HomeError("nothing was changed")


def _erased(found: restoring.Found) -> str:
    return ", ".join(found.erased_since)


def _has_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


@contextmanager
def _pages_shown(home: Home, doing: str) -> Iterator[Progress]:
    """How far copying is, on a terminal. A passphrase is asked for before the bar stands there."""
    home.registry_key()
    with on_stderr(TextColumn(doing), BarColumn(), TextColumn("{task.percentage:>3.0f} %")) as bars:
        task = bars.add_task("")
        yield lambda done, total: bars.update(task, completed=done, total=total)


def _counts(rows: dict[str, int]) -> str:
    return ", ".join(f"{rows[name]:,} {name}" for name in SHOWN_TABLES if name in rows)


def _now_s() -> int:
    return int(time.time())
