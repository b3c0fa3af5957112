"""`bztoken token issue|return|lost|found`: who has a token; each step is recorded with who did it, without a cable."""

import time
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from bztoken import token_life
from bztoken.cli.output import answer, answer_json
from bztoken.cli.registry import AsJson, changing_at_clinic
from bztoken.formats.issue_list import read_issues
from bztoken.home import Home
from bztoken.people import handing_out
from bztoken.registry import persons, sites, tokens
from bztoken.registry.issues import Holder
from bztoken.registry.models import Token

Label = Annotated[str, typer.Argument(help="Label of the token.")]


def issue(
    ctx: typer.Context,
    label: Annotated[str | None, typer.Argument(help="Label of the token.")] = None,
    person: Annotated[
        str | None, typer.Option("--person", help="Who gets it: number (P-0012-7), or a name that only one person has.")
    ] = None,
    site: Annotated[str | None, typer.Option("--site", help="Place where it stays, of `bztoken site list`.")] = None,
    listed: Annotated[
        Path | None, typer.Option("--from", help="Instead: a CSV file with the columns label and person (or site).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Record who gets a token.

    A person has agreed before (`bztoken person consent`). With --from, who gets which: all of the list, or nothing.
    """
    if listed is not None:
        if not (label is None and person is None and site is None):
            raise typer.BadParameter("a list says who gets which token: leave the rest out", param_hint="--from")
        _issue_list(ctx.obj, listed, as_json)
        return
    if label is None or (person is None) == (site is None):
        raise typer.BadParameter("give a label, and who gets it: --person NAME or --site NAME; or --from FILE")
    with changing_at_clinic(ctx.obj) as session:
        token = tokens.by_known_label(session, label)
        holder = _holder(session, person, site)
        token_life.issue(session, token, holder, int(time.time()))
    _tell(token, token_life.Step.ISSUED, f"{token.label} is issued to a {holder.kind}.", as_json)


def _issue_list(home: Home, path: Path, as_json: bool) -> None:
    home.require_clinic()
    lines = read_issues(path)
    with changing_at_clinic(home) as session:
        done = handing_out.hand_out(session, path, lines, int(time.time()))
    if as_json:
        answer_json(
            {
                "issued": done.issued,
                "issued_before": done.before,
                "without_holder": done.nobody,
                "registered": done.registered,
            }
        )
        return
    remarks = [f"{done.before} were issued so before"] if done.before else []
    remarks += [f"{done.registered} people were registered"] if done.registered else []
    remarks += [f"{done.nobody} lines name nobody"] if done.nobody else []
    answer(f"Issued {done.issued} tokens" + (f" ({', '.join(remarks)})." if remarks else "."))


def give_back(ctx: typer.Context, label: Label, as_json: AsJson = False) -> None:
    """Record that a token came back.

    It must be wiped before somebody else gets it.
    """
    with changing_at_clinic(ctx.obj) as session:
        token = tokens.by_known_label(session, label)
        is_revoked = token_life.give_back(session, token, int(time.time()))
    then = (
        "It stays revoked: wipe it with `bztoken token reissue`, or take that back with `bztoken token restore`."
        if is_revoked
        else "Sync it, then run `bztoken token reissue` before somebody else gets it."
    )
    _tell(token, token_life.Step.RETURNED, f"{token.label} is back. {then}", as_json)


def lost(ctx: typer.Context, label: Label, as_json: AsJson = False) -> None:
    """Record that a token is lost.

    Nothing more that it says is believed. The same as to revoke it for that reason.
    """
    with changing_at_clinic(ctx.obj) as session:
        token = tokens.by_known_label(session, label)
        token_life.lose(session, token, int(time.time()))
    sentence = (
        f"{token.label} is lost: from now on nothing is read from it. If it turns up: `bztoken token found` when its "
        "holder has it again, `bztoken token return` when it came back here."
    )
    _tell(token, token_life.Step.LOST, sentence, as_json)


def found(ctx: typer.Context, label: Label, as_json: AsJson = False) -> None:
    """Record that a lost token is with its holder again.

    It is believed as before.
    """
    with changing_at_clinic(ctx.obj) as session:
        token = tokens.by_known_label(session, label)
        token_life.find(session, token, int(time.time()))
        step = token_life.step_of(session, token)
    _tell(token, step, f"{token.label} is found and believed again.", as_json)


def _holder(session: Session, person: str | None, site: str | None) -> Holder:
    if person is not None:
        return Holder.of_person(persons.by_reference(session, person))
    return Holder.of_site(sites.by_reference(session, site or ""))


def _tell(token: Token, step: token_life.Step, sentence: str, as_json: bool) -> None:
    if as_json:
        answer_json({"label": token.label, "state": token.state, "step": step.value})
    else:
        answer(sentence)
