"""People and places for tests, made as a desk makes them: with a commune, and with consent unless told otherwise."""

import time

from sqlalchemy.orm import Session

from bztoken.calendar_days import day_of
from bztoken.people import consent_texts, person_desk
from bztoken.registry import communes, persons, sites
from bztoken.registry.consents import Given
from bztoken.registry.issues import Holder
from bztoken.registry.models import Person, Site

COMMUNE = "Xã Yên Bình"
BIRTH_YEAR = 1948
WITNESS = "Phạm Thu Hà"


def given(now_s: int | None = None, version: str | None = None) -> Given:
    """A consent of that day (today) to the newest text."""
    day = day_of(int(time.time()) if now_s is None else now_s)
    return Given(version or consent_texts.versions()[-1], day.isoformat(), WITNESS)


def person(
    session: Session, name: str, now_s: int | None = None, *, has_consent: bool = True, birth_year: int = BIRTH_YEAR
) -> Person:
    """Somebody of COMMUNE; the same name twice is the same person."""
    now_s = int(time.time()) if now_s is None else now_s
    commune = communes.by_whole_name(session, COMMUNE) or communes.add(session, COMMUNE, now_s)
    known = persons.same_as(session, name, birth_year, commune.id)
    if known:
        return known[0]
    facts = persons.Facts(name=name, birth_year=birth_year)
    return person_desk.register(session, facts, COMMUNE, given(now_s) if has_consent else None, now_s)


def holder(session: Session, name: str, now_s: int | None = None) -> Holder:
    """A person as who gets a token."""
    return Holder.of_person(person(session, name, now_s))


def site(session: Session, name: str, kind: sites.Kind = sites.Kind.MARKET, now_s: int | None = None) -> Site:
    """A place."""
    return sites.add(session, name, kind, None, None, int(time.time()) if now_s is None else now_s)


def site_holder(session: Session, name: str, now_s: int | None = None) -> Holder:
    """A place as what gets a token."""
    return Holder.of_site(site(session, name, now_s=now_s))
