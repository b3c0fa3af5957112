"""`bztoken person export`, `withdraw`, `erase`, `due-erasure`: what a person may ask of us, with proof."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from bztoken.calendar_days import day_of
from bztoken.cli.output import answer, answer_json, answer_table, say
from bztoken.cli.person import Who
from bztoken.cli.purge import has_terminal
from bztoken.cli.registry import AsJson
from bztoken.errors import BztokenError, PersonError, RegistryError
from bztoken.home import Home
from bztoken.out_files import require_writable, write_whole
from bztoken.people import person_desk, person_export, person_rights, retention_rules
from bztoken.people.certificates import Certificate
from bztoken.people.person_rights import Plan
from bztoken.registry.database import Registry, open_registry
from bztoken.registry.persons import number_of
from bzwire.bluezone import DAY_S

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
CertificateFile = Annotated[
    Path | None,
    typer.Option("--certificate", metavar="FILE", help="Write a certificate (JSON), and beside it a page (FILE.txt)."),
]


def add_to(app: typer.Typer) -> None:
    """Make these commands of `bztoken person`."""
    app.command("export")(export)
    app.command("withdraw")(withdraw)
    app.command("erase")(erase)
    app.command("due-erasure")(due_erasure)


def export(
    ctx: typer.Context,
    who: Who,
    out: Annotated[Path, typer.Option("--out", help="Folder, or name of the files: one JSON and one PDF.")],
    force: Annotated[bool, typer.Option("--force", help="Replace files of these names.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write all that is held about a person.

    For them: one JSON and one page to read.

    It names nobody whom they met, and has no ID.
    """
    home: Home = ctx.obj
    home.require_clinic()
    home.require_outside(out / "folder" if out.is_dir() else out)
    with open_registry(home) as registry:
        made = person_export.export(registry, who, out, int(time.time()), replace=force)
    if as_json:
        answer_json({"person": made.number, "files": [str(path) for path in made.files], "encounters": made.encounters})
    else:
        answer(f"Wrote {made.files[0]} and {made.files[1]}: all about {made.number}. Hand them over to nobody else.")


def withdraw(
    ctx: typer.Context, who: Who, certificate: CertificateFile = None, yes: Yes = False, as_json: AsJson = False
) -> None:
    """End a person's consent, as they ask.

    What their devices heard and released is deleted, their token is read no more.

    Their name stays until they are erased, which the next purges do in time.
    """
    home: Home = ctx.obj
    with _ready(home, certificate) as registry:
        plan = _confirmed(registry, who, yes, "End the consent of {number}, and delete what was heard?")
        limit = retention_rules.rules().erasure_limit_days
        done = person_rights.withdraw(registry, who, int(time.time()), limit)
        _leave_no_trace(registry)
    _hand_out(done.certificate, certificate)
    if as_json:
        document = {"due": day_of(done.due_s).isoformat(), "rows": dict(done.rows)}
        answer_json({"person": plan.number, "withdrawn": True, **document, "certificate": done.certificate.document})
        return
    answer(
        f"{plan.number} withdrew: {sum(done.rows.values()):,} rows of what was heard are gone. Erasure is due by "
        f"{day_of(done.due_s)}; purging does it before, `bztoken person erase {plan.number}` at once."
    )
    _say_token(plan)


def erase(
    ctx: typer.Context, who: Who, certificate: CertificateFile = None, yes: Yes = False, as_json: AsJson = False
) -> None:
    """Delete all that names or describes a person.

    Nobody can undo it.

    Backups made before still hold them: delete those, or erase again after a restore.
    """
    home: Home = ctx.obj
    with _ready(home, certificate) as registry:
        plan = _confirmed(registry, who, yes, "Erase {number} and all about them? Nobody can undo it.")
        done = person_rights.erase(registry, who, int(time.time()))
        _leave_no_trace(registry)
    _hand_out(done.certificate, certificate)
    if as_json:
        rows = {"person": plan.number, "erased": True, "rows": dict(done.rows)}
        answer_json({**rows, "certificate": done.certificate.document})
        return
    answer(
        f"{plan.number} is erased: {sum(done.rows.values()):,} rows are gone, as entry {done.certificate.entry} of the "
        "audit says. Backups made before still hold them."
    )
    _say_token(plan)


def due_erasure(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List who withdrew, and by when to erase them."""
    home: Home = ctx.obj
    home.require_clinic()
    now_s, limit = int(time.time()), retention_rules.rules().erasure_limit_days
    with open_registry(home) as registry, registry.write() as session:
        found = person_rights.due_for_erasure(session, now_s)
        person_desk.note_looks(session, [person.id for person in found], now_s, "waiting to be erased")
        due = [
            (number_of(person.id), day_of(person_rights.withdrawn_at_s(session, person) + limit * DAY_S).isoformat())
            for person in found
        ]
    if as_json:
        answer_json({"persons": [{"person": number, "due": day} for number, day in due]})
    else:
        answer_table(("person", "to be erased by"), due, "Nobody has withdrawn and waits to be erased.")


def _ready(home: Home, certificate: Path | None) -> Registry:
    home.require_clinic()
    if certificate is not None:
        for path in (certificate, _page_of(certificate)):
            home.require_outside(path)
            if path.exists():
                raise PersonError(f"{path} exists already: nothing was changed, choose another name")
            require_writable(path)
    return open_registry(home)


def _confirmed(registry: Registry, who: str, yes: bool, question: str) -> Plan:
    if yes:
        with registry.read() as session:
            return person_rights.plan(session, who)
    with registry.write() as session:
        plan = person_rights.look(session, who, int(time.time()))
    say(f"{plan.number}: {plan.state}, {plan.tokens} tokens, {plan.phones} histories of phones, {plan.cases} cases.")
    if not has_terminal():
        raise PersonError("nobody can be asked here whether to go on: nothing was changed, add --yes")
    if not typer.confirm(question.format(number=plan.number), err=True):
        raise PersonError("nothing was changed")
    return plan


def _leave_no_trace(registry: Registry) -> None:
    """What was done stands, whatever comes of this."""
    try:
        registry.compact()
    except RegistryError as error:
        say(f"Remark: {error}.")


def _hand_out(made: Certificate, path: Path | None) -> None:
    if path is None:
        return
    try:
        write_whole(path, _text_of(made).encode())
        write_whole(_page_of(path), made.page.encode())
    except BztokenError as error:
        say(f"Remark: it is done, but {error}; this is the certificate:")
        say(made.page)


def _text_of(made: Certificate) -> str:
    return json.dumps(made.document, ensure_ascii=False, indent=2) + "\n"


def _page_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.txt")


def _say_token(plan: Plan) -> None:
    if plan.tokens:
        answer("Their token is read no more: run `bztoken token reissue` or `token wipe` when it comes back.")
