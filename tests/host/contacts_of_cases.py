"""Cases, people with tokens and phones, and who was near whom, as the matching would have stored it."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from bztoken.registry import tokens
from bztoken.registry.folding import folded
from bztoken.registry.logs import KIND_PHONE, log_of_token
from bztoken.registry.models import Batch, Case, Exposure, Log, Person, Token, TokenIssue

DAY_S = 86400
NOW_S = 1_795_489_200  # 2026-11-24 03:00 UTC


@dataclass
class Village:
    """Rows in the session that it was given. now_s: when everything was recorded."""

    session: Session
    now_s: int = NOW_S

    def person(self, name: str, phone: str | None = "0912345678", carer: str | None = None) -> Person:
        """Somebody with a phone of their own, or of a carer."""
        person = Person(
            name=name,
            folded=folded(name),
            birth_year=1941,
            phone=phone,
            phone_of=None if phone is None else "person" if carer is None else "carer",
            carer=carer,
            state="active",
            added_at_s=self.now_s,
            by="Hoa",
        )
        self._add(person)
        return person

    def token(self, label: str, person: Person | None = None, role: str = tokens.ROLE_PERSON) -> Log:
        """A token that somebody has, or nobody; its log."""
        uid = len(tokens.all_tokens(self.session)).to_bytes(8, "big")
        token = tokens.create(self.session, label, uid, role, "virtual", self.now_s)
        if person is not None:
            self._add(
                TokenIssue(
                    token_id=token.id,
                    holder_kind="person",
                    person_id=person.id,
                    issued_at_s=self.now_s,
                    issued_by="Hoa",
                )
            )
        return log_of_token(self.session, token)

    def phone(self, label: str, person: Person | None = None) -> Log:
        """A phone's history."""
        log = Log(kind=KIND_PHONE, label=label, imported_at_s=self.now_s, digest=label.encode())
        log.person_id = None if person is None else person.id
        self._add(log)
        return log

    def case(self, name: str, person: Person | None = None) -> Case:
        """An active one."""
        case = Case(name=name, source="token", recorded_at_s=self.now_s, state="active")
        case.person_id = None if person is None else person.id
        self._add(case)
        return case

    def near(
        self, case: Case, log: Log, verdict: str = "F1", minutes: int = 20, days_ago: int = 1, via: Log | None = None
    ) -> Exposure:
        """A device was near a case, or near the F1 whose log `via` is, at 03:00 to 04:00 UTC of a day."""
        first_s = self.now_s - days_ago * DAY_S
        exposure = Exposure(
            case_id=case.id,
            log_id=log.id,
            via_log_id=0 if via is None else via.id,
            day=_day(first_s),
            rule="bluezone",
            rule_version=1,
            batch_id=self._batch().id,
            minutes=minutes,
            close_minutes=minutes,
            windows=4,
            first_s=first_s,
            last_s=first_s + 3600,
            rssi_max_dbm=-50,
            rssi_mean_dbm=-60.0,
            attenuation_db=45.0,
            band="near",
            verdict=verdict,
        )
        self._add(exposure)
        return exposure

    def token_of(self, log: Log) -> Token:
        """The token whose log this is."""
        assert log.token_id is not None
        return self.session.get_one(Token, log.token_id)

    def _batch(self) -> Batch:
        batch = Batch(
            started_s=self.now_s,
            finished_s=self.now_s,
            rule="bluezone",
            rule_version=1,
            tolerance_s=1800,
            days=1,
            sightings=1,
            exposures=1,
        )
        self._add(batch)
        return batch

    def _add(self, row: object) -> None:
        self.session.add(row)
        self.session.flush()


def _day(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).date().isoformat()
