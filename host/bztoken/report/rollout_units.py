"""Tokens by commune, by agency and by kind of site: every token that is in hands is in one line of each table; in the
last one, only those of places.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from bztoken.registry import communes
from bztoken.registry.folding import folded
from bztoken.registry.models import Person, Site
from bztoken.registry.sites import KINDS
from bztoken.report.rollout_figures import Unit
from bztoken.report.rollout_holdings import Condition, Holding
from bztoken.report.rollout_scope import Scope


@dataclass(frozen=True)
class _Where:
    """To which units a person or a place belongs."""

    commune_id: int | None = None
    agency: str | None = None
    birth_year: int | None = None
    kind: str | None = None


def by_commune(session: Session, scope: Scope, held: Sequence[Holding]) -> list[Unit]:
    """Every commune of the registry, by name, then what belongs to none, if anything does."""
    everywhere = communes.all_communes(session)
    units = {row.id: Unit(row.name, over60=row.over60, known_communes=row.over60 is not None) for row in everywhere}
    nowhere = Unit(None)
    persons, sites = _persons(session), _sites(session)
    for where in sites.values():
        units.get(where.commune_id or 0, nowhere).sites += 1
    for token in _in_hands(held):
        units.get(_where(token, persons, sites).commune_id or 0, nowhere).add(token)
    for person in (persons[number] for number in _wearers(held) if number in persons):
        _add_wearer(units.get(person.commune_id or 0, nowhere), person, scope)
    return [*units.values(), *_if_any(nowhere)]


def by_agency(session: Session, scope: Scope, held: Sequence[Holding]) -> list[Unit]:
    """Every agency through which somebody or some place has a token, by name, then what belongs to none.

    Spellings that differ in accents, capitals or spaces alone are one agency, called as it was written first.
    """
    units: dict[str, Unit] = {}
    nowhere = Unit(None)
    persons, sites = _persons(session), _sites(session)

    def unit(agency: str | None) -> Unit:
        return nowhere if agency is None else units.setdefault(folded(agency), Unit(agency))

    for where in sites.values():
        unit(where.agency).sites += 1
    for token in _in_hands(held):
        unit(_where(token, persons, sites).agency).add(token)
    for person in (persons[number] for number in _wearers(held) if number in persons):
        _add_wearer(unit(person.agency), person, scope)
    return [*(units[name] for name in sorted(units)), *_if_any(nowhere)]


def by_site_kind(session: Session, held: Sequence[Holding]) -> list[Unit]:
    """Every kind that a place or a token is of, in the order of `sites.KINDS`, then places that nobody registered."""
    units = {kind: Unit(kind) for kind in KINDS}
    nowhere = Unit(None)
    sites = _sites(session)
    for where in sites.values():
        units[where.kind or ""].sites += 1
    for token in _in_hands(held):
        if token.at_site:
            units.get(_where(token, {}, sites).kind or "", nowhere).add(token)
    return [unit for unit in (*units.values(), nowhere) if unit.sites or unit.issued]


def _in_hands(held: Iterable[Holding]) -> Iterable[Holding]:
    return (token for token in held if token.is_held)


def _wearers(held: Iterable[Holding]) -> list[int]:
    """People who have a token that is not lost, each once."""
    found = {token.person_id for token in _in_hands(held) if token.condition != Condition.LOST}
    return sorted(number for number in found if number is not None)


def _add_wearer(unit: Unit, person: _Where, scope: Scope) -> None:
    is_old = person.birth_year is not None and person.birth_year <= scope.newest_birth_year
    unit.no_birth_year += person.birth_year is None
    unit.holders_60 += is_old
    unit.covered_60 += is_old and unit.over60 is not None


def _where(token: Holding, persons: dict[int, _Where], sites: dict[int, _Where]) -> _Where:
    if token.person_id is not None:
        return persons.get(token.person_id, _Where())
    return sites.get(token.site_id or 0, _Where())


def _if_any(nowhere: Unit) -> list[Unit]:
    return [nowhere] if nowhere.issued or nowhere.sites else []


def _persons(session: Session) -> dict[int, _Where]:
    columns = (Person.id, Person.commune_id, Person.agency, Person.birth_year)
    rows = session.execute(select(*columns).order_by(Person.id))
    return {number: _Where(commune_id, agency, birth_year) for number, commune_id, agency, birth_year in rows}


def _sites(session: Session) -> dict[int, _Where]:
    columns = (Site.id, Site.commune_id, Site.agency, Site.kind)
    rows = session.execute(select(*columns).order_by(Site.id))
    return {number: _Where(commune_id, agency, kind=kind) for number, commune_id, agency, kind in rows}
