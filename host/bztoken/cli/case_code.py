"""`bztoken case authorise|confirm`: a doctor draws a code for the keys of a draft, a tracer gives it."""

import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from bztoken.cli.output import DEFAULT_ZONE, Zone, answer, answer_json, local_day_and_time, zone_named
from bztoken.cli.passwords import PasswordFile, password_of
from bztoken.cli.registry import AsJson
from bztoken.formats import key_digest
from bztoken.home import Home
from bztoken.registry import authorisations
from bztoken.registry.database import open_registry
from bztoken.tracing import case_record
from bztoken.tracing.case_record import Drawn


def authorise(
    ctx: typer.Context,
    doctor: Annotated[str, typer.Option("--as", help="Name of the doctor who draws the code.")],
    name: Annotated[str | None, typer.Argument(help="Name of the draft.")] = None,
    digest: Annotated[
        str | None, typer.Option("--digest", help="Instead: digest of keys that nobody recorded here yet.")
    ] = None,
    hours: Annotated[
        int, typer.Option("--hours", min=1, max=authorisations.MAX_HOURS, help="How long the code is valid.")
    ] = authorisations.VALID_HOURS,
    password_file: PasswordFile = None,
    zone: Zone = DEFAULT_ZONE,
    as_json: AsJson = False,
) -> None:
    """Draw a code for the keys of a draft.

    It is for exactly these keys, shown once, and serves once. A doctor does this, with their password, and
    never whoever recorded the draft.
    """
    if (name is None) == (digest is None):
        raise typer.BadParameter("give the name of a draft, or --digest")
    local = zone_named(zone)
    home: Home = ctx.obj
    home.require_clinic()
    with open_registry(home) as registry:
        password, now_s = password_of(doctor, password_file), int(time.time())
        if name is not None:
            drawn = case_record.authorise(registry, name, doctor, password, now_s, hours)
        else:
            drawn = case_record.authorise_digest(registry, digest or "", doctor, password, now_s, hours)
    if as_json:
        answer_json(_document(drawn))
        return
    answer(_what_for(drawn))
    answer(f"Code: {authorisations.shown(drawn.code)}")
    answer(f"It serves once, until {local_day_and_time(drawn.expires_at_s, local)} ({zone}). It is not shown again.")


def confirm(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the draft.")],
    code: Annotated[str, typer.Option("--code", help="The eight digits that the doctor gave.")],
    as_json: AsJson = False,
) -> None:
    """Give the doctor's code for a draft.

    From then on the case is matched.
    """
    home: Home = ctx.obj
    home.require_clinic()
    with open_registry(home) as registry:
        case = case_record.confirm(registry, name, code, int(time.time()))
    if as_json:
        answer_json({"case": case.name, "state": case.state})
    else:
        answer(f"Case {case.name} is active. `bztoken match` finds who was near.")


def _what_for(drawn: Drawn) -> str:
    said = key_digest.said(drawn.digest)
    if drawn.case is None:
        return f"For the keys with the digest {said}, which are not in this registry yet."
    kept = f"{drawn.ids} IDs" if drawn.ids else f"{drawn.keys} day keys"
    window = f"{drawn.case.first_day} to {drawn.case.last_day}"
    return f"For case {drawn.case.name}: {kept}, infectious window {window} (UTC days), digest {said}."


def _document(drawn: Drawn) -> dict[str, object]:
    return {
        "code": drawn.code,
        "expires_at_s": drawn.expires_at_s,
        "expires": datetime.fromtimestamp(drawn.expires_at_s, UTC).isoformat(),
        "digest": key_digest.said(drawn.digest),
        "case": None if drawn.case is None else drawn.case.name,
        "keys": drawn.keys,
        "ids": drawn.ids,
        "first_day": None if drawn.case is None else drawn.case.first_day,
        "last_day": None if drawn.case is None else drawn.case.last_day,
    }
