"""The registry of a clinic with many tokens, filled row by row: what matching and reports are measured with.

People live three to a household and hear each other for ten hours a night; every fourth goes to a market for an hour,
where six others and the site's token are near. Every ID follows from a key, so that what is matched is really derived.
Pages hold bytes of the length that a token writes, not sealed: nothing here opens them.
"""

import random
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import insert
from sqlalchemy.orm import Session

from bztoken.home import Home
from bztoken.registry import tokens
from bztoken.registry.database import create_registry, open_registry
from bztoken.registry.logs import log_of_token
from bztoken.registry.models import (
    Case,
    CaseKey,
    Commune,
    Consent,
    Page,
    PeerKey,
    Person,
    Sighting,
    Site,
    Token,
    TokenIssue,
)
from bzwire.bluezone import DAY_S, SLOTS_PER_DAY, slot_ids

WINDOWS_A_DAY = 288
WINDOW_S = 300
WINDOWS_A_SLOT = 3
HOUSEHOLD = 3
NIGHT_WINDOWS = range(120)
MARKETS = 20
PEOPLE_A_MARKET = 7
MARKET_WINDOWS = range(144, 156)
PAGE_BYTES = 64
RECORD_BYTES = 20
Row = dict[str, object]


@dataclass(frozen=True)
class FullClinic:
    """What was made: rows by table."""

    home: Home
    tokens: int
    pages: int
    sightings: int


