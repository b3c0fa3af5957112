"""`bztoken fleet`: virtual tokens, in virtual time (`run`) or behind ports like real ones (`attach`)."""

import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from bztoken import boards
from bztoken.cli.output import answer, answer_json, answer_table
from bztoken.cli.registry import AsJson
from bztoken.desk import board_files, flash_image
from bztoken.desk.application_build import Arch
from bztoken.desk.board_files import Build
from bztoken.errors import BztokenError
from bztoken.home import Home
from bztoken.registry import clock_points, logs, tokens
from bztoken.registry.clock_points import ClockReading
from bztoken.registry.database import open_registry
from bztoken.token_settings import Profile, Scheme
from bzvirtual import application, realtime, world
from bzvirtual import attach as attaching
from bzvirtual.attach import Bare
from bzvirtual.bare_board import MIB
from bzvirtual.desk import Identity, identities_from_seed
from bzvirtual.errors import VirtualBoardError
from bzvirtual.fleet import FleetRun, RunResult, require_empty
from bzvirtual.port_links import FOLDER as PORT_LINKS
from bzvirtual.realtime import Port, RealTimeFleet
from bzvirtual.token_folder import FLASH_BYTES

DAY_S = 86400
# A Monday: without --start every run has the same days, so that its files can be compared.
DEFAULT_START = "2026-01-05"
BOARD = "virtual"
FLASHES_MIB = (1, 2, 4, 8, 16)


class BareChip(StrEnum):
    """What bare boards can be."""

    ESP32 = "esp32"
    ESP32C3 = "esp32c3"
    ESP32C6 = "esp32c6"
    ESP32S3 = "esp32s3"


