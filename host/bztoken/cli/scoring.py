"""`bztoken scoring`: which presets there are, what each says and from where, and which one this registry uses."""

import time
from typing import Annotated

import typer

from bztoken import scoring
from bztoken.cli.output import answer, answer_json, answer_table, say
from bztoken.cli.registry import AsJson, reading_at_clinic
from bztoken.errors import HomeError, RegistryError
from bztoken.home import Home
from bztoken.registry.database import open_registry
from bztoken.scoring import choice, preset_numbers
from bztoken.scoring.about import Described

app = typer.Typer(no_args_is_help=True, help="Rules of the scoring: list, show, choose one.")

Name = Annotated[str, typer.Argument(metavar="PRESET", help="Name of the preset, as `bztoken scoring list` shows it.")]


@app.command("list")
def list_presets(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the presets, and which one is in use."""
    in_use = _in_use(ctx.obj)
    found = [scoring.load(name) for name in scoring.names()]
    if as_json:
        answer_json([{**_summary(preset), "in_use": preset.name == in_use} for preset in found])
        return
    rows = [
        (preset.name, preset.version, preset.about.title, "yes" if preset.name == in_use else "") for preset in found
    ]
    answer_table(("preset", "version", "what it is", "in use"), rows, "There are no presets.")


def _in_use(home: Home) -> str | None:
    """None where there is no registry of a clinic, or one that does not open: the list is the same for all of them."""
    try:
        with reading_at_clinic(home) as session:
            return choice.chosen_name(session)
    except (HomeError, RegistryError) as error:
        say(f"Which of them is in use is not known: {error}")
        return None


def _summary(preset: Described) -> dict[str, object]:
    about = preset.about
    return {"name": about.name, "version": about.version, "kind": about.kind, "title": about.title}


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show a preset: its numbers, their sources, our choices."""
    preset = scoring.load(name)
    about, numbers = preset.about, preset_numbers.of(preset)
    if as_json:
        answer_json(
            {
                **_summary(preset),
                "max_age_days": about.max_age_days,
                "numbers": numbers,
                "sources": about.sources,
                "our_choices": about.our_choices,
            }
        )
        return
    answer(f"{about.title} (preset {about.name}, version {about.version}).")
    for what, value in numbers.items():
        answer(f"  {what}: {value}")
    answer("Sources:")
    for source in about.sources:
        answer(f"  {source}")
    answer("What no source says, and we chose:")
    for chosen in about.our_choices:
        answer(f"  {chosen}")


@app.command()
def choose(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Choose the preset that `bztoken match` uses.

    For an admin. What was found before stays as it is until the next `bztoken match`.
    """
    home: Home = ctx.obj
    home.require_clinic()
    with open_registry(home) as registry, registry.write() as session:
        changed = choice.choose(session, name, int(time.time()))
    if as_json:
        answer_json({"preset": name, "changed": changed})
    elif changed:
        answer(f"The next `bztoken match` scores with {name}, and scores all exposures anew.")
    else:
        answer(f"{name} is in use already: nothing was changed.")
