"""`bztoken provision`: give a blank token its keys and a label, or all that are plugged in, one batch long."""

from pathlib import Path
from typing import Annotated

import typer

from bztoken.cli import provision_batch
from bztoken.cli.output import answer, answer_json
from bztoken.cli.registry import AsJson
from bztoken.cli.settings import in_words, settings_document
from bztoken.printing.sheets import DEFAULT_SHEET, SHEETS
from bztoken.provision import Provisioned
from bztoken.provision import provision as provision_token
from bztoken.provision_batch import AT_ONCE
from bztoken.registry import batch_labels, labels
from bztoken.registry.provision_batches import FIRST_NUMBER, BatchOptions
from bztoken.registry.tokens import ROLE_PERSON, ROLE_SITE, ROLES
from bztoken.token_settings import Profile, Scheme, Wanted

WITH_BATCH = "With --batch: "

Port = Annotated[str | None, typer.Option("--port", help="Serial port of the blank token.")]
Label = Annotated[
    str | None, typer.Option("--label", help="What the registry calls it, for example the printed number.")
]
Batch = Annotated[
    str | None, typer.Option("--batch", help="Name of a batch: provision whatever is plugged in, until Ctrl-C.")
]
Role = Annotated[str | None, typer.Option("--role", help="person: worn (without it); site: fixed at a place.")]
Place = Annotated[str | None, typer.Option("--place", help="Of a site: what people call the place.")]
WantedProfile = Annotated[
    Profile | None, typer.Option("--profile", help="continuous or windowed; without it as the board's file says.")
]
WantedScheme = Annotated[Scheme | None, typer.Option("--scheme", help="What it broadcasts (else Bluezone).")]
Development = Annotated[
    bool, typer.Option("--development", help="Also a developer's board, whose keys its cable shows.")
]
Prefix = Annotated[
    str | None,
    typer.Option("--prefix", help=f"{WITH_BATCH}what labels begin with (else {batch_labels.DEFAULT_PREFIX})."),
]
First = Annotated[
    int | None,
    typer.Option(
        "--first",
        min=1,
        max=batch_labels.MAX_NUMBER,
        help=f"{WITH_BATCH}no number below this one (else {FIRST_NUMBER}).",
    ),
]
Count = Annotated[int | None, typer.Option("--count", min=1, help=f"{WITH_BATCH}end when it has so many tokens.")]
Among = Annotated[
    list[str] | None,
    typer.Option("--among", help=f"{WITH_BATCH}try these ports, a pattern in quotes, whatever their USB numbers."),
]
AtOnce = Annotated[
    int | None, typer.Option("--at-once", min=1, max=64, help=f"{WITH_BATCH}so many side by side ({AT_ONCE}).")
]
LabelsFile = Annotated[Path | None, typer.Option("--labels", help=f"{WITH_BATCH}write its label sheet here (PDF).")]
CsvFile = Annotated[Path | None, typer.Option("--csv", help=f"{WITH_BATCH}write its list here.")]
Sheet = Annotated[
    str | None, typer.Option("--sheet", help=f"With --labels: {', '.join(SHEETS)} (else {DEFAULT_SHEET}).")
]
Programme = Annotated[
    str | None, typer.Option("--programme", help="With --labels: a name that is printed small on each.")
]
LabelNow = Annotated[
    bool, typer.Option("--label-now", help=f"{WITH_BATCH}let tokens blink in turn although nobody sees the screen.")
]
QuietBell = Annotated[bool, typer.Option("--quiet-bell", help=f"{WITH_BATCH}no beep at failures and at the end.")]


def provision(
    ctx: typer.Context,
    port: Port = None,
    label: Label = None,
    batch: Batch = None,
    role: Role = None,
    place: Place = None,
    profile: WantedProfile = None,
    scheme: WantedScheme = None,
    development: Development = False,
    prefix: Prefix = None,
    first: First = None,
    count: Count = None,
    among: Among = None,
    at_once: AtOnce = None,
    labels_file: LabelsFile = None,
    csv_file: CsvFile = None,
    sheet: Sheet = None,
    programme: Programme = None,
    label_now: LabelNow = False,
    quiet_bell: QuietBell = False,
    as_json: AsJson = False,
) -> None:
    """Give blank tokens their own keys, labels and time.

    One token at --port, under --label. With --batch the tokens that are plugged in, under running numbers with a check
    digit. The same command goes on with a batch that was interrupted. With --json a batch gives one object a line, the
    last one for the batch.
    """
    if (port is None) == (batch is None):
        raise typer.BadParameter("say --port for one token, or --batch for whatever is plugged in")
    role, place = _role_and_place(role, place, profile, is_batch=batch is not None)
    if batch is None:
        of_a_batch = (prefix, first, count, among, at_once, labels_file, csv_file, sheet, programme)
        if any(option is not None for option in of_a_batch) or label_now or quiet_bell:
            raise typer.BadParameter("such an option goes with --batch: look at `bztoken provision --help`")
        assert port is not None
        given = (port, _required(label), role or ROLE_PERSON, Wanted(profile, scheme), place, development)
        _tell(provision_token(ctx.obj, *given), as_json)
        return
    if label is not None:
        raise typer.BadParameter("a batch makes its labels itself: --prefix says what they begin with")
    order = provision_batch.Order(
        name=batch,
        options=BatchOptions(prefix, first, role, place, profile, scheme),
        count=count,
        among=tuple(among or ()),
        at_once=at_once or AT_ONCE,
        files=provision_batch.Files(labels_file, csv_file, sheet or DEFAULT_SHEET, programme or ""),
        may_be_development=development,
        label_now=label_now,
        quiet_bell=quiet_bell,
        as_json=as_json,
    )
    provision_batch.run(ctx.obj, order)


def _required(label: str | None) -> str:
    if label is None:
        raise typer.BadParameter("a token needs a label: add --label", param_hint="--label")
    return label


def _role_and_place(
    role: str | None, place: str | None, profile: Profile | None, is_batch: bool
) -> tuple[str | None, str | None]:
    """As they are stored. A batch that is gone on with has them from the first time."""
    if role is not None and role not in ROLES:
        raise typer.BadParameter(f"a role is one of {', '.join(ROLES)}", param_hint="--role")
    if role == ROLE_SITE and profile == Profile.WINDOWED:
        raise typer.BadParameter("a site is always on: windowed is for tokens that people wear", param_hint="--profile")
    if role == ROLE_SITE and place is None and not is_batch:
        raise typer.BadParameter("a site needs the name of its place: add --place", param_hint="--place")
    if place is not None and role in (None, ROLE_PERSON) and not (is_batch and role is None):
        raise typer.BadParameter("only a site has a place: add --role site", param_hint="--place")
    return role, None if place is None else labels.required(place, "a site needs the name of its place")


def _tell(done: Provisioned, as_json: bool) -> None:
    if as_json:
        answer_json(document(done))
        return
    where = f" at {done.place}" if done.place else ""
    what = f"{done.role}{where}, board {done.board}, firmware {done.firmware}"
    answer(f"Provisioned {done.label} ({what}). Its clock is set.")
    if done.settings is not None:
        answer(f"Settings: {in_words(done.settings)}.")


def document(done: Provisioned) -> dict[str, object]:
    """As JSON has it."""
    found: dict[str, object] = {
        "label": done.label,
        "role": done.role,
        "board": done.board,
        "firmware": done.firmware,
    }
    if done.place:
        found["place"] = done.place
    if done.settings is not None:
        found["settings"] = settings_document(done.settings)
    return found
