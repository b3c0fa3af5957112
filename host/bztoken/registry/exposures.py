"""Reads what the registry holds: exposures with the names that a person needs, and counts of everything."""

from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bztoken.errors import CaseError
from bztoken.registry.cases import by_name
from bztoken.registry.models import Case, Exposure, Log, Page, Sighting, Token


class NamedExposure(NamedTuple):
    """An exposure with the case's name and the label of the device that was near."""

    case: str
    who: str
    exposure: Exposure


def list_exposures(session: Session, case_name: str | None = None) -> list[NamedExposure]:
    """In order of case, F1 before the rest, longest first. Raises CaseError when no case has this name."""
    query = (
        select(Case.name, Log.label, Exposure)
        .join(Case, Exposure.case_id == Case.id)
        .join(Log, Exposure.log_id == Log.id)
        .order_by(Case.id, Exposure.verdict, Exposure.close_minutes.desc(), Exposure.minutes.desc(), Exposure.id)
    )
    if case_name is not None:
        case = by_name(session, case_name)
        if case is None:
            raise CaseError("no case has this name: `bztoken case list` shows the names")
        query = query.where(Exposure.case_id == case.id)
    return [NamedExposure(name, label, exposure) for name, label, exposure in session.execute(query)]


def count_everything(session: Session) -> dict[str, int]:
    """How many rows of each kind the registry holds."""
    tables = {
        "tokens": Token.id,
        "logs": Log.id,
        "pages": Page.id,
        "sightings": Sighting.id,
        "cases": Case.id,
        "exposures": Exposure.id,
    }
    return {name: session.scalar(select(func.count(column))) or 0 for name, column in tables.items()}
