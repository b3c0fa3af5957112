"""Counts of tokens: of one unit (a commune, an agency, a kind of site), of the store, of what went out and in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bztoken.registry.models import TokenIssue
from bztoken.report.rollout_holdings import Condition, Holding
from bztoken.report.rollout_scope import Scope


@dataclass
class Unit:
    """One line of a table. name: None for what belongs to no unit.

    issued = active + silent + lost; persons + places = issued. synced: of the active ones; weak, battery_unknown: of
    those that are not lost. holders_60: people of 60 and more by their year of birth who have a token that is not lost;
    no_birth_year: people who have one and whose year nobody knows; over60: how many of 60 and more live there, None
    while nobody said; sites: registered places.
    """

    name: str | None
    issued: int = 0
    persons: int = 0
    places: int = 0
    active: int = 0
    synced: int = 0
    silent: int = 0
    lost: int = 0
    weak: int = 0
    battery_unknown: int = 0
    holders_60: int = 0
    no_birth_year: int = 0
    over60: int | None = None
    sites: int = 0
    covered_60: int = 0  # of holders_60, those who live where over60 is known
    known_communes: int = 0  # whose over60 is known

    @property
    def coverage(self) -> float | None:
        """Of those of 60 and more, the share that has a token; None while nobody knows how many there are."""
        return self.covered_60 / self.over60 if self.over60 else None

    def add(self, token: Holding) -> None:
        """Count a token that this unit has."""
        self.issued += 1
        self.persons += not token.at_site
        self.places += token.at_site
        self.active += token.condition == Condition.ACTIVE
        self.silent += token.condition == Condition.SILENT
        self.lost += token.condition == Condition.LOST
        self.synced += token.is_synced
        if token.condition != Condition.LOST:
            self.weak += token.is_weak is True
            self.battery_unknown += token.is_weak is None


@dataclass(frozen=True)
class Stock:
    """Tokens in nobody's hands: ready, set_aside (revoked, for another reason than loss), lost there."""

    ready: int
    set_aside: int
    lost: int


@dataclass(frozen=True)
class Flows:
    """Tokens that went out and came back in the period; one that did so twice counts twice."""

    handed_out: int
    returned: int


def total_of(units: Sequence[Unit]) -> Unit:
    """All units together; over60: where it is known."""
    total = Unit(None)
    for field in fields(Unit):
        if field.name not in ("name", "over60"):
            setattr(total, field.name, sum(getattr(unit, field.name) for unit in units))
    known = [unit.over60 for unit in units if unit.over60 is not None]
    total.over60 = sum(known) if known else None
    return total


def stock(held: Iterable[Holding]) -> Stock:
    """What lies in store."""
    free = [token for token in held if not token.is_held]
    lost = sum(token.condition == Condition.LOST for token in free)
    set_aside = sum(token.is_revoked for token in free)
    return Stock(len(free) - lost - set_aside, set_aside, lost)


def flows(session: Session, scope: Scope) -> Flows:
    """What went out and came back."""
    counted = select(func.count()).select_from(TokenIssue)
    out = counted.where(TokenIssue.issued_at_s >= scope.first_s, TokenIssue.issued_at_s < scope.last_s)
    back = counted.where(TokenIssue.returned_at_s >= scope.first_s, TokenIssue.returned_at_s < scope.last_s)
    return Flows(session.scalar(out) or 0, session.scalar(back) or 0)
