"""`bztoken settings`: what a station chooses for a token."""

from typing import Annotated

import typer

from bztoken.cli.output import answer, answer_json
from bztoken.cli.registry import AsJson
from bztoken.token_care import Told, change_settings
from bztoken.token_settings import (
    LONGEST_RETENTION_DAYS,
    SHORTEST_RETENTION_DAYS,
    Hear,
    Profile,
    Scheme,
    Settings,
    Wanted,
)


def settings(
    ctx: typer.Context,
    port: Annotated[str, typer.Option("--port", help="Serial port of the token.")],
    profile: Annotated[
        Profile | None, typer.Option("--profile", help="continuous: radio always on; windowed: sleeps in between.")
    ] = None,
    scheme: Annotated[Scheme | None, typer.Option("--scheme", help="What it broadcasts.")] = None,
    hear: Annotated[
        Hear | None, typer.Option("--hear", help="own: records its scheme only; both: the other too.")
    ] = None,
    retention: Annotated[
        int | None,
        typer.Option(
            "--retention",
            min=SHORTEST_RETENTION_DAYS,
            max=LONGEST_RETENTION_DAYS,
            help="Days for which it keeps its log; older days are deleted, synced or not.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show or change a token's settings.

    Those that are named are changed: all of them or none.
    """
    told = change_settings(ctx.obj, port, Wanted(profile, scheme, hear, retention))
    if as_json:
        answer_json(document(told))
        return
    answer(f"{told.label}: {in_words(told.settings)}.")


def document(told: Told) -> dict[str, object]:
    """As JSON has it."""
    return {"label": told.label, **settings_document(told.settings)}


def settings_document(found: Settings) -> dict[str, object]:
    """As JSON has it, without the label."""
    return {
        "profile": found.profile.value,
        "scheme": found.scheme.value,
        "hear": found.hear.value,
        "retention_days": found.retention_days,
        "notice": found.notice,
    }


def in_words(found: Settings) -> str:
    """In one line."""
    hears = "both schemes" if found.hear == Hear.BOTH else "its own scheme"
    notice = "on" if found.notice else "off"
    return (
        f"profile {found.profile}, broadcasts {found.scheme}, hears {hears}, keeps {found.retention_days} days, "
        f"exposure notice {notice}"
    )
