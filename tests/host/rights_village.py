"""A clinic for tests of retention and rights: people with tokens whose pages were read, a phone, a case, contacts."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from tests.host.contacts_of_cases import DAY_S, NOW_S, Village

from bztoken.registry import consents, logs, pages, persons, tokens
from bztoken.registry.consents import Given
from bztoken.registry.models import Base, Log, Person, Sighting, Token
from bztoken.registry.persons import Facts
from bztoken.tracing import follow_up
from bzwire.page import Record

FIRST_KEY = b"\x22" * 32
ID = bytes(range(0x60, 0x6C))
NAME = "Nguyễn Thị Kim Canary"
PHONE = "0987654321"
MakePage = Callable[..., bytes]


@dataclass
class Clinic:
    """Rows in the session that it was given, at NOW_S."""

    session: Session
    make_page: MakePage

    @property
    def village(self) -> Village:
        """For cases and who was near whom."""
        return Village(self.session)

    def person(self, name: str = NAME, label: str = "YB-0001-3") -> tuple[Person, Token]:
        """Somebody who agreed and has a token."""
        facts = Facts(name=name, birth_year=1941, commune=None, phone=PHONE)
        person = Village(self.session).person(name, phone=PHONE)
        assert facts.name == name
        consents.add(self.session, person, Given(_version(), "2026-11-20", "Trần Văn Chứng"), NOW_S)
        log = Village(self.session).token(label, person)
        token = self.session.get_one(Token, log.token_id)
        return person, token

    def page(self, token: Token, sequence: int, days_ago: float, one: bytes = ID) -> None:
        """A page that was read, with one sighting."""
        start_s = int(NOW_S - days_ago * DAY_S) // 300 * 300
        raw = self.make_page(FIRST_KEY, [_record(one)], sequence=sequence, window_start_s=start_s)
        log = logs.log_of_token(self.session, token)
        pages.import_page(self.session, log, raw, FIRST_KEY, min(NOW_S, start_s + 3600))
        log.safe_sequence = max(log.safe_sequence, sequence)
        self.session.flush()

    def line(self, log: Log, days_ago: float) -> None:
        """A line of a phone's history."""
        at_s = int(NOW_S - days_ago * DAY_S)
        self.session.add(
            Sighting(
                log_id=log.id,
                kind="bluezone",
                rotating_id=ID,
                first_s=at_s,
                last_s=at_s,
                window_start_s=at_s,
                packets=1,
                scans=1,
                scan_period_s=0,
                rssi_max_dbm=-60,
                rssi_mean_dbm=-60,
            )
        )
        self.session.flush()

    def follow(self) -> None:
        """Open the work list."""
        follow_up.update(self.session, NOW_S)


def counts(session: Session) -> dict[str, int]:
    """Rows of every table that has any."""
    found = {
        table.name: session.scalar(select(func.count()).select_from(table)) or 0
        for table in Base.metadata.sorted_tables
    }
    return {name: count for name, count in found.items() if count}


def number_of(person: Person) -> str:
    """As it is printed."""
    return persons.number_of(person.id)


def _version() -> str:
    from bztoken.people.consent_texts import versions

    return versions()[-1]


def _record(one: bytes) -> Record:
    return Record(one, 0, 240, 15, 5, -60, -66, -15, flags=0)


__all__ = ["DAY_S", "FIRST_KEY", "ID", "NAME", "NOW_S", "PHONE", "Clinic", "counts", "number_of", "tokens"]
