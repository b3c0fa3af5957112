"""Cases (F0), the keys they released and the IDs that their phones had; whoever reads keys here matches, never prints.

A case is recorded as a draft, which nothing matches, until a code that a doctor drew for its keys makes it active.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from bztoken.errors import CaseError
from bztoken.formats.key_digest import digest_of
from bztoken.formats.tracing_key import TracingKey
from bztoken.registry import events, histories, key_times, labels, matched_days, numbers
from bztoken.registry.key_rows import columns_of, key_of
from bztoken.registry.logs import KIND_PHONE
from bztoken.registry.models import Case, CaseId, CaseKey, Exposure, Log, PeerKey, Token

SOURCE_TOKEN = "token"
SOURCE_LIST = "case list"
SOURCE_EXPORT = "gaen export"
SOURCE_HISTORY = "phone history"

STATE_DRAFT = "draft"  # nobody has authorised its keys yet
STATE_ACTIVE = "active"
STATE_WITHDRAWN = "withdrawn"

# Why somebody is a case, and what a GAEN export calls that.
REPORT_TYPES = {"confirmed_test": 1, "clinical": 2, "self_report": 3, "recursive": 4}


@dataclass(frozen=True)
class NewCase:
    """What is recorded. Days: ISO; first_day, last_day: of the infectious window, to which the keys were limited.

    token: whose keys these are, by its own clock; ids: (ID, start of its slot) of a phone whose keys nobody knows;
    log_id: of that phone; brought_log: its history was not here before.
    """

    name: str
    source: str
    keys: Sequence[TracingKey] = field(default=(), repr=False)
    ids: Sequence[tuple[bytes, int]] = field(default=(), repr=False)
    token: Token | None = None
    person_id: int | None = None
    report_type: str | None = None
    onset_day: str | None = None
    test_day: str | None = None
    first_day: str | None = None
    last_day: str | None = None
    log_id: int | None = None
    brought_log: bool | None = None


@dataclass(frozen=True)
class Counted:
    """A case with how many keys and IDs are here of it."""

    case: Case
    keys: int
    ids: int


def add_draft(session: Session, new: NewCase, now_s: int) -> Case:
    """Record a case that is not authorised yet, in the caller's transaction. Raises CaseError: taken name, no keys, or
    those of another case; RegistryError: a name that is none.

    Keys of a token are by its own clock, and are put right here as far as that is known.
    """
    name = free_name(session, new.name)
    if not new.keys and not new.ids:
        raise CaseError("there are no keys to record, so nothing could ever be matched: nothing was stored")
    keys = new.keys if new.token is None else key_times.placed(session, new.token, new.keys)
    digest = digest_of(keys, new.ids)
    _require_no_other(session, digest, None)
    case = Case(
        id=numbers.fresh(session, Case),
        name=name,
        source=new.source,
        token_id=None if new.token is None else new.token.id,
        recorded_at_s=now_s,
        state=STATE_DRAFT,
        person_id=new.person_id,
        report_type=new.report_type,
        onset_day=new.onset_day,
        test_day=new.test_day,
        first_day=new.first_day,
        last_day=new.last_day,
        recorded_by=events.by_now(),
        key_digest=digest,
        log_id=new.log_id,
        brought_log=new.brought_log,
    )
    session.add(case)
    session.flush()
    session.add_all(_key_row(case, key) for key in keys)
    if new.ids:
        rows = [{"case_id": case.id, "rotating_id": one, "slot_start_s": start_s} for one, start_s in new.ids]
        session.execute(insert(CaseId), rows)
    session.flush()
    return case


def activate(session: Session, case: Case) -> None:
    """From now on it is matched. Only for who has seen an authorisation of its keys. Raises CaseError: no draft, or the
    keys of another case.
    """
    if case.state != STATE_DRAFT:
        raise CaseError(f"this case is {case.state} already: nothing was changed")
    if case.key_digest is not None:
        _require_no_other(session, case.key_digest, case.id)
    case.state = STATE_ACTIVE
    session.flush()


def end(session: Session, case: Case, now_s: int) -> None:
    """Withdraw a case: its keys and IDs, those that contacts released for it, and what was found go, and so does
    the history that came with it; its row stays.

    Raises CaseError for one that was withdrawn before. Follow-ups are the caller's.
    """
    if case.state == STATE_WITHDRAWN:
        raise CaseError("this case is withdrawn already: nothing was changed")
    for rows in (CaseKey, CaseId, PeerKey, Exposure):
        session.execute(delete(rows).where(rows.case_id == case.id))
    matched_days.forget(session)
    case.state = STATE_WITHDRAWN
    case.ended_at_s, case.ended_by = now_s, events.by_now()
    _leave_history(session, case)
    session.flush()


def drop_drafts(session: Session, before_s: int) -> int:
    """Delete drafts that were recorded before, with their keys and the histories that came with them; how many there
    were. Codes drawn for them stay.
    """
    drafts = session.scalars(select(Case).where(Case.state == STATE_DRAFT, Case.recorded_at_s < before_s)).all()
    for case in drafts:
        for rows in (CaseKey, CaseId):
            session.execute(delete(rows).where(rows.case_id == case.id))
        _leave_history(session, case)
        session.delete(case)
    session.flush()
    return len(drafts)


def free_name(session: Session, name: str) -> str:
    """As it is stored; to be asked before a wearer is asked to hold a button. Raises CaseError when it is taken,
    RegistryError when it is no name.
    """
    name = labels.required(name, "a case needs a name, for example its number in the province's list")
    if by_name(session, name) is not None:
        raise CaseError("a case of this name is recorded already: choose another name")
    return name


def by_name(session: Session, name: str) -> Case | None:
    """The case of this name."""
    found = (session.scalar(select(Case).where(Case.name == spelling)) for spelling in labels.spellings(name))
    return next((case for case in found if case is not None), None)


def by_known_name(session: Session, name: str) -> Case:
    """The case of this name. Raises CaseError when there is none."""
    case = by_name(session, name)
    if case is None:
        raise CaseError("no case of this registry has this name: `bztoken case list` shows them all")
    return case


def counted(session: Session) -> list[Counted]:
    """Every case, oldest first."""
    keys = select(func.count(CaseKey.id)).where(CaseKey.case_id == Case.id).scalar_subquery()
    ids = select(func.count(CaseId.id)).where(CaseId.case_id == Case.id).scalar_subquery()
    return [Counted(*row) for row in session.execute(select(Case, keys, ids).order_by(Case.id))]


def keys_of(session: Session, case: Case) -> list[TracingKey]:
    """The keys of one case, in whatever state it is, oldest first."""
    query = select(CaseKey).where(CaseKey.case_id == case.id).order_by(CaseKey.time_start_s, CaseKey.id)
    return [key_of(row) for row in session.scalars(query)]


def ids_of(session: Session, case: Case) -> list[tuple[bytes, int]]:
    """The IDs of one case with the start of their slots, oldest first."""
    query = select(CaseId.rotating_id, CaseId.slot_start_s).where(CaseId.case_id == case.id)
    return [(one, start_s) for one, start_s in session.execute(query.order_by(CaseId.slot_start_s, CaseId.id))]


def active_keys(session: Session) -> list[tuple[int, TracingKey]]:
    """(case, key) of every active case, whatever the scheme."""
    query = select(CaseKey).join(Case, Case.id == CaseKey.case_id).where(Case.state == STATE_ACTIVE)
    return [(row.case_id, key_of(row)) for row in session.scalars(query.order_by(CaseKey.id))]


def active_ids(session: Session) -> list[tuple[int, bytes, int]]:
    """(case, ID, start of its slot in unix s) of every active case that came from a phone's history."""
    query = select(CaseId.case_id, CaseId.rotating_id, CaseId.slot_start_s).join(Case, Case.id == CaseId.case_id)
    rows = session.execute(query.where(Case.state == STATE_ACTIVE).order_by(CaseId.id))
    return [(case_id, one, start_s) for case_id, one, start_s in rows]


