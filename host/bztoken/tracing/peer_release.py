"""Takes keys of devices that are no case, at their buttons: a site's, so that visits show; a contact's (F1), so that
those whom they met since then (F2) can be found. Nobody else's.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bztoken.connection import KnownToken
from bztoken.errors import CaseError
from bztoken.home import Home
from bztoken.matching.rules import VERDICT_F1
from bztoken.registry import audit, cases, key_times, peer_keys, permissions
from bztoken.registry.audit import Action, What
from bztoken.registry.database import Registry, open_registry
from bztoken.registry.logs import log_of_token
from bztoken.registry.models import Case, Exposure, Token
from bztoken.registry.tokens import ROLE_SITE
from bztoken.tracing.case_release import MAX_DAYS, last_days, release_keys
from bzwire.bluezone import DAY_S


@dataclass(frozen=True)
class PeerRelease:
    """What a device gave. added: keys that were not here; longer: of today, which reach farther than before."""

    label: str
    purpose: str
    case: str | None
    keys: int
    added: int
    longer: int


def release(
    home: Home, port: str, case_name: str | None, days: int | None, on_waiting: Callable[[], None]
) -> PeerRelease:
    """Ask for the keys of the last `days` days, of a contact never more than since it was first near the case.

    Raises CaseError: a site's token and a case, a person's token without one or that is no F1 of it, a case that is not
    active; NotAllowed; LinkError as `case_release.release_keys` does. Then nothing was released.
    """
    with open_registry(home) as registry:
        released = release_keys(home, port, lambda known: _allowed_days(registry, known, case_name, days), on_waiting)
        with registry.write() as session:
            now_s = int(time.time())
            token = session.get_one(Token, released.token_id)
            log = log_of_token(session, token)
            case = _case_for(session, token, case_name)
            purpose = peer_keys.PURPOSE_SITE if case is None else peer_keys.PURPOSE_CONTACT
            keys = key_times.placed(session, token, released.keys)
            added, longer = peer_keys.store(session, log, purpose, case, keys, now_s)
            what = f"{len(keys)} day keys of a {purpose}" + ("" if case is None else f", for case {case.id}")
            audit.record(session, Action.RELEASE, What.KEY, now_s, log.id, what)
    return PeerRelease(released.label, purpose, None if case is None else case.name, len(keys), added, longer)


def _allowed_days(registry: Registry, known: KnownToken, case_name: str | None, days: int | None) -> range:
    """Which days this token may be asked for now."""
    now_s = int(time.time())
    with registry.read() as session:
        token = session.get_one(Token, known.token_id)
        case = _case_for(session, token, case_name)
        since = None if case is None else _first_near(session, token, case)
    asked = last_days(days or MAX_DAYS, now_s)
    return asked if since is None else range(min(max(asked.start, since), asked[-1]), asked.stop)


def _case_for(session: Session, token: Token, case_name: str | None) -> Case | None:
    """For which case a token's keys are asked; None for a site's. Raises CaseError, NotAllowed."""
    if token.role == ROLE_SITE:
        if case_name is not None:
            raise CaseError("this is a site's token, whose keys serve every case: nothing was asked, leave --case out")
        return None
    if case_name is None:
        raise CaseError(
            "this is a person's token, whose keys are asked for only to find the contacts of an F1: nothing was asked, "
            "name the case with --case"
        )
    permissions.require(session, permissions.RECORD_CASE)
    case = cases.by_known_name(session, case_name)
    if case.state != cases.STATE_ACTIVE:
        raise CaseError(f"this case is {case.state}: nothing was asked")
    _first_near(session, token, case)
    return case


def _first_near(session: Session, token: Token, case: Case) -> int:
    """The UTC day on which a token was first near a case. Raises CaseError when it is no F1 of it."""
    near = (Exposure.case_id == case.id, Exposure.log_id == log_of_token(session, token).id, Exposure.via_log_id == 0)
    if session.scalar(select(Exposure.id).where(*near, Exposure.verdict == VERDICT_F1).limit(1)) is None:
        raise CaseError(
            "this token is no F1 of that case, so its keys are nobody's business: nothing was asked; "
            "`bztoken exposures list` shows who is"
        )
    first_s = session.scalar(select(func.min(Exposure.first_s)).where(*near))
    assert first_s is not None
    return first_s // DAY_S
