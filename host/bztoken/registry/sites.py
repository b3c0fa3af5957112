"""Places with a token at the door: what kind each is, in which commune, which unit answers for it."""

from collections.abc import Sequence
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from bztoken.errors import PersonError
from bztoken.registry import audit, events, labels
from bztoken.registry.folding import folded, with_accents
from bztoken.registry.models import Commune, Site


class Kind(StrEnum):
    """What kinds of places there are; our choice, after the places that a commune has."""

    MARKET = "market"
    BUS_STATION = "bus-station"
    HOTEL = "hotel"
    OFFICE = "office"
    SCHOOL = "school"
    HOSPITAL = "hospital"
    FACTORY = "factory"
    WORSHIP = "worship"
    OTHER = "other"


KINDS = tuple(kind.value for kind in Kind)
# As people read them: (Vietnamese, English).
KIND_NAMES: dict[Kind, tuple[str, str]] = {
    Kind.MARKET: ("chợ", "market"),
    Kind.BUS_STATION: ("bến xe", "bus station"),
    Kind.HOTEL: ("khách sạn, nhà nghỉ", "hotel"),
    Kind.OFFICE: ("cơ quan, văn phòng", "office"),
    Kind.SCHOOL: ("trường học", "school"),
    Kind.HOSPITAL: ("bệnh viện, trạm y tế", "hospital, health station"),
    Kind.FACTORY: ("nhà máy, xưởng", "factory"),
    Kind.WORSHIP: ("nơi thờ tự", "place of worship"),
    Kind.OTHER: ("nơi khác", "other"),
}


def add(session: Session, name: str, kind: Kind, commune: Commune | None, agency: str | None, now_s: int) -> Site:
    """Record a place. Raises PersonError when one of this name is there, RegistryError for a name that cannot be."""
    site = Site(
        name=labels.required(name, "a place needs a name: nothing was changed"),
        kind=kind.value,
        added_at_s=now_s,
        by=events.by_now(),
    )
    site.folded = folded(site.name)
    _require_free(session, site)
    _set(site, commune, agency)
    session.add(site)
    session.flush()
    audit.record(session, audit.Action.ADD, audit.What.SITE, now_s, site.id)
    return site


def change(
    session: Session,
    site: Site,
    now_s: int,
    name: str | None = None,
    kind: Kind | None = None,
    commune: Commune | None = None,
    agency: str | None = None,
) -> list[str]:
    """Put right what is known of a place; answers what is different now. Raises as `add` does."""
    before = {column: getattr(site, column) for column in _COLUMNS}
    with session.no_autoflush:
        if name is not None:
            site.name = labels.required(name, "a place needs a name: nothing was changed")
            site.folded = folded(site.name)
            _require_free(session, site)
        if kind is not None:
            site.kind = kind.value
        _set(site, commune, agency)
    changed = [_COLUMNS[column] for column in _COLUMNS if getattr(site, column) != before[column]]
    if changed:
        session.flush()
        audit.record(session, audit.Action.CHANGE, audit.What.SITE, now_s, site.id, ", ".join(changed))
    return changed


def by_reference(session: Session, name: str) -> Site:
    """The place that is meant, with accents or without. Raises PersonError when there is none, or several."""
    found = list(session.scalars(select(Site).where(Site.folded == folded(name)).order_by(Site.id)))
    exact = [site for site in found if with_accents(site.name) == with_accents(name)]
    found = exact or found
    if not found:
        raise PersonError(
            "no place of this registry has this name: nothing was changed; `bztoken site list` shows them all, "
            "`bztoken site add` adds one"
        )
    if len(found) > 1:
        raise PersonError(
            f"{len(found)} places have this name without its accents: nothing was changed; type it with all its "
            "accents, as `bztoken site list` shows it"
        )
    return found[0]


def all_sites(session: Session) -> Sequence[Site]:
    """Every place, by name."""
    return session.scalars(select(Site).order_by(Site.folded, Site.name)).all()


_COLUMNS = {"name": "name", "kind": "kind", "commune_id": "commune", "agency": "agency"}


def _set(site: Site, commune: Commune | None, agency: str | None) -> None:
    if commune is not None:
        site.commune_id = commune.id
    if agency is not None:
        site.agency = labels.required(agency, "an agency needs a name: nothing was changed")


def _require_free(session: Session, site: Site) -> None:
    """Two places whose names differ in accents alone would be taken for each other."""
    taken = session.scalars(select(Site).where(Site.folded == site.folded))
    if any(other.id != site.id for other in taken):
        raise PersonError(
            "a place of this name is here already: nothing was changed; `bztoken site list` shows them all, add what "
            "tells the two apart (the commune, the gate)"
        )
