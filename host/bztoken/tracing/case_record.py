"""Records cases (F0): a draft with keys of the infectious window, a code that a doctor draws for it, and its use.

What commands and pages call; each change is one transaction together with its audit entry. Nothing here shows a key.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path

from sqlalchemy.orm import Session

from bztoken.errors import CaseError, NotAllowed, RegistryError
from bztoken.formats import key_digest
from bztoken.formats.history import digest_of as file_digest_of
from bztoken.formats.tracing_key import TracingKey
from bztoken.registry import audit, authorisations, cases, consents, events, issues, operators, permissions, persons
from bztoken.registry.audit import Action, What
from bztoken.registry.database import Registry
from bztoken.registry.histories import add_history
from bztoken.registry.logs import by_digest
from bztoken.registry.models import Authorisation, Case, Person, Token
from bztoken.registry.permissions import Role
from bztoken.tracing import follow_up
from bztoken.tracing.case_keys import Gathered
from bztoken.tracing.infectious_window import Window, window
from bzwire.bluezone import DAY_S

MAX_ONSET_DAYS = 14  # what GAEN can say of a key's day

# Why a case is taken back, in words of this program.
REASONS = ("wrong_test", "wrong_person", "no_consent", "duplicate", "other")


@dataclass(frozen=True)
class Report:
    """What is said of a new case. person: number or name of a person, as typed."""

    name: str
    onset: date | None = None
    test: date | None = None
    report_type: str = "confirmed_test"
    person: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Recorded:
    """What was recorded; digest: of its keys."""

    name: str
    state: str
    window: Window
    keys: int
    ids: int
    left_out: int
    digest: bytes


@dataclass(frozen=True)
class Drawn:
    """A code, shown once, and what it is for; the last fields are None for keys that nobody recorded here yet."""

    code: str = field(repr=False)
    expires_at_s: int
    digest: bytes
    case: Case | None = None
    keys: int | None = None
    ids: int | None = None


@dataclass(frozen=True)
class Shown:
    """Everything about a case but its keys. person: number of the person; codes: with what became of each."""

    case: Case
    keys: int
    ids: int
    person: str | None
    codes: list[tuple[Authorisation, str]]


def prepare(registry: Registry, report: Report, now_s: int) -> Window:
    """The infectious window, after all that can be refused before a file is read or a wearer is asked: CaseError,
    NotAllowed, PersonError, RegistryError.
    """
    found = window(report.onset, report.test, now_s)
    if report.report_type not in cases.REPORT_TYPES:
        raise CaseError(f"a report type is one of {', '.join(cases.REPORT_TYPES)}: nothing was changed")
    with registry.read() as session:
        permissions.require(session, permissions.RECORD_CASE)
        cases.free_name(session, report.name)
        _person_named(session, report)
    return found


def record(
    registry: Registry,
    report: Report,
    gathered: Gathered,
    now_s: int,
    token_id: int | None = None,
    history: Path | None = None,
    code: str | None = None,
) -> Recorded:
    """Record a draft, or, with a code that fits, a case that is matched. Raises as `prepare` does, and CaseError for a
    code that does not fit: then nothing was recorded, but the try is counted.

    token_id: whose keys these are; history: the file that the IDs came from, whose contacts are taken in too.
    """
    found = window(report.onset, report.test, now_s)
    with registry.write() as session:
        permissions.require(session, permissions.RECORD_CASE)
        row = None
        if code is not None:
            row = authorisations.check(session, gathered.digest, None, code, now_s)
        if not isinstance(row, str):
            case = _add(session, report, found, gathered, now_s, token_id, history)
            audit.record(session, Action.ADD, What.CASE, now_s, case.id, f"draft from a {gathered.source}")
            if token_id is not None:
                audit.record(session, Action.RELEASE, What.KEY, now_s, case.id, f"{len(gathered.keys)} day keys")
            if row is not None:
                _activate(session, case, row, now_s)
        else:
            audit.record(session, Action.CHANGE, What.CASE, now_s, None, "code refused")
    if isinstance(row, str):
        raise CaseError(row)
    assert case.key_digest is not None
    counts = len(gathered.keys), len(gathered.ids), gathered.left_out
    return Recorded(case.name, case.state, found, *counts, case.key_digest)


def authorise(
    registry: Registry, name: str, doctor: str, password: str, now_s: int, hours: int = authorisations.VALID_HOURS
) -> Drawn:
    """Draw a code for exactly the keys of a draft. Raises NotAllowed: no doctor, wrong password, whoever recorded it;
    CaseError: no draft of this name.
    """
    with operators.acting(registry, doctor, password, Role.DOCTOR, now_s), registry.write() as session:
        case = cases.by_known_name(session, name)
        if case.state != cases.STATE_DRAFT or case.key_digest is None:
            raise CaseError(f"this case is {case.state}, and codes are drawn for drafts: no code was drawn")
        if case.recorded_by == events.by_now():
            raise NotAllowed("whoever recorded a case draws no code for it: no code was drawn, ask another doctor")
        code = authorisations.draw(session, case.key_digest, now_s, hours)
        keys, ids = len(cases.keys_of(session, case)), len(cases.ids_of(session, case))
        audit.record(session, Action.AUTHORISE, What.CASE, now_s, case.id, f"code drawn, {keys} keys, {ids} IDs")
    return Drawn(code, now_s + hours * 3600, case.key_digest, case, keys, ids)


def authorise_digest(
    registry: Registry, said: str, doctor: str, password: str, now_s: int, hours: int = authorisations.VALID_HOURS
) -> Drawn:
    """The same for keys of which only the digest was told. Raises CaseError for a text that is no digest."""
    digest = key_digest.parse(said)
    if digest is None:
        raise CaseError("this is no digest of keys, which has six groups of four letters and digits: no code was drawn")
    with operators.acting(registry, doctor, password, Role.DOCTOR, now_s), registry.write() as session:
        code = authorisations.draw(session, digest, now_s, hours)
        audit.record(session, Action.AUTHORISE, What.KEY, now_s, None, "code drawn for a digest")
    return Drawn(code, now_s + hours * 3600, digest)


def confirm(registry: Registry, name: str, code: str, now_s: int) -> Case:
    """Make a draft a case that is matched. Raises CaseError: no draft, or what is wrong with the code; then nothing was
    changed but the number of tries. NotAllowed.
    """
    with registry.write() as session:
        permissions.require(session, permissions.RECORD_CASE)
        case = cases.by_known_name(session, name)
        if case.state != cases.STATE_DRAFT:
            raise CaseError(f"this case is {case.state} already: nothing was changed")
        digest = key_digest.digest_of(cases.keys_of(session, case), cases.ids_of(session, case))
        if digest != case.key_digest:
            raise RegistryError("the keys of this draft are not those that were recorded: withdraw it, record it anew")
        row = authorisations.check(session, digest, case.recorded_by, code, now_s)
        if isinstance(row, str):
            audit.record(session, Action.CHANGE, What.CASE, now_s, case.id, "code refused")
        else:
            _activate(session, case, row, now_s)
    if isinstance(row, str):
        raise CaseError(row)
    return case


def withdraw(session: Session, case: Case, reason: str, now_s: int) -> None:
    """Take a case back with everything that came from it, in the caller's transaction; who asks is the caller's to
    check. Raises CaseError: withdrawn before, or a reason that is none.
    """
    if reason not in REASONS:
        raise CaseError(f"a reason is one of {', '.join(REASONS)}: nothing was changed")
    cases.end(session, case, now_s)
    follow_up.withdraw_case(session, case.id, now_s)
    audit.record(session, Action.WITHDRAW, What.CASE, now_s, case.id, reason)


def show(session: Session, name: str, now_s: int) -> Shown:
    """A case, and that somebody looked at it. Raises CaseError."""
    case = cases.by_known_name(session, name)
    audit.record(session, Action.LOOK, What.CASE, now_s, case.id)
    keys, ids = len(cases.keys_of(session, case)), len(cases.ids_of(session, case))
    person = None if case.person_id is None else persons.number_of(case.person_id)
    return Shown(case, keys, ids, person, authorisations.fate(session, case, now_s))


def _add(
    session: Session,
    report: Report,
    found: Window,
    gathered: Gathered,
    now_s: int,
    token_id: int | None,
    history: Path | None,
) -> Case:
    token = None if token_id is None else session.get_one(Token, token_id)
    person_id = _person_of(session, report, token, history)
    name = cases.free_name(session, report.name)
    log_id, brought_log = None, None
    if history is not None:
        log, lines = add_history(session, history, name, now_s, person_id)
        log_id, brought_log = log.id, lines > 0
    new = cases.NewCase(
        name,
        gathered.source,
        list(_described(gathered.keys, report)),
        gathered.ids,
        token,
        person_id,
        report.report_type,
        None if report.onset is None else report.onset.isoformat(),
        None if report.test is None else report.test.isoformat(),
        found.first_day.isoformat(),
        found.last_day.isoformat(),
        log_id,
        brought_log,
    )
    return cases.add_draft(session, new, now_s)


def _activate(session: Session, case: Case, row: Authorisation, now_s: int) -> None:
    authorisations.spend(session, row, case, now_s)
    cases.activate(session, case)
    audit.record(session, Action.CHANGE, What.CASE, now_s, case.id, "active, by code")


def _described(keys: Iterable[TracingKey], report: Report) -> Iterable[TracingKey]:
    """Each key with why this is a case and how many days after the first symptoms, unless its export said so."""
    for key in keys:
        days = key.days_since_onset
        if days is None and report.onset is not None:
            began = (datetime.fromtimestamp(key.time_start_s // DAY_S * DAY_S, UTC).date() - report.onset).days
            days = began if abs(began) <= MAX_ONSET_DAYS else None
        report_type = cases.REPORT_TYPES[report.report_type] if key.report_type is None else key.report_type
        yield replace(key, report_type=report_type, days_since_onset=days)


def _person_named(session: Session, report: Report) -> int | None:
    """Raises PersonError, also for who withdrew. Who never agreed is ill all the same: a case needs no token."""
    if report.person is None:
        return None
    person = persons.by_reference(session, report.person)
    consents.require_not_withdrawn(session, person)
    return person.id


def _person_of(session: Session, report: Report, token: Token | None, history: Path | None) -> int | None:
    """Who it is: as said, else who holds the token, or whose phone the history is known to be of. Raises
    CaseError, and PersonError for who withdrew.
    """
    named, known = _person_named(session, report), None
    if token is not None:
        row = issues.open_of(session, token)
        known = None if row is None else row.person_id
    elif history is not None:
        log = by_digest(session, file_digest_of(history))
        known = None if log is None else log.person_id
    if named is not None and known is not None and named != known:
        what = "token is issued to" if token is not None else "phone is that of"
        raise CaseError(f"this {what} another person: nothing was stored, look who it is")
    if known is not None:
        consents.require_not_withdrawn(session, session.get_one(Person, known))
    return known if named is None else named
