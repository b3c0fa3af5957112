"""`bztoken case add|inspect`: record an infected person (F0) from a file or, with consent, from their token."""

import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from bztoken.calendar_days import day_typed
from bztoken.cli.output import answer, answer_json, say
from bztoken.cli.registry import AsJson
from bztoken.formats import key_digest
from bztoken.formats.export_signature import load_public_key
from bztoken.home import Home
from bztoken.people.retention_rules import rules
from bztoken.registry import cases
from bztoken.registry.database import open_registry
from bztoken.tracing import case_keys, case_record, infectious_window
from bztoken.tracing.case_keys import Gathered
from bztoken.tracing.case_record import Recorded, Report
from bztoken.tracing.infectious_window import Window

CaseList = Annotated[Path | None, typer.Option("--list", help="Bluezone case list (InfoF, JSON) with the keys.")]
Export = Annotated[Path | None, typer.Option("--export", help="GAEN diagnosis-key export (zip) with the keys.")]
PublicKey = Annotated[Path | None, typer.Option("--public-key", help="With --export: PEM of whoever must have signed.")]
Unverified = Annotated[bool, typer.Option("--unverified", help="With --export: take it without a check of who signed.")]
History = Annotated[
    Path | None, typer.Option("--history", help="Contact history of the patient's phone; its own IDs are the keys.")
]
Onset = Annotated[str | None, typer.Option("--onset", help="Day of the first symptoms, for example 2026-11-24.")]
Test = Annotated[str | None, typer.Option("--test", help="Day on which the sample was taken.")]


@dataclass(frozen=True)
class _Source:
    """Where the keys come from: exactly one."""

    case_list: Path | None
    export: Path | None
    history: Path | None
    port: str | None
    public_key: Path | None
    is_unverified: bool

    def require_one(self) -> None:
        """Raises a usage error."""
        given = [one for one in (self.case_list, self.export, self.history, self.port) if one is not None]
        if len(given) != 1:
            raise typer.BadParameter("give exactly one of --list, --export, --history and --port")
        if self.export is None and (self.public_key is not None or self.is_unverified):
            raise typer.BadParameter("only an export has a signature: give --export, too, or leave it out")

    def gather(self, home: Home, found: Window) -> tuple[Gathered, int | None]:
        """The keys within the window, and the token that they came from."""
        now_s = int(time.time())
        if self.case_list is not None:
            return case_keys.of_list(self.case_list, found, now_s), None
        if self.history is not None:
            return case_keys.of_history(self.history, found, now_s), None
        if self.export is not None:
            key = None if self.public_key is None else load_public_key(self.public_key)
            return case_keys.of_export(self.export, key, self.is_unverified, found, now_s), None
        return _release(home, str(self.port), found)


def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Option("--name", help="Name of the case, for example F0-12.")],
    case_list: CaseList = None,
    export: Export = None,
    history: History = None,
    port: Annotated[str | None, typer.Option("--port", help="Port of the wearer's token; asks for consent.")] = None,
    onset: Onset = None,
    test: Test = None,
    report_type: Annotated[
        str, typer.Option("--report-type", help=f"Why it is a case: {', '.join(cases.REPORT_TYPES)}.")
    ] = "confirmed_test",
    person: Annotated[str | None, typer.Option("--person", help="Who it is: number or name of a person.")] = None,
    code: Annotated[str | None, typer.Option("--code", help="Code that a doctor drew for these keys before.")] = None,
    public_key: PublicKey = None,
    unverified: Unverified = False,
    as_json: AsJson = False,
) -> None:
    """Record a case, as a draft.

    It is matched once a doctor's code confirms it. From the wearer's token (--port), a Bluezone case list, a
    GAEN export or a phone's history; only keys of the infectious window are
    taken.
    """
    source = _Source(case_list, export, history, port, public_key, unverified)
    source.require_one()
    report = Report(name, _day(onset, "--onset"), _day(test, "--test"), report_type, person)
    if code is not None and port is not None:
        raise typer.BadParameter("nobody can have drawn a code for keys that are still in the token: leave --code out")
    home: Home = ctx.obj
    home.require_clinic()
    with open_registry(home) as registry:
        found = case_record.prepare(registry, report, int(time.time()))
        gathered, token_id = source.gather(home, found)
        recorded = case_record.record(registry, report, gathered, int(time.time()), token_id, history, code)
    _tell_recorded(recorded, as_json)


def inspect(
    ctx: typer.Context,
    case_list: CaseList = None,
    export: Export = None,
    history: History = None,
    onset: Onset = None,
    test: Test = None,
    public_key: PublicKey = None,
    unverified: Unverified = False,
    as_json: AsJson = False,
) -> None:
    """Say what `case add` would record.

    From a file, with the digest of its keys, for which a doctor can draw a code beforehand. Needs no registry
    and records nothing.
    """
    source = _Source(case_list, export, history, None, public_key, unverified)
    source.require_one()
    found = infectious_window.window(_day(onset, "--onset"), _day(test, "--test"), int(time.time()))
    gathered, _ = source.gather(ctx.obj, found)
    kept = Recorded("", "", found, len(gathered.keys), len(gathered.ids), gathered.left_out, gathered.digest)
    if as_json:
        answer_json(_document(kept))
    else:
        answer(f"{_counts(kept)} Digest: {key_digest.said(kept.digest)}")


def _day(text: str | None, option: str) -> date | None:
    day = None if text is None else day_typed(text)
    if text is not None and day is None:
        raise typer.BadParameter("a day is written as 2026-11-24", param_hint=option)
    return day


def _release(home: Home, port: str, found: Window) -> tuple[Gathered, int]:
    # Imported here: a case list needs neither the serial libraries nor their start-up time.
    from bztoken.tracing.case_release import days_of, release_of_person

    days = days_of(found, int(time.time()))
    released = release_of_person(
        home, port, days, lambda: say("Waiting: the wearer holds the token's button to consent.")
    )
    return case_keys.of_token(released.keys, found, int(time.time())), released.token_id


def _tell_recorded(recorded: Recorded, as_json: bool) -> None:
    if as_json:
        answer_json({"case": recorded.name, "state": recorded.state, **_document(recorded)})
        return
    if recorded.state == cases.STATE_ACTIVE:
        answer(f"Recorded case {recorded.name}. {_counts(recorded)} `bztoken match` finds who was near.")
        return
    answer(f"Recorded case {recorded.name} as a draft. {_counts(recorded)}")
    answer(f"Digest of the keys: {key_digest.said(recorded.digest)}")
    answer(
        f"It is matched once a doctor has drawn a code (`bztoken case authorise {recorded.name} --as NAME`) and it was "
        f"given (`bztoken case confirm {recorded.name} --code CODE`), within {rules().draft_days} days."
    )


def _counts(recorded: Recorded) -> str:
    kept = f"{recorded.ids} IDs" if recorded.ids else f"{recorded.keys} day keys"
    left = f"; {recorded.left_out} outside were left out" if recorded.left_out else ""
    window = f"{recorded.window.first_day} to {recorded.window.last_day}"
    return f"It has {kept} of the infectious window {window} (UTC days){left}."


def _document(recorded: Recorded) -> dict[str, object]:
    return {
        "keys": recorded.keys,
        "ids": recorded.ids,
        "left_out": recorded.left_out,
        "first_day": recorded.window.first_day.isoformat(),
        "last_day": recorded.window.last_day.isoformat(),
        "digest": recorded.digest.hex(),
        "said": key_digest.said(recorded.digest),
    }
