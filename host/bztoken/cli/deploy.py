"""`bztoken deploy`: a developer's board gets this checkout's firmware."""

from pathlib import Path
from typing import Annotated

import typer

from bztoken.cli.output import answer, answer_json
from bztoken.cli.registry import AsJson
from bztoken.desk.deploy import Deployed
from bztoken.desk.deploy import deploy as deploy_to
from bztoken.errors import DeployError
from bzvirtual.application import compile_file
from bzvirtual.errors import FleetError


def deploy(
    port: Annotated[str, typer.Option("--port", help="Serial port of a board with the development build.")],
    board: Annotated[
        str | None, typer.Option("--board", help="Which board it is; without it as its own board file says.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring a developer's board to this checkout.

    Compiles the firmware, copies what differs, restarts the board. May be interrupted or repeated at any time.
    Identity, log and settings stay.
    """
    done = deploy_to(port, _compile, board)
    if as_json:
        answer_json(_document(done))
        return
    removed = f", removed {done.removed}" if done.removed else ""
    answer(
        f"Copied {done.copied} of {done.total} files{removed} in {done.seconds:.1f} s; the {done.board} board runs "
        f"{done.firmware}, a development build."
    )


def _compile(source: Path, target: Path, arch: str) -> None:
    try:
        compile_file(source, target, arch)
    except FleetError as error:
        raise DeployError(str(error)) from None


def _document(done: Deployed) -> dict[str, object]:
    return {
        "board": done.board,
        "copied": done.copied,
        "files": done.total,
        "removed": done.removed,
        "seconds": round(done.seconds, 3),
        "firmware": done.firmware,
    }
