"""`bztoken bundle`: what a courier's computer brings to the clinic."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

from bztoken.bundle_export import Exported, export_bundle, forget_exported
from bztoken.bundle_import import Imported, Inspected, import_bundle, inspect_bundle
from bztoken.bundle_import import Progress as Told
from bztoken.cli.bars import on_stderr
from bztoken.cli.output import answer, answer_json
from bztoken.cli.registry import AsJson
from bztoken.courier import own_pass
from bztoken.errors import RegistryError
from bztoken.home import Home
from bztoken.registry import couriers
from bztoken.registry.database import open_registry

app = typer.Typer(no_args_is_help=True, help="What a courier's computer brings to the clinic.")


@app.command()
def export(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="Bundle to write.")],
    everything: Annotated[bool, typer.Option("--all", help="Also what earlier bundles hold.")] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Then delete here what the bundle holds.")] = False,
    as_json: AsJson = False,
) -> None:
    """On the courier's computer: write a signed bundle.

    Of what was read since the last one.
    """
    home: Home = ctx.obj
    home.require_outside(out)
    with _bar() as progress:
        done = export_bundle(home, out, lambda n, total: progress("Writing", n, total), everything, forget)
    if as_json:
        answer_json(_exported(done))
        return
    answer(f"Wrote {out}: {done.counts.pages} pages of {done.tokens} tokens, {done.bytes_written / 1024:.1f} KiB.")
    if forget:
        answer(f"Deleted {done.forgotten} pages here.")


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="Bundle of a courier.")],
    as_json: AsJson = False,
) -> None:
    """At the clinic: take a bundle into the registry.

    It is verified before. May be interrupted and repeated at any time.
    """
    with _bar() as progress:
        done = import_bundle(ctx.obj, file, progress)
    if as_json:
        answer_json(_imported(done))
    else:
        for sentence in _sentences(done):
            answer(sentence)
    problem = done.problem()
    if problem is not None:
        raise RegistryError(problem)


@app.command()
def inspect(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="Bundle of a courier.")],
    as_json: AsJson = False,
) -> None:
    """Show what a bundle holds.

    Checks its signature where the courier is known.
    """
    home: Home = ctx.obj
    found = inspect_bundle(file, lambda number: _public_key(home, number))
    if as_json:
        answer_json(_inspected(found))
        return
    made_at = datetime.fromtimestamp(found.header.made_at_s, UTC).strftime("%Y-%m-%d %H:%M")
    signature = (
        "The signature is right." if found.signature else "The signature is unchecked: the courier is unknown here."
    )
    answer(
        f"{found.counts.pages} pages, {found.counts.syncs} syncs and {found.counts.readings} clock readings of "
        f"{found.tokens} tokens, written {made_at} UTC, {found.bytes_read / 1024:.1f} KiB. {signature}"
    )


@app.command()
def forget(ctx: typer.Context, as_json: AsJson = False) -> None:
    """On the courier's computer: delete what bundles hold.

    All pages but for the last one of each token.
    """
    count = forget_exported(ctx.obj)
    if as_json:
        answer_json({"forgotten": count})
        return
    answer(f"Deleted {count} pages here.")


def _public_key(home: Home, number: bytes) -> bytes | None:
    if home.is_courier:
        own = own_pass(home)
        signing_key = Ed25519PrivateKey.from_private_bytes(own.signing_key)
        return signing_key.public_key().public_bytes_raw() if own.number == number else None
    if not home.registry_path.exists():
        return None
    with open_registry(home) as registry, registry.read() as session:
        row = couriers.by_number(session, number)
        return None if row is None else row.public_key


def _sentences(done: Imported) -> Iterator[str]:
    known = f", {done.pages_known} known already" if done.pages_known else ""
    yield f"Imported {done.pages_new} new pages{known}, of {len(done.tokens)} tokens; {done.syncs_new} new syncs."
    if done.refused_tokens:
        yield f"{len(done.refused_tokens)} tokens are revoked or have a double: nothing of them was stored."
    if done.misdated:
        yield (
            f"{done.misdated} syncs and clock readings are dated later than now, or before 2026, and were left out: "
            "set the clock of the courier's computer, or of this one."
        )


def _exported(done: Exported) -> dict[str, object]:
    return {**_counts(done), "tokens": done.tokens, "bytes": done.bytes_written, "forgotten": done.forgotten}


def _imported(done: Imported) -> dict[str, object]:
    return {
        "pages_new": done.pages_new,
        "pages_known": done.pages_known,
        "pages_damaged": done.pages_damaged,
        "syncs_new": done.syncs_new,
        "tokens": len(done.tokens),
        "tokens_refused": len(done.refused_tokens),
        "tokens_with_a_double": len(done.clones),
        "rows_misdated": done.misdated,
    }


def _inspected(found: Inspected) -> dict[str, object]:
    return {
        "courier": found.header.courier_number.hex(),
        "made_at_s": found.header.made_at_s,
        **_counts(found),
        "tokens": found.tokens,
        "bytes": found.bytes_read,
        "signature": "right" if found.signature else "unchecked",
    }


def _counts(of: Exported | Inspected) -> dict[str, object]:
    return {"pages": of.counts.pages, "syncs": of.counts.syncs, "readings": of.counts.readings}


@contextmanager
def _bar() -> Iterator[Told]:
    with on_stderr(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()) as progress:
        task = progress.add_task("", total=None)

        def told(what: str, done: int, total: int | None) -> None:
            progress.update(task, description=what, completed=done, total=total)

        yield told
