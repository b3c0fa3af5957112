"""A small registry to report on: people, places and tokens as a desk makes them, syncs and contacts as rows."""

from dataclasses import dataclass

from sqlalchemy.orm import Session
from tests.host.told_syncs import STATUS, sync_row

from bztoken.registry import communes, issues, persons, sites, tokens
from bztoken.registry.issues import Holder
from bztoken.registry.logs import log_of_token
from bztoken.registry.models import Case, FollowUp, Person, Token

DAY_S = 86400
NOW_S = 1_795_489_200  # 2026-11-24 10:00 in Vietnam
TODAY = "2026-11-24"
SECRETS = ("Nguyễn Thị Bí Mật", "0912345678")  # of a person; no report may hold them


@dataclass
class Clinic:
    """Rows in the session that it was given."""

    session: Session

    def commune(self, name: str, over60: int | None = None) -> None:
        """over60: people of 60 and more."""
        communes.add(self.session, name, NOW_S, over60, None if over60 is None else "a yearbook")

    def person(
        self, name: str, birth_year: int | None, commune: str | None = "Xã Yên Bình", agency: str | None = None
    ) -> Person:
        """None: of somebody taken over from an older registry."""
        facts = persons.Facts(
            name=name,
            birth_year=birth_year or 1950,
            commune=communes.by_known_name(self.session, commune or "Xã Yên Bình"),
            phone=SECRETS[1],
            agency=agency,
        )
        person = persons.add(self.session, facts, NOW_S, is_another=True)
        person.birth_year = birth_year
        if commune is None:
            person.commune_id = None
        self.session.flush()
        return person

    def token(self, label: str, holder: Person | None = None, days_ago: int = 20) -> Token:
        """Provisioned 30 days ago, and given to somebody some days ago."""
        token = self._made(label, tokens.ROLE_PERSON)
        if holder is not None:
            issues.add(self.session, token, Holder.of_person(holder), NOW_S - days_ago * DAY_S)
        return token

    def site_token(self, label: str, name: str, kind: sites.Kind, commune: str, agency: str | None = None) -> Token:
        """At a new place."""
        where = communes.by_known_name(self.session, commune)
        site = sites.add(self.session, name, kind, where, agency, NOW_S)
        token = self._made(label, tokens.ROLE_SITE)
        issues.add(self.session, token, Holder.of_site(site), NOW_S - 20 * DAY_S)
        return token

    def synced(self, token: Token, days_ago: float, battery: int = 1, done: bool = True) -> None:
        """It was plugged in, and told of its battery."""
        sync_row(self.session, token.id, NOW_S - int(days_ago * DAY_S), STATUS | {"bs": battery}, done=done)

    def case(self, name: str, hours_ago: float, state: str = "active") -> Case:
        """Recorded so long ago."""
        case = Case(name=name, source="token", recorded_at_s=NOW_S - int(hours_ago * 3600), state=state)
        self.session.add(case)
        self.session.flush()
        return case

    def contact(self, case: Case, token: Token, degree: int, after_h: float | None, state: str | None = None) -> None:
        """Opened an hour after the case; after_h: reached so many hours after it, None: not at all."""
        reached_s = None if after_h is None else case.recorded_at_s + int(after_h * 3600)
        state = state or ("open" if after_h is None else "reached")
        self.session.add(
            FollowUp(
                case_id=case.id,
                log_id=log_of_token(self.session, token).id,
                degree=degree,
                state=state,
                opened_at_s=case.recorded_at_s + 3600,
                reached_at_s=reached_s,
                ended_at_s=NOW_S if state in ("closed", "withdrawn") else None,
            )
        )
        self.session.flush()

    def _made(self, label: str, role: str) -> Token:
        uid = len(tokens.all_tokens(self.session)).to_bytes(8, "big")
        return tokens.create(self.session, label, uid, role, "virtual", NOW_S - 30 * DAY_S)
