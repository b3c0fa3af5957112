"""`bztoken site`: places with a token at the door: what kind each is, where, and which unit answers for it."""

import time
from typing import Annotated

import typer

from bztoken.cli.output import answer, answer_json, answer_table
from bztoken.cli.registry import AsJson, changing_at_clinic, reading_at_clinic
from bztoken.registry import communes, sites
from bztoken.registry.models import Site
from bztoken.registry.sites import KIND_NAMES, Kind

NOTHING = "-"

app = typer.Typer(no_args_is_help=True, help="Places with a token at the door.")

CommuneOption = Annotated[str | None, typer.Option("--commune", help="Commune where it lies.")]
AgencyOption = Annotated[str | None, typer.Option("--agency", help="Unit that answers for it.")]


@app.command()
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Option("--name", help="Name of the place, as people call it.")],
    kind: Annotated[Kind, typer.Option("--kind", help="What kind of place it is.")],
    commune: CommuneOption = None,
    agency: AgencyOption = None,
    as_json: AsJson = False,
) -> None:
    """Register a place.

    Its token is given out with `bztoken token issue LABEL --site NAME`.
    """
    with changing_at_clinic(ctx.obj) as session:
        where = None if commune is None else communes.by_known_name(session, commune)
        site = sites.add(session, name, kind, where, agency, int(time.time()))
    if as_json:
        answer_json({"site": site.id, "name": site.name, "kind": site.kind})
    else:
        answer(f"Registered {site.name} ({KIND_NAMES[kind][1]}).")


@app.command()
def change(
    ctx: typer.Context,
    which: Annotated[str, typer.Argument(metavar="NAME", help="Name of the place, with accents or without.")],
    name: Annotated[str | None, typer.Option("--name", help="Its new name.")] = None,
    kind: Annotated[Kind | None, typer.Option("--kind", help="What kind of place it is.")] = None,
    commune: CommuneOption = None,
    agency: AgencyOption = None,
    as_json: AsJson = False,
) -> None:
    """Put right what is known of a place.

    What is not named stays as it is.
    """
    if (name, kind, commune, agency) == (None, None, None, None):
        raise typer.BadParameter("say what is to be changed, for example --kind")
    with changing_at_clinic(ctx.obj) as session:
        site = sites.by_reference(session, which)
        where = None if commune is None else communes.by_known_name(session, commune)
        changed = sites.change(session, site, int(time.time()), name, kind, where, agency)
    if as_json:
        answer_json({"site": site.id, "name": site.name, "changed": changed})
    else:
        answer(f"{site.name}: changed {', '.join(changed)}." if changed else f"{site.name} was so already.")


@app.command("list")
def list_sites(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the places."""
    with reading_at_clinic(ctx.obj) as session:
        names = {commune.id: commune.name for commune in communes.all_communes(session)}
        found = [(site, names.get(site.commune_id or 0)) for site in sites.all_sites(session)]
    if as_json:
        answer_json({"sites": [_document(site, commune) for site, commune in found]})
        return
    rows = [
        (site.name, KIND_NAMES[Kind(site.kind)][1], commune or NOTHING, site.agency or NOTHING)
        for site, commune in found
    ]
    answer_table(("name", "kind", "commune", "agency"), rows, "No place is registered.")


def _document(site: Site, commune: str | None) -> dict[str, object]:
    return {"site": site.id, "name": site.name, "kind": site.kind, "commune": commune, "agency": site.agency}
