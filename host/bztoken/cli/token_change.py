"""`bztoken token locate|wipe|reissue|revoke|restore`: what is done to a token, each recorded with who did it."""

import sys
import time
from enum import StrEnum
from typing import Annotated

import typer

from bztoken import token_life
from bztoken.cli.output import answer, answer_json, say
from bztoken.cli.registry import AsJson
from bztoken.errors import BztokenError, LinkError
from bztoken.home import Home
from bztoken.registry import labels, tokens
from bztoken.registry.database import open_registry
from bztoken.registry.tokens import ROLE_SITE, ROLES
from bztoken.token_care import locate as locate_token
from bztoken.token_wipe import WipePlan, free_label, hand_out_again, plan_wipe
from bztoken.token_wipe import wipe as wipe_token
from bzwire.messages import MAX_LOCATE_S

Port = Annotated[str, typer.Option("--port", help="Serial port of the token.")]
Label = Annotated[str, typer.Argument(help="Label of the token.")]
Force = Annotated[bool, typer.Option("--force", help="Also when pages of its log are lost by that.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


class Why(StrEnum):
    """Why a token is not to be believed any more."""

    LOST = "lost"
    STOLEN = "stolen"
    BROKEN = "broken"
    OTHER = "other"


def locate(
    ctx: typer.Context,
    port: Port,
    seconds: Annotated[
        int, typer.Option("--seconds", min=0, max=MAX_LOCATE_S, help="For how long; 0: no longer.")
    ] = 30,
    as_json: AsJson = False,
) -> None:
    """Let a token blink, to find it among others.

    Its buzzer sounds, too, where it has one.
    """
    label = locate_token(ctx.obj, port, seconds)
    if as_json:
        answer_json({"label": label, "seconds": seconds})
    else:
        answer(f"{label} shows itself for {seconds} s." if seconds else f"{label} does not show itself any more.")


def wipe(ctx: typer.Context, port: Port, force: Force = False, yes: Yes = False, as_json: AsJson = False) -> None:
    """Let a token forget who it is, its log and all keys.

    What was synced stays in the registry.
    """
    plan = plan_wipe(ctx.obj, port)
    _agree(f"Wipe {plan.label}?", plan, port, force, yes)
    erased = _wipe(ctx.obj, port, plan)
    if as_json:
        document = {"label": plan.label, "state": tokens.STATE_WIPED, "pages_lost": plan.pages_lost, "erased": erased}
        answer_json(document)
    else:
        answer(f"Wiped {plan.label}: the token is blank, its label is free, what was synced of it stays here.")


def reissue(
    ctx: typer.Context,
    port: Port,
    label: Annotated[str, typer.Option("--label", help="Its new label; its old one may be used again.")],
    role: Annotated[str | None, typer.Option("--role", help="person or site; without it as before.")] = None,
    place: Annotated[
        str | None, typer.Option("--place", help="Of a site: where it goes; without it where it was.")
    ] = None,
    development: Annotated[
        bool, typer.Option("--development", help="Also a developer's board, whose keys its cable shows.")
    ] = False,
    force: Force = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Wipe a token and give it a new identity.

    It is provisioned anew, and nobody's until `bztoken token issue`; the log of the old one stays in the registry.
    """
    if role is not None and role not in ROLES:
        raise typer.BadParameter(f"a role is one of {', '.join(ROLES)}", param_hint="--role")
    plan = plan_wipe(ctx.obj, port)
    role = role or plan.role
    place = _place(role, place, plan)
    if plan.is_development and not development:
        raise LinkError(
            f"The board at {port} is a developer's: nothing was changed; flash it as a production build, or add "
            "--development if nobody will ever wear it."
        )
    label = free_label(ctx.obj, label, plan)
    _agree(f"Wipe {plan.label} and provision it as {label}?", plan, port, force, yes)
    _wipe(ctx.obj, port, plan)
    done = hand_out_again(ctx.obj, port, plan, label, role, place)
    if as_json:
        answer_json({"label": done.label, "role": done.role, "before": plan.label, "pages_lost": plan.pages_lost})
    else:
        answer(f"{done.label} ({done.role}) is provisioned; the token has forgotten {plan.label}. Its clock is set.")


def _place(role: str, place: str | None, plan: WipePlan) -> str | None:
    """Of a site, where it goes; a person's token has none."""
    if role != ROLE_SITE:
        if place is not None:
            raise typer.BadParameter("only a site has a place", param_hint="--place")
        return None
    if place is None and plan.place is None:
        raise typer.BadParameter("a site needs the name of its place: add --place", param_hint="--place")
    return plan.place if place is None else labels.required(place, "a site needs the name of its place: add --place")


def revoke(
    ctx: typer.Context,
    label: Label,
    reason: Annotated[
        Why, typer.Option("--reason", help="Why; of one that is lost or stolen nobody knows where it is.")
    ],
    as_json: AsJson = False,
) -> None:
    """Believe nothing more that a token says.

    Because it is lost, stolen or broken, for example. Needs no cable; what was synced stays.
    """
    home: Home = ctx.obj
    home.require_clinic()
    with open_registry(home) as registry, registry.write() as session:
        token = tokens.by_known_label(session, label)
        token_life.revoke(session, token, int(time.time()), reason.value)
        label = token.label
    if as_json:
        answer_json({"label": label, "state": tokens.STATE_REVOKED, "reason": reason.value})
    else:
        answer(f"Revoked {label}: from now on nothing is read from it. `bztoken token restore` takes it back.")


def restore(ctx: typer.Context, label: Label, as_json: AsJson = False) -> None:
    """Take back a revocation or an alarm.

    The token is believed again.
    """
    home: Home = ctx.obj
    home.require_clinic()
    with open_registry(home) as registry, registry.write() as session:
        token = tokens.by_known_label(session, label)
        taken_back = tokens.restore(session, token, int(time.time()))
        label, state = token.label, token.state
    if as_json:
        answer_json({"label": label, "state": state, "taken_back": taken_back})
    else:
        answer(f"{label} is believed again (taken back: {', '.join(taken_back)}).")


def _agree(question: str, plan: WipePlan, port: str, force: bool, yes: bool) -> None:
    """Raises LinkError while pages would be lost that nobody has, BztokenError when the person does not say yes."""
    pages = f"{plan.pages_lost} page" if plan.pages_lost == 1 else f"{plan.pages_lost} pages"
    if plan.pages_lost and not force:
        cure = f"run `bztoken sync --port {port}` first, or add --force to lose them."
        if not plan.is_trusted:
            cure = "add --force to lose them; nothing that it says is believed, so they could not be read anyway."
        raise LinkError(f"The token holds {pages} that may not be stored here: {cure}")
    if not yes:
        loss = f" {pages} that may not be stored here are lost." if plan.pages_lost else ""
        say(f"{question}{loss} This cannot be undone. [y/N]")
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise BztokenError("Nothing was changed: answer y, or add --yes.")


def _wipe(home: Home, port: str, plan: WipePlan) -> bool:
    """True when what was deleted is written over, too."""
    say("The token forgets and restarts: leave it plugged in.")
    erased = wipe_token(home, port, plan)
    if not erased:
        say("The token has not yet written over all that was deleted: it goes on by itself while it has power.")
    return erased
