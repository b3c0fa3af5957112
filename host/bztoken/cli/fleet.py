"""`bztoken fleet`: virtual tokens, in virtual time (`run`) or behind ports like real ones (`attach`)."""

import json
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from bztoken.cli.output import answer, answer_json, answer_table
from bztoken.cli.registry import AsJson
from bztoken.errors import BztokenError
from bztoken.home import Home
from bztoken.registry import tokens
from bztoken.registry.database import open_registry
from bzvirtual import attach as attaching
from bzvirtual import realtime, world
from bzvirtual.desk import Identity, identities_from_seed
from bzvirtual.errors import VirtualBoardError
from bzvirtual.fleet import FleetRun, RunResult, require_empty
from bzvirtual.realtime import Port

DAY_S = 86400
# A Monday: without --start every run has the same days, so that its files can be compared.
DEFAULT_START = "2026-01-05"
BOARD = "virtual"

app = typer.Typer(no_args_is_help=True, help="Virtual tokens: run days of a world, or attach them to ports.")

Folder = Annotated[Path, typer.Option("--from", help="Folder of the fleet.")]
Token = Annotated[str, typer.Argument(help="Label or port of the token.")]


@contextmanager
def told_plainly() -> Iterator[None]:
    """The virtual board's errors as the command line's."""
    try:
        yield
    except VirtualBoardError as error:
        raise BztokenError(str(error)) from error


def _start_s(text: str) -> int:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date like 2026-01-05", param_hint="--start") from None
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


