"""`bztoken leaflet`: the wearer's page as a PDF, for one token, for a batch, or for any token of a board."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from bztoken import boards
from bztoken.cli.output import answer, answer_json
from bztoken.cli.registry import AsJson, reading_at_clinic
from bztoken.errors import PrintError
from bztoken.home import Home
from bztoken.out_files import require_writable, write_whole
from bztoken.printing.leaflet import WearersToken, leaflets
from bztoken.registry import labels, provision_batches, tokens
from bztoken.registry.provision_batches import BatchToken
from bztoken.token_settings import Profile


def leaflet(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="PDF to write.")],
    label: Annotated[str | None, typer.Option("--label", help="For the token with this label.")] = None,
    batch: Annotated[str | None, typer.Option("--batch", help="For each token of this batch, a page each.")] = None,
    board: Annotated[
        str | None, typer.Option("--board", help="For any token of this board (default: the board of the token).")
    ] = None,
    languages: Annotated[
        str, typer.Option("--lang", help="Languages, with commas between them; one alone is printed larger.")
    ] = "vi,en",
    contact: Annotated[
        str, typer.Option("--contact", help="Whom to call; without it there is a line to write on.")
    ] = "",
    profile: Annotated[
        Profile | None, typer.Option("--profile", help="Power profile (default: as it was provisioned).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the page that a wearer keeps.

    How to wear it, what its light says, what its button does, whom to call.
    """
    if label is not None and batch is not None:
        raise typer.BadParameter("give --label or --batch, not both")
    if label is None and batch is None and board is None:
        raise typer.BadParameter("give --label, --batch or --board: what its light can show depends on the board")
    home: Home = ctx.obj
    home.require_outside(out)
    require_writable(out)
    wearers = _wearers(home, label, batch, board, profile)
    chosen = [code.strip() for code in languages.split(",") if code.strip()]
    write_whole(out, leaflets(wearers, chosen, labels.spelled(contact)))
    if as_json:
        answer_json({"file": str(out), "pages": len(wearers), "languages": chosen})
        return
    answer(f"Wrote {out}: {len(wearers)} page{'s' if len(wearers) > 1 else ''} in {', '.join(chosen)}.")


def _wearers(
    home: Home, label: str | None, batch: str | None, board: str | None, profile: Profile | None
) -> list[WearersToken]:
    """Whose pages are wanted. Raises BztokenError."""
    if label is None and batch is None and board is not None:
        return [_wearers_token(None, board, profile, "")]
    with reading_at_clinic(home) as session:
        found = _of_label(session, label) if label is not None else _of_batch(session, batch or "")
    if any(token.role == tokens.ROLE_SITE for token in found):
        raise PrintError("this page is for people, and a site's token is named: it has nobody who wears it")
    return [_wearers_token(token.label, board or token.board, profile, token.profile) for token in found]


def _of_label(session: Session, label: str) -> Sequence[BatchToken]:
    token = tokens.by_known_label(session, label)
    if token.state == tokens.STATE_WIPED:
        raise PrintError("this token was wiped, its label is nobody's now: name the one that it has since")
    return [provision_batches.as_provisioned(session, token)]


def _of_batch(session: Session, name: str) -> Sequence[BatchToken]:
    found = provision_batches.tokens_of(session, provision_batches.by_known_name(session, name))
    if not found:
        raise PrintError("this batch has no token yet: provision one first")
    return found


def _wearers_token(label: str | None, board: str, profile: Profile | None, provisioned: str) -> WearersToken:
    """provisioned: the profile that the token was given; empty: what is usual for the board."""
    description = boards.load(board).description
    chosen = profile or provisioned or description.get("power", {}).get("profile", Profile.CONTINUOUS)
    return WearersToken(description, str(chosen), label)
