"""Cases (F0) and the day keys they released."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bztoken.errors import CaseError
from bztoken.formats.case_list import CaseKey
from bztoken.registry import key_times, labels, models
from bztoken.registry.models import Case, Token

SOURCE_TOKEN = "token"
SOURCE_LIST = "case list"
STATE_ACTIVE = "active"
SCHEME_BLUEZONE = "bluezone"


def add_case(
    session: Session, name: str, source: str, token: Token | None, keys: Sequence[CaseKey], now_s: int
) -> Case:
    """Record a case with its keys in the caller's transaction. Raises CaseError: taken name, no keys;
    RegistryError: a name that is none.

    Keys of a token are by its own clock, and are put right here as far as that is known.
    """
    name = free_name(session, name)
    if not keys:
        raise CaseError("there are no keys to record, so nothing could ever be matched: nothing was stored")
    token_id = None if token is None else token.id
    case = Case(name=name, source=source, token_id=token_id, recorded_at_s=now_s, state=STATE_ACTIVE)
    session.add(case)
    session.flush()
    placed = keys if token is None else key_times.placed(session, token, keys)
    session.add_all(_key_row(case, key) for key in placed)
    session.flush()
    return case


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


def with_key_counts(session: Session) -> list[tuple[Case, int]]:
    """Every case with the number of its keys, oldest first."""
    count = func.count(models.CaseKey.id)
    rows = session.execute(
        select(Case, count)
        .outerjoin(models.CaseKey, models.CaseKey.case_id == Case.id)
        .group_by(Case.id)
        .order_by(Case.id)
    )
    return [(case, keys) for case, keys in rows]


def active_keys(session: Session) -> list[tuple[Case, CaseKey]]:
    """Every key of every active case."""
    rows = session.execute(
        select(Case, models.CaseKey)
        .join(models.CaseKey, models.CaseKey.case_id == Case.id)
        .where(Case.state == STATE_ACTIVE, models.CaseKey.scheme == SCHEME_BLUEZONE)
        .order_by(models.CaseKey.id)
    )
    return [(case, _key_of(row)) for case, row in rows]


def _key_row(case: Case, key: CaseKey) -> models.CaseKey:
    return models.CaseKey(
        case_id=case.id,
        scheme=SCHEME_BLUEZONE,
        day_key=key.day_key,
        time_start_s=key.time_start_s,
        slots_per_day=key.slots_per_day,
        time_end_s=key.time_end_s,
        tx_power_dbm=key.tx_power_dbm,
        uncertainty_s=key.uncertainty_s,
    )


def _key_of(row: models.CaseKey) -> CaseKey:
    return CaseKey(
        row.day_key, row.time_start_s, row.slots_per_day, row.time_end_s, row.tx_power_dbm, row.uncertainty_s
    )