app = typer.Typer(no_args_is_help=True, help="Virtual tokens: run days of a world, attach to ports.")


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
    count: Annotated[
        int | None, typer.Option("--tokens", min=1, max=200, help="How many tokens; without it as the world says.")
    ] = None,
    days: Annotated[float, typer.Option("--days", min=0.001, max=60, help="How many virtual days.")] = 1.0,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same run, byte for byte.")] = 1,
    start: Annotated[str, typer.Option("--start", help="First UTC day.")] = DEFAULT_START,
    profile: Annotated[
        Profile | None, typer.Option("--profile", help="For every token, whatever the world says.")
    ] = None,
    scheme: Annotated[Scheme | None, typer.Option("--scheme", help="For every token, whatever the world says.")] = None,
    register: Annotated[bool, typer.Option("--register", help="Record the tokens in the registry of --home.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let virtual tokens live through days in a world.

    With the real firmware; writes what they logged and the truth.
    """
    start_s = _start_s(start)
    with told_plainly():
        place = world.crowd(count, world.load(world_name)).with_settings(profile or "", scheme or "")
        carriers = place.token_carriers()
        require_empty(out)  # before the registry learns of tokens that would never live
        if register:
            identities = _registered(ctx.obj, carriers, seed, start_s)
        else:
            identities = identities_from_seed([person.shown for person in carriers], seed)[1]
        began = time.monotonic()
        result = _live(FleetRun(out, place, identities, seed, start_s), days)
    seconds = time.monotonic() - began
    if as_json:
        answer_json(_run_document(result, out, seconds, days))
        return
    speed = f"{days * DAY_S / seconds:,.0f} times as fast as life"
    answer(f"{len(carriers)} tokens lived {days:g} days in {seconds:.1f} s ({speed}). Everything is in {out}.")


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


def _registered(home: Home, carriers: list[world.Person], seed: int, now_s: int) -> list[Identity]:
    """Identities under the registry's master key; the rows are committed before the tokens live."""
    master_key = home.master_key()
    labels = [person.shown for person in carriers]
    numbers = [identity.uid for identity in identities_from_seed(labels, seed)[1]]
    with open_registry(home) as registry, registry.write() as session:
        for person, uid in zip(carriers, numbers, strict=True):
            token = tokens.create(session, person.shown, uid, person.options.role, BOARD, now_s)
            handed_out = _clock_at_hand_out(now_s, person.options.offset_s)
            clock_points.record(session, logs.log_of_token(session, token), handed_out)
    return [Identity.derive(label, uid, master_key) for label, uid in zip(labels, numbers, strict=True)]


def _clock_at_hand_out(now_s: int, offset_s: float) -> ClockReading:
    """As a station would have recorded it: a world may hand a token out with a wrong clock."""
    return ClockReading(now_s * 1000, 1, round((now_s + offset_s) * 1000), 1, 0, 1, was_set=False)


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
    baud: Annotated[
        int | None,
        typer.Option("--baud", min=1200, max=4_000_000, help="Baud rate of the ports; without it as fast as USB."),
    ] = None,
    bare: Annotated[
        int, typer.Option("--bare", min=0, help="Instead: boards with nothing in their flash, for `bztoken flash`.")
    ] = 0,
    chip: Annotated[BareChip, typer.Option("--chip", help="Of the bare boards.")] = BareChip.ESP32C3,
    flash_mib: Annotated[int, typer.Option("--flash-mib", help="Flash of the bare boards.")] = 4,
    build: Annotated[
        Build | None,
        typer.Option("--build", help="Blank tokens that run from their own flash; development: with a prompt."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put virtual tokens behind ports, until Ctrl-C.

    As if plugged in by USB.
    """
    wanted = [folder is not None, count > 0, bare > 0].count(True)
    if wanted > 1:
        raise typer.BadParameter("a number of blank tokens, --from and --bare exclude each other: give one of them")
    if wanted == 0:
        raise typer.BadParameter("say how many blank tokens you want, or name a fleet with --from, or give --bare")
    if flash_mib not in FLASHES_MIB:
        raise typer.BadParameter(f"a flash has {', '.join(map(str, FLASHES_MIB))} MiB", param_hint="--flash-mib")
    if build is not None and not count:
        raise typer.BadParameter("only blank tokens are flashed: say how many", param_hint="--build")
    without_flash = Bare(bare, chip.value, flash_mib * MIB) if bare else None
    with told_plainly():
        flash = None if build is None else _flash(build)
        if folder is None:
            with tempfile.TemporaryDirectory(prefix="bztoken-fleet-") as scratch:
                _serve(attaching.attach(Path(scratch), count, baud, without_flash, flash), Path(scratch), as_json)
        else:
            _serve(attaching.attach(folder, 0, baud), folder, as_json)


def _flash(build: Build) -> bytes:
    """What a virtual board is flashed with."""
    board_file = boards.device_file(boards.load(BOARD))
    files = board_files.files(build, Arch.X64, application.compile_file, board_file)
    return flash_image.build(files, FLASH_BYTES)


def _serve(fleet: RealTimeFleet, folder: Path, as_json: bool) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: fleet.stop())

    def ready(ports: list[Port]) -> None:
        if as_json:
            listed = [{"label": port.label, "port": port.path} for port in ports]
            answer_json({"folder": str(folder), "tokens": listed})
            return
        for port in ports:
            answer(f"{port.path}  {port.label}")
        answer(f"All of them, for --among or BZTOKEN_PORTS: '{folder}/{PORT_LINKS}/*'")
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
    """Pull the cable of an attached token.

    Bytes both ways are lost, the token lives on.
    """
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
    rows = [(name, *_counts(place)) for name, place in found]
    answer_table(("world", "tokens", "phones", "beacons"), rows, "There are no worlds.")


def _counts(place: world.World) -> tuple[int, int, int]:
    """Tokens, phones of both makes, beacons."""
    carried = [person.carries for person in place.people]
    return carried.count("token"), carried.count("phone") + carried.count("iphone"), carried.count("beacon")


@app.command()
def score(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder of the fleet.")],
    minutes: Annotated[int, typer.Option("--minutes", min=1, help="Close contact from how many minutes a day.")] = 15,
    as_json: AsJson = False,
) -> None:
    """Hold logs against the truth of the world.

    Also the registry's F1; draws score.svg into the folder.
    """
    from bztoken.cli import fleet_score

    with told_plainly():
        compared = fleet_score.compare_if_any(ctx.obj, folder, minutes)
        scored = fleet_score.score_logs(ctx.obj, folder)
    chart = fleet_score.draw_chart(folder, scored)
    if as_json:
        known = {} if compared is None else compared.document()
        answer_json({**known, "logs": scored.document(), "chart": str(chart)})
        return
    for line in () if compared is None else (compared.sentence(), *compared.lines()):
        answer(line)
    answer_table(fleet_score.HEADINGS, fleet_score.rows(scored), "Nobody met anybody for two minutes or longer.")
    for line in (*fleet_score.remarks(scored), f"Chart: {chart}"):
        answer(line)
