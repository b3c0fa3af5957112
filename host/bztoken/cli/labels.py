"""`bztoken labels`: print labels again, or before there are tokens that get them."""

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from bztoken.cli.output import answer, answer_json
from bztoken.cli.registry import AsJson
from bztoken.errors import PrintError
from bztoken.home import Home
from bztoken.out_files import require_writable, write_whole
from bztoken.printing.label_sheet import label_sheet, sheet_named
from bztoken.printing.sheets import DEFAULT_SHEET, SHEETS
from bztoken.registry import batch_labels, provision_batches, tokens
from bztoken.registry.database import Registry, open_registry


def labels(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="The PDF to be written.")],
    batch: Annotated[str | None, typer.Option("--batch", help="Those of a batch.")] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="That of one token; may be given several times.")
    ] = None,
    prefix: Annotated[
        str | None, typer.Option("--prefix", help="Beforehand: those that the next tokens of this prefix will get.")
    ] = None,
    first: Annotated[
        int, typer.Option("--first", min=1, max=batch_labels.MAX_NUMBER, help="With --prefix: from this number on.")
    ] = provision_batches.FIRST_NUMBER,
    count: Annotated[int, typer.Option("--count", min=1, max=10_000, help="With --prefix: so many.")] = 24,
    sheet: Annotated[str, typer.Option("--sheet", help=f"In mm: {', '.join(SHEETS)}.")] = DEFAULT_SHEET,
    skip: Annotated[int, typer.Option("--skip", min=0, help="Places of the first sheet that are used up.")] = 0,
    programme: Annotated[str, typer.Option("--programme", help="A name that is printed small on each.")] = "",
    as_json: AsJson = False,
) -> None:
    """Write a label sheet to print.

    Of a batch, of single tokens, or of tokens to come: a QR code and a large number each.
    """
    if sum((batch is not None, bool(label), prefix is not None)) != 1:
        raise typer.BadParameter("say one of --batch, --label and --prefix")
    chosen = sheet_named(sheet)
    home: Home = ctx.obj
    home.require_outside(out)
    require_writable(out)
    home.require_clinic()
    with open_registry(home) as registry:
        found = _labels(registry, batch, label or [], prefix or "", first, count)
    write_whole(out, label_sheet(found, chosen, skip, programme))
    if as_json:
        answer_json({"labels": found, "out": str(out)})
    else:
        answer(
            f"{len(found)} label{'' if len(found) == 1 else 's'} in {out}: print it at 100 %, not fitted to the page."
        )


def _labels(registry: Registry, batch: str | None, named: list[str], prefix: str, first: int, count: int) -> list[str]:
    """Raises RegistryError for a batch or a token that is not there, PrintError when there is nothing to print."""
    with registry.read() as session:
        if named:
            return [tokens.by_known_label(session, label).label for label in named]
        if batch is not None:
            found = [
                token.label
                for token in provision_batches.tokens_of(session, provision_batches.by_known_name(session, batch))
            ]
        else:
            numbers = provision_batches.free_numbers(session, batch_labels.required_prefix(prefix), first)
            found = [batch_labels.label_of(prefix, number) for number in islice(numbers, count)]
    if not found:
        raise PrintError("no token has such a label: there is nothing to print")
    return found
