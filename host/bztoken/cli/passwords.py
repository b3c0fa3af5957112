"""Where commands get the passwords of operators: a file, else whoever sits at the terminal. Never an argument."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from bztoken.errors import NotAllowed
from bztoken.key_lock import passphrase_in

PASSWORD_FILE_VARIABLE = "BZTOKEN_PASSWORD_FILE"
PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", help="Take the password from the first line of this file, do not ask."),
]


def password_of(name: str, file: Path | None) -> str:
    """From the file, else from the one that BZTOKEN_PASSWORD_FILE names, else asked on a terminal.

    Raises HomeError for a file that others may read, NotAllowed when nobody can be asked.
    """
    named = os.environ.get(PASSWORD_FILE_VARIABLE)
    if file is not None or named:
        return passphrase_in(file or Path(str(named)).expanduser())
    _require_terminal()
    return str(typer.prompt(f"Password of {name}", hide_input=True, err=True))


def new_password_of(name: str, file: Path | None) -> str:
    """The same for a password that is chosen now: asked twice."""
    if file is not None:
        return passphrase_in(file)
    _require_terminal()
    return str(typer.prompt(f"New password of {name}", hide_input=True, confirmation_prompt=True, err=True))


def _require_terminal() -> None:
    if not sys.stdin.isatty():
        raise NotAllowed(
            "a password is needed and nobody can be asked: nothing was changed; run this in a terminal, or name a file "
            "that holds it with --password-file"
        )