@app.command()
def run(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="New folder for logs, histories and the truth.")],
    world_name: Annotated[str, typer.Option("--world", help="World by name, or a world file.")] = "village",
    count: Annotated[int, typer.Option("--tokens", min=1, max=200, help="How many tokens.")] = 12,
    days: Annotated[float, typer.Option("--days", min=0.001, max=60, help="How many virtual days.")] = 1.0,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same run, byte for byte.")] = 1,
    start: Annotated[str, typer.Option("--start", help="First UTC day.")] = DEFAULT_START,
    register: Annotated[bool, typer.Option("--register", help="Record the tokens in the registry of --home.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let tokens with the real firmware live through virtual days in a world; write what they logged and the truth."""
    start_s = _start_s(start)
    with told_plainly():
        place = world.crowd(count, world.load(world_name))
        labels = [person.shown for person in place.people if person.carries == "token"]
        require_empty(out)  # before the registry learns of tokens that would never live
        identities = _registered(ctx.obj, labels, seed, start_s) if register else identities_from_seed(labels, seed)[1]
        began = time.monotonic()
        result = _live(FleetRun(out, place, identities, seed, start_s), days)
    seconds = time.monotonic() - began
    if as_json:
        answer_json(_run_document(result, out, seconds, days))
        return
    answer(
        f"{count} tokens lived {days:g} days in {seconds:.1f} s ({days * DAY_S / seconds:,.0f} times as fast as life). "
        f"Everything is in {out}."
    )


def _live(fleet: FleetRun, days: float) -> RunResult:
    try:
        fleet.prepare()
        with _day_bar(days) as progress:
            return fleet.run(days, progress)
    except BaseException:
        fleet.abandon()
        raise


def _run_document(result: RunResult, out: Path, seconds: float, days: float) -> dict[str, object]:
    return {
        "out": str(out),
        "world": result.manifest.world,
        "tokens": len(result.manifest.tokens()),
        "start_s": result.manifest.start_s,
        "end_s": result.manifest.end_s,
        "wall_s": round(seconds, 2),
        "virtual_s_per_wall_s": round(days * DAY_S / seconds, 1),
        "wakes": result.wakes,
    }


def _registered(home: Home, labels: list[str], seed: int, now_s: int) -> list[Identity]:
    """Identities under the registry's master key; the rows are committed before the tokens live."""
    master_key = home.master_key()
    numbers = [identity.uid for identity in identities_from_seed(labels, seed)[1]]
    with open_registry(home) as registry, registry.write() as session:
        for label, uid in zip(labels, numbers, strict=True):
            tokens.create(session, label, uid, tokens.ROLE_PERSON, BOARD, now_s)
    return [Identity.derive(label, uid, master_key) for label, uid in zip(labels, numbers, strict=True)]


@contextmanager
def _day_bar(days: float) -> Iterator[Callable[[int], None]]:
    console = Console(stderr=True)
    columns = (TextColumn("Virtual time"), BarColumn(), TextColumn("{task.percentage:.0f}%"), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=days * DAY_S)
        first: list[int] = []

        def told(unix_s: int) -> None:
            first[:] = first or [unix_s]
            progress.update(task, completed=unix_s - first[0])

        yield told


@app.command()
def attach(
    count: Annotated[int, typer.Argument(help="How many blank tokens; leave out with --from.")] = 0,
    folder: Annotated[Path | None, typer.Option("--from", help="Folder of a fleet that `fleet run` made.")] = None,
    as_json: AsJson = False,
) -> None:
    """Put virtual tokens behind ports, as if plugged in by USB; runs until Ctrl-C."""
    if (folder is None) == (count < 1):
        raise typer.BadParameter("say how many blank tokens you want, or name a fleet with --from")
    with told_plainly():
        if folder is None:
            with tempfile.TemporaryDirectory(prefix="bztoken-fleet-") as scratch:
                _serve(Path(scratch), count, as_json)
        else:
            _serve(folder, 0, as_json)


def _serve(folder: Path, blank: int, as_json: bool) -> None:
    fleet = attaching.attach(folder, blank)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: fleet.stop())

    def ready(ports: list[Port]) -> None:
        if as_json:
            listed = [{"label": port.label, "port": port.path} for port in ports]
            answer_json({"folder": str(folder), "tokens": listed})
            return
        for port in ports:
            answer(f"{port.path}  {port.label}")
        answer(f"Ctrl-C stops them. `bztoken fleet press LABEL --from {folder}` holds a button.")

    try:
        fleet.run(ready)
    finally:
        fleet.close()


@app.command()
def press(
    token: Token,
    folder: Folder,
    hold_s: Annotated[float, typer.Option("--hold-s", min=0.05, max=60, help="For how many seconds.")] = 4.0,
) -> None:
    """Hold the button of an attached token."""
    with told_plainly():
        realtime.order(folder, do="press", token=token, hold_s=hold_s)
    answer(f"The button of {token} is held for {hold_s:g} s.")


@app.command()
def unplug(token: Token, folder: Folder) -> None:
    """Pull the cable of an attached token: bytes both ways are lost, the token lives on."""
    with told_plainly():
        realtime.order(folder, do="unplug", token=token)
    answer(f"The cable of {token} is out.")


@app.command()
def plug(token: Token, folder: Folder) -> None:
    """Put the cable of an attached token back in."""
    with told_plainly():
        realtime.order(folder, do="plug", token=token)
    answer(f"The cable of {token} is in.")


@app.command()
def stop(folder: Folder) -> None:
    """Power an attached fleet down."""
    with told_plainly():
        realtime.order(folder, do="stop")
    answer("The fleet is powered down.")


@app.command()
def worlds(as_json: AsJson = False) -> None:
    """List the worlds that come with the virtual board."""
    found = [(name, world.load(name)) for name in world.names()]
    if as_json:
        answer_json({"worlds": [{"name": name, "people": len(place.people)} for name, place in found]})
        return
    rows = [(name, len(place.people), sum(p.carries == "phone" for p in place.people)) for name, place in found]
    answer_table(("world", "people", "with a phone"), rows, "There are no worlds.")


@app.command()
def score(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder of the fleet.")],
    minutes: Annotated[int, typer.Option("--minutes", min=1, help="Close contact from how many minutes a day.")] = 15,
    as_json: AsJson = False,
) -> None:
    """Hold the registry's F1 against the truth of the world: found, missed, false."""
    from bztoken.cli.fleet_score import compare

    with told_plainly():
        found = compare(ctx.obj, folder, minutes)
    if as_json:
        print(json.dumps(found.document(), ensure_ascii=False, indent=2))
        return
    answer(found.sentence())
    for line in found.lines():
        answer(line)