class Maker:
    """Fills one registry; the same seed makes the same rows."""

    def __init__(self, home: Home, count: int, days: int, cases: int, today: int, seed: int = 1) -> None:
        self._home, self._count, self._days, self._cases = home, count, days, cases
        self._today = today
        self._since_s = (today - days) * DAY_S  # when everybody got theirs
        self._random = random.Random(seed)
        self._ids: list[list[bytes]] = []
        self._keys: list[bytes] = []
        self._logs: list[int] = []
        self._tokens: list[int] = []

    def make(self) -> FullClinic:
        """Raises RegistryError when there is a registry already."""
        create_registry(self._home)
        with open_registry(self._home) as registry:
            with registry.write() as session:
                self._people(session)
                cases = self._add_cases(session)
            pages = sightings = 0
            for day in range(self._today - self._days, self._today):
                with registry.write() as session:
                    self._draw_keys(session, day, cases)
                    connection = session.connection()
                    page_rows = list(self._pages(day))
                    connection.execute(insert(Page.__table__), page_rows)
                    heard = list(self._sightings(day))
                    connection.execute(insert(Sighting.__table__), heard)
                pages += len(page_rows)
                sightings += len(heard)
        return FullClinic(self._home, self._count + MARKETS, pages, sightings)

    def _people(self, session: Session) -> None:
        """Tokens in hands: people of twenty communes, and a site at each market."""
        communes = [Commune(name=f"Xã {n}", folded=f"xa {n}", over60=self._count // 10) for n in range(20)]
        session.add_all(communes)
        session.flush()
        for n in range(self._count + MARKETS):
            commune = communes[n % len(communes)].id
            token = self._token(session, n)
            holder = self._site(n, commune) if n >= self._count else self._person(n, commune)
            session.add(holder)
            session.flush()
            if isinstance(holder, Person):
                session.add(self._consent(holder))
            session.add(self._issue(token, holder))
        session.flush()

    def _token(self, session: Session, n: int) -> Token:
        role = tokens.ROLE_SITE if n >= self._count else tokens.ROLE_PERSON
        token = tokens.create(session, f"B-{n}", n.to_bytes(8, "big"), role, "virtual", self._since_s)
        token.last_seen_s = self._today * DAY_S - self._random.randrange(14) * DAY_S
        self._tokens.append(token.id)
        self._logs.append(log_of_token(session, token).id)
        return token

    def _site(self, n: int, commune: int) -> Site:
        name = f"Chợ {n - self._count}"
        return Site(
            name=name, folded=name.casefold(), kind="market", commune_id=commune, added_at_s=self._since_s, by="bench"
        )

    def _person(self, n: int, commune: int) -> Person:
        return Person(
            name=f"Người {n}",
            folded=f"nguoi {n}",
            birth_year=1935 + n % 40,
            commune_id=commune,
            phone=f"09{n:08d}",
            phone_of="person",
            state="active",
            added_at_s=self._since_s,
            by="bench",
        )

    def _consent(self, person: Person) -> Consent:
        return Consent(
            person_id=person.id,
            purpose="tracing",
            text_version="1",
            language="vi",
            text_digest=bytes(32),
            given_on="2026-01-01",
            witness="bench",
            recorded_at_s=self._since_s,
            by="bench",
        )

    def _issue(self, token: Token, holder: Site | Person) -> TokenIssue:
        is_site = isinstance(holder, Site)
        return TokenIssue(
            token_id=token.id,
            holder_kind=token.role,
            person_id=None if is_site else holder.id,
            site_id=holder.id if is_site else None,
            issued_at_s=self._since_s,
            issued_by="bench",
        )

    def _add_cases(self, session: Session) -> list[int]:
        """The first token of every n-th household is a case's."""
        found = []
        for n in range(self._cases):
            case = Case(
                name=f"F0-{n + 1}",
                source="token",
                token_id=self._tokens[self._ill(n)],
                recorded_at_s=self._today * DAY_S,
                state="active",
            )
            session.add(case)
            session.flush()
            found.append(case.id)
        return found

    def _ill(self, case: int) -> int:
        return case * (self._count // self._cases // HOUSEHOLD * HOUSEHOLD)

    def _draw_keys(self, session: Session, day: int, cases: list[int]) -> None:
        """A key a token for this day; those of cases, of their households (released) and of sites are stored."""
        self._keys = [self._random.randbytes(32) for _ in self._tokens]
        self._ids = [list(slot_ids(key, SLOTS_PER_DAY)) for key in self._keys]
        for number, case_id in enumerate(cases):
            ill = self._ill(number)
            session.add(CaseKey(case_id=case_id, tx_power_dbm=0, uncertainty_s=5, **self._key(ill, day)))
            session.add(self._peer(ill + 1, day, "contact", case_id))
        for market in range(MARKETS):
            session.add(self._peer(self._count + market, day, "site", None))

    def _peer(self, n: int, day: int, purpose: str, case_id: int | None) -> PeerKey:
        return PeerKey(
            log_id=self._logs[n],
            purpose=purpose,
            case_id=case_id,
            tx_power_dbm=0,
            uncertainty_s=5,
            released_at_s=self._today * DAY_S,
            **self._key(n, day),
        )

    def _key(self, n: int, day: int) -> Row:
        return {
            "scheme": "bluezone",
            "day_key": self._keys[n],
            "time_start_s": day * DAY_S,
            "slots_per_day": SLOTS_PER_DAY,
            "time_end_s": (day + 1) * DAY_S - 1,
        }

    def _pages(self, day: int) -> Iterator[Row]:
        since = day - (self._today - self._days)
        for n, log_id in enumerate(self._logs):
            for window in range(WINDOWS_A_DAY):
                sequence = since * WINDOWS_A_DAY + window + 1
                yield {
                    "id": self._page_id(n, day, window),
                    "log_id": log_id,
                    "sequence": sequence,
                    "boot_id": 1,
                    "uptime_ms": sequence * 300_000,
                    "window_start_s": day * DAY_S + window * WINDOW_S,
                    "window_s": WINDOW_S,
                    "scan_period_s": 60,
                    "clock_state": 1,
                    "lost_results": 0,
                    "crowded": False,
                    "raw": secrets.token_bytes(PAGE_BYTES + RECORD_BYTES * (2 if window in NIGHT_WINDOWS else 0)),
                    "received_at_s": self._today * DAY_S,
                    "version": 2,
                    "listened_ds": 200,
                    "page_state": 0,
                    "shift_ms": 0,
                    "uncertainty_ms": 2000,
                    "bundled": False,
                }

    def _page_id(self, n: int, day: int, window: int) -> int:
        since = day - (self._today - self._days)
        return (since * len(self._logs) + n) * WINDOWS_A_DAY + window + 1

    def _sightings(self, day: int) -> Iterator[Row]:
        for first in range(0, self._count, HOUSEHOLD):
            members = range(first, min(first + HOUSEHOLD, self._count))
            yield from self._together(day, list(members), NIGHT_WINDOWS, -62)
        shoppers = self._random.sample(range(self._count), min(self._count // 4, MARKETS * PEOPLE_A_MARKET * 4))
        for at in range(0, len(shoppers), PEOPLE_A_MARKET):
            site = self._count + (at // PEOPLE_A_MARKET) % MARKETS
            yield from self._together(day, [*shoppers[at : at + PEOPLE_A_MARKET], site], MARKET_WINDOWS, -70)

    def _together(self, day: int, group: list[int], windows: range, rssi_dbm: int) -> Iterator[Row]:
        for window in windows:
            start_s = day * DAY_S + window * WINDOW_S
            for listener in group:
                page_id = self._page_id(listener, day, window)
                for heard in group:
                    if heard != listener:
                        rotating_id = self._ids[heard][window // WINDOWS_A_SLOT]
                        yield self._sighting(self._logs[listener], page_id, rotating_id, start_s, rssi_dbm)

    def _sighting(self, log_id: int, page_id: int, rotating_id: bytes, start_s: int, rssi_dbm: int) -> Row:
        rssi_dbm += self._random.randrange(-6, 7)
        return {
            "log_id": log_id,
            "page_id": page_id,
            "kind": "bluezone",
            "rotating_id": rotating_id,
            "first_s": start_s + 2,
            "last_s": start_s + 280,
            "window_start_s": start_s,
            "packets": 60,
            "scans": 5,
            "scan_period_s": 60,
            "rssi_max_dbm": rssi_dbm + 4,
            "rssi_mean_dbm": rssi_dbm,
            "tx_power_dbm": 0,
            "aem": None,
            "stale": False,
            "connected": False,
            "uncertainty_s": 2,
        }
