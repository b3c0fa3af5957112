"""`bztoken peer`: keys of devices that are no case, released at their button: sites, and contacts (F1) of a case."""

import time
from typing import Annotated

import typer

from bztoken.cli.output import (
    DEFAULT_ZONE,
    Zone,
    answer,
    answer_json,
    answer_table,
    local_day_and_time,
    say,
    zone_named,
)
from bztoken.cli.registry import AsJson
from bztoken.home import Home
from bztoken.registry import audit, peer_keys
from bztoken.registry.database import open_registry

app = typer.Typer(no_args_is_help=True, help="Keys of sites, and of contacts, released at their button.")


@app.command()
def release(
    ctx: typer.Context,
    port: Annotated[str, typer.Option("--port", help="Port of the token.")],
    case: Annotated[str | None, typer.Option("--case", help="A person's token: the case of which it is an F1.")] = None,
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=21, help="How many days back; else as far as there is a reason.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take keys of a site, or of a contact.

    Keys of a site's token show visits, those of a contact's token (F1) its own contacts (F2).
    A person's token gives keys only for a case of which it is an F1, and from the first day near it on.
    """
    # Imported here: the serial libraries take time to start.
    from bztoken.tracing import peer_release

    home: Home = ctx.obj
    home.require_clinic()
    done = peer_release.release(home, port, case, days, lambda: say("Waiting: the token's button is held to consent."))
    if as_json:
        answer_json(
            {
                "label": done.label,
                "purpose": done.purpose,
                "case": done.case,
                "keys": done.keys,
                "added": done.added,
                "longer": done.longer,
            }
        )
        return
    why = "visits" if done.case is None else f"contacts of an F1 of {done.case}"
    answer(
        f"{done.label} released {done.keys} day keys ({done.added} new, {done.longer} reach farther than before). "
        f"`bztoken match` finds {why}."
    )


@app.command("list")
def list_released(ctx: typer.Context, zone: Zone = DEFAULT_ZONE, as_json: AsJson = False) -> None:
    """List who released keys, for what, of which time; never the keys."""
    local = zone_named(zone)
    home: Home = ctx.obj
    home.require_clinic()
    with open_registry(home) as registry, registry.write() as session:
        found = peer_keys.all_released(session)
        audit.record(session, audit.Action.LOOK, audit.What.KEY, int(time.time()), None, "list of released keys")
    if as_json:
        answer_json(
            {
                "released": [
                    {
                        "label": one.label,
                        "purpose": one.purpose,
                        "case": one.case,
                        "keys": one.keys,
                        "first_s": one.first_s,
                        "last_s": one.last_s,
                        "released_at_s": one.released_at_s,
                    }
                    for one in found
                ]
            }
        )
        return
    rows = [
        (
            one.label,
            one.purpose,
            one.case or "",
            one.keys,
            f"{local_day_and_time(one.first_s, local)} - {local_day_and_time(one.last_s, local)}",
            local_day_and_time(one.released_at_s, local),
        )
        for one in found
    ]
    headings = ("token", "purpose", "case", "day keys", f"from - to ({zone})", f"released ({zone})")
    answer_table(headings, rows, "No site and no contact has released keys.")
