"""Who stands behind each log: the person or the place that has, or had, the token, the person whose phone it was.

For the matching, the follow-up and reports; nothing is recorded here, whoever shows a name records the look.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from bztoken.registry.folding import folded
from bztoken.registry.logs import KIND_PHONE
from bztoken.registry.models import Log, Person, Site, Token, TokenIssue
from bztoken.registry.persons import number_of

ROLE_SITE = "site"  # of a token, as in `tokens`, which this module is too low for


class Kind(StrEnum):
    """What is known of who it is."""

    PERSON = "person"
    SITE = "site"
    PHONE = "phone"  # of nobody in particular: its label is all that is known
    TOKEN = "token"  # that nobody has, or had


@dataclass(frozen=True)
class Whose:
    """Who stands behind a log. name: of the person or place, else the label; number: as in P-0012-7, of a person;
    label: of the token or the phone; site_id: None, too, of a place that is known by the token's own record alone.
    """

    kind: Kind
    name: str = field(repr=False)
    label: str = field(repr=False)
    person_id: int | None = None
    site_id: int | None = None
    number: str | None = None


class _Issue(NamedTuple):
    """One row of token_issues, as far as it matters here."""

    token_id: int
    person_id: int | None
    site_id: int | None
    issued_at_s: int
    returned_at_s: int | None

    def is_open_at(self, at_s: int | None) -> bool:
        """at_s: None for now."""
        if at_s is None:
            return self.returned_at_s is None
        return self.issued_at_s <= at_s and (self.returned_at_s is None or at_s < self.returned_at_s)


def by_log(session: Session, at_s: int | None = None) -> dict[int, Whose]:
    """Who stands behind each log, by the log's row: whoever had the token at that time, else whoever had it last.

    at_s: None for now. Four queries, whatever the number of logs.
    """
    issues, names = _issues_at(session, at_s), _names(session)
    columns = (Log.id, Log.kind, Log.label, Log.person_id, Token.id, Token.label, Token.role, Token.place)
    found = {}
    for log_id, kind, log_label, phone_of, token_id, label, role, place in session.execute(
        select(*columns).outerjoin(Token, Log.token_id == Token.id)
    ):
        label = log_label if label is None else label
        issue = issues.get(token_id)
        person_id = phone_of if issue is None else issue.person_id
        site_id = None if issue is None else issue.site_id
        if site_id is None and role == ROLE_SITE and place is not None:
            site_id = names.site_ids.get(folded(place))
        if person_id in names.persons:
            found[log_id] = Whose(Kind.PERSON, names.persons[person_id], label, person_id, number=number_of(person_id))
        elif site_id in names.sites:
            found[log_id] = Whose(Kind.SITE, names.sites[site_id], label, site_id=site_id)
        elif role == ROLE_SITE:
            found[log_id] = Whose(Kind.SITE, place or label, label)
        else:
            found[log_id] = Whose(Kind.PHONE if kind == KIND_PHONE else Kind.TOKEN, label, label)
    return found


class _Names(NamedTuple):
    """Of persons and sites by their rows; site_ids: rows of sites by their folded names."""

    persons: dict[int, str]
    sites: dict[int, str]
    site_ids: dict[str, int]


def _names(session: Session) -> _Names:
    persons = {row.id: row.name for row in session.execute(select(Person.id, Person.name))}
    sites = {row.id: row.name for row in session.execute(select(Site.id, Site.name))}
    return _Names(persons, sites, {folded(name): site_id for site_id, name in sites.items()})


def _issues_at(session: Session, at_s: int | None) -> dict[int, _Issue]:
    """Of each token the issue that was open then, else the last."""
    columns = (
        TokenIssue.token_id,
        TokenIssue.person_id,
        TokenIssue.site_id,
        TokenIssue.issued_at_s,
        TokenIssue.returned_at_s,
    )
    chosen: dict[int, _Issue] = {}
    for row in session.execute(select(*columns).order_by(TokenIssue.id)):
        issue = _Issue(*row)
        before = chosen.get(issue.token_id)
        if before is None or issue.is_open_at(at_s) or not before.is_open_at(at_s):
            chosen[issue.token_id] = issue
    return chosen