def own_logs(session: Session) -> dict[int, frozenset[int]]:
    """The logs of each active case itself: its token's, its person's phones', and that of the history it came from."""
    logs = session.execute(select(Log.id, Log.kind, Log.token_id, Log.person_id)).all()
    found = {}
    for case in session.scalars(select(Case).where(Case.state == STATE_ACTIVE)):
        own = [
            number
            for number, kind, token_id, person_id in logs
            if (token_id is not None and token_id == case.token_id)
            or (kind == KIND_PHONE and person_id is not None and person_id == case.person_id)
            or number == case.log_id
        ]
        found[case.id] = frozenset(own)
    return found


def _leave_history(session: Session, case: Case) -> None:
    """Delete the history that came with this case, unless another case came from it: then it goes with that one."""
    log_id, is_its_own = case.log_id, case.brought_log
    case.log_id = case.brought_log = None
    if log_id is None or not is_its_own:
        return
    heir = session.scalar(select(Case).where(Case.log_id == log_id, Case.id != case.id).order_by(Case.id).limit(1))
    if heir is None:
        histories.forget(session, log_id)
    else:
        heir.brought_log = True


def _require_no_other(session: Session, digest: bytes, case_id: int | None) -> None:
    """Two cases of one person would count every contact twice. Raises CaseError when a case other than case_id, draft
    or active, has these keys.
    """
    query = select(Case.id).where(Case.key_digest == digest, Case.state != STATE_WITHDRAWN)
    if any(number != case_id for number in session.scalars(query)):
        raise CaseError(
            "these keys are recorded already, for another case: nothing was changed; withdraw that one first"
        )


def _key_row(case: Case, key: TracingKey) -> CaseKey:
    reported = {"report_type": key.report_type, "days_since_onset": key.days_since_onset}
    return CaseKey(case_id=case.id, **columns_of(key), **reported)
