"""Reads from the registry whose keys there are and who carried which device. Sightings: `registry_source`."""

from collections import defaultdict
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from bztoken.matching.bearers import Bearers, Hand
from bztoken.matching.key_table import KnownId
from bztoken.matching.peers import CaseFacts, Entry, Kind, Owner, Peers
from bztoken.matching.schemes import token_key
from bztoken.registry import cases, peer_keys
from bztoken.registry.models import Case, Log, Token, TokenIssue
from bztoken.registry.tokens import ROLE_SITE
from bztoken.tracing.infectious_window import Window
from bzwire.bluezone import DAY_S

_EPOCH = date(1970, 1, 1)


def load_peers(session: Session) -> Peers:
    """Keys of active cases, of their contacts, and of sites, with all that says who is who."""
    facts = _facts(session)
    from_tokens = frozenset(session.scalars(select(Case.id).where(Case.source == cases.SOURCE_TOKEN)))
    entries = [
        Entry(Owner(Kind.CASE, case_id, 0), token_key(key) if case_id in from_tokens else key)
        for case_id, key in cases.active_keys(session)
    ]
    entries += [
        Entry(Owner(Kind.CONTACT, case_id, log_id), token_key(key))
        for log_id, case_id, key in peer_keys.of_contacts(session)
        if case_id in facts
    ]
    entries += [Entry(Owner(Kind.SITE, 0, log_id), token_key(key)) for log_id, key in peer_keys.of_sites(session)]
    known: list[KnownId] = []
    places: dict[int, int] = {}
    for case_id, rotating_id, slot_start_s in cases.active_ids(session):
        if case_id not in places:
            places[case_id] = len(entries)
            entries.append(Entry(Owner(Kind.CASE, case_id, 0), None))
        known.append(KnownId(rotating_id, slot_start_s, places[case_id]))
    return Peers.of(entries, known, facts, load_bearers(session))


def _facts(session: Session) -> dict[int, CaseFacts]:
    own = cases.own_logs(session)
    return {
        case.id: CaseFacts(
            log_ids=own[case.id],
            person_id=case.person_id,
            onset_day=None if case.onset_day is None else (date.fromisoformat(case.onset_day) - _EPOCH).days,
            report_type=cases.REPORT_TYPES.get(case.report_type or ""),
            # when exactly an export was published nobody tells, but before it was recorded here
            published_s=case.recorded_at_s if case.source == cases.SOURCE_EXPORT else None,
            window_s=_window_s(case),
        )
        for case in session.scalars(select(Case).where(Case.state == cases.STATE_ACTIVE))
    }


def _window_s(case: Case) -> tuple[int, int] | None:
    """The infectious window as [from, to) in unix s; cases of older versions have none."""
    if case.first_day is None or case.last_day is None:
        return None
    window = Window(date.fromisoformat(case.first_day), date.fromisoformat(case.last_day))
    return window.first_number * DAY_S, (window.last_number + 1) * DAY_S


def load_bearers(session: Session) -> Bearers:
    """Of tokens from their issues, of phones from whose they are."""
    hands: dict[int, list[Hand]] = defaultdict(list)
    query = select(Log.id, TokenIssue).join(TokenIssue, TokenIssue.token_id == Log.token_id).order_by(TokenIssue.id)
    for log_id, row in session.execute(query):
        hands[log_id].append(Hand(row.issued_at_s, row.returned_at_s, row.person_id, row.site_id))
    for log_id, person_id in session.execute(select(Log.id, Log.person_id).where(Log.person_id.is_not(None))):
        hands[log_id].append(Hand(0, None, person_id, None))
    site_logs = session.scalars(select(Log.id).join(Token, Token.id == Log.token_id).where(Token.role == ROLE_SITE))
    return Bearers(hands, frozenset(site_logs))
