"""`bztoken boards`: which boards there are, what each file says and from where, what is wrong with it, its image."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bztoken import boards
from bztoken.boards import Board, image_pin, images, records, rules
from bztoken.cli.output import answer, answer_json, answer_table, say
from bztoken.cli.registry import AsJson
from bztoken.errors import BoardError

app = typer.Typer(no_args_is_help=True, help="Boards: list, show, check their files, pin an image.")

Name = Annotated[str, typer.Argument(metavar="BOARD", help="Folder name of the board.")]
MIB = 1024 * 1024
EXIT_PROBLEMS = 1
NO_SOURCE = "no source"
IMAGE_FACTS = ("name", "release", "file", "url")
# Shown in another way than key by key, or not at all.
UNSHOWN = frozenset({"name", "sources", "currents", "times", "usb", "flash_map", "taken_pins", "image"})


@app.command("list")
def list_boards(as_json: AsJson = False) -> None:
    """List the boards whose files there are."""
    found = {name: _loaded(name) for name in boards.names()}
    if as_json:
        answer_json([_summary(board) if isinstance(board, Board) else board for board in found.values()])
        return
    headings = ("board", "chip", "flash", "light", "button", "battery", "image", "digest", "runs")
    rows = [_row(board) for board in found.values() if isinstance(board, Board)]
    answer_table(headings, rows, f"There is no board in {boards.folder()} whose file is right.")
    for board in found.values():
        if not isinstance(board, Board):
            say(f"{board['board']} is left out: {board['problem']}")


def _loaded(name: str) -> Board | dict[str, str]:
    """One wrong file must not hide the others."""
    try:
        return boards.load(name)
    except BoardError as error:
        return {"board": name, "problem": str(error)}


def _row(board: Board) -> tuple[object, ...]:
    told = _summary(board)
    digest = "-" if told["image"] is None else "known" if told["digest_known"] else "unknown"
    return (
        board.name,
        board.chip.name,
        "unknown" if board.flash_bytes is None else f"{board.flash_bytes / MIB:g} MiB",
        ", ".join(told["lights"]) or "none",
        "yes" if told["button"] else "none",
        "measured" if told["battery"] else "not measured",
        told["image"] or "none",
        digest,
        "-" if told["runs"] is None else told["runs"] or "not yet run",
    )


def _summary(board: Board) -> dict[str, Any]:
    light = board.description.get("light", {})
    runs = records.runs(board.folder)
    return {
        "board": board.name,
        "chip": board.chip.name,
        "arch": board.arch.value,
        "flash_bytes": board.flash_bytes,
        "lights": [name for name in rules.LIGHTS if name in light],
        "button": "button" in board.description,
        "battery": "battery" in board.description,
        "micropython": None if board.image is None else board.image.release,
        "image": None if board.image is None else board.image.file,
        "digest_known": board.image is not None and board.image.sha256 is not None,
        "runs": None if runs is None else len(runs),
    }


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show what a board's file says, and what nobody knows.

    Everything, with its sources.
    """
    board = boards.load(name)
    unknown = rules.unknown_facts(board.description)
    runs = records.runs(board.folder)
    if as_json:
        answer_json({**_summary(board), "facts": board.description, "unknown": unknown, "run_records": runs})
        return
    for fact, source in _facts(board.description):
        answer(fact)
        answer(f"    {source}")
    if unknown:
        answer(f"Unknown: {', '.join(unknown)}.")
    if runs is None:
        answer("It has no record sheet.")
    else:
        answer(f"Runs on record: {len(runs)}." if runs else "Not yet run: its record sheet has no row.")


def _facts(description: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(what the file says, where it is from), each source told once for all that it covers."""
    sources = description["sources"]
    for name in [name for name in description if name not in UNSHOWN]:
        yield f"{name}: {_shown(description[name])}", sources.get(name) or NO_SOURCE
    flash_map = description["flash_map"]
    parts = [
        f"{name} {part['offset']} + {part.get('size', 'the rest')}"
        for name, part in flash_map.items()
        if name != "source"
    ]
    yield f"flash_map: {', '.join(parts)}", flash_map["source"]
    if "taken_pins" in description:
        yield f"taken_pins: {description['taken_pins']['pins']}", description["taken_pins"]["source"]
    for port in description.get("usb", []):
        yield f"usb: {port['vid']}:{port['pid']}, {port['what']}", port["source"]
    image = description["image"]
    yield f"image: {_shown({name: image[name] for name in IMAGE_FACTS})}", sources["image"]
    yield f"image.sha256: {_shown(image['sha256'])}", image["sha256_source"] or NO_SOURCE
    for name, figure in rules.figures_of(description).items():
        yield f"{name}: {_shown(figure['value'])}", figure["source"] or NO_SOURCE


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(inner)}" for name, inner in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "unknown" if value is None else str(value)


@app.command()
def check(
    name: Annotated[
        str | None, typer.Argument(metavar="BOARD", help="Folder name of the board (default: all).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check board files and the papers beside them.

    Shape, sources, impossible values; notes and record sheet. Exit code 1 when something is wrong, one line each.
    """
    folder = boards.folder()
    found = {board: boards.problems(board) for board in (boards.names() if name is None else [name])}
    if name is None and not found:
        raise BoardError(f"There is no board in {folder}: each has a folder of its own with a {boards.FILE} in it.")
    wrong = sum(map(len, found.values()))
    if as_json:
        answer_json({"boards": found, "problems": wrong})
    elif wrong:
        for board, problems in found.items():
            for problem in problems:
                answer(f"{board}: {problem}")
    else:
        answer(f"Nothing is wrong with {', '.join(found)}.")
    if wrong:
        raise typer.Exit(EXIT_PROBLEMS)


@app.command()
def pin(
    name: Name,
    image: Annotated[Path, typer.Option("--image", help="The image file as it was fetched.")],
    as_json: AsJson = False,
) -> None:
    """Check a MicroPython image and record its digest.

    In the board's file; a copy is kept for `bztoken flash`.
    """
    board = boards.load(name)
    fresh = image_pin.pin(board, image, datetime.now(UTC).date())
    kept, digest = images.find(board), images.sha256_of(image)
    if as_json:
        answer_json({"board": name, "image": image.name, "sha256": digest, "recorded": fresh, "kept": str(kept)})
    elif fresh:
        answer(f"Recorded SHA-256 {digest} of {image.name} in {board.path}, and keep a copy in {kept}.")
    else:
        answer(f"{image.name} is the image on record, SHA-256 {digest}; a copy is kept in {kept}.")
