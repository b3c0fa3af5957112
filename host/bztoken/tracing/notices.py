"""Tells a token that is plugged in for a sync whether its light should ask its wearer to call (`registry/notices`).

A token shows it from its next sync after its wearer became a contact until the next one after somebody reached them.
What somebody sets or clears by hand stays until the list wants something else. Couriers tell nothing: they know no
contacts. A cable that is pulled out in between changes nothing here, and the next sync tells it again.
"""

import asyncio
import time
from enum import StrEnum

from bztoken.connection import KnownToken
from bztoken.link.refusals import TokenTooOld
from bztoken.registry import audit, events
from bztoken.registry.audit import Action, What
from bztoken.registry.database import Registry
from bztoken.registry.models import Token
from bztoken.registry.notices import is_wanted
from bztoken.token_care import tell_settings
from bztoken.token_settings import Wanted


class Told(StrEnum):
    """What a sync did about the notice; WAITING: nothing new, but nobody has reached the wearer yet."""

    SET = "set"
    CLEARED = "cleared"
    WAITING = "waiting"
    NOT_POSSIBLE = "not possible"  # firmware without settings


async def tell(registry: Registry, known: KnownToken, storing: asyncio.Lock) -> Told | None:
    """Over an open session: tell the token what is wanted, if that is not what it was told last; None: nothing was to
    be told. storing: held while rows are written. Raises LinkError.
    """
    shown, is_news = await asyncio.to_thread(_wish, registry, known.token_id)
    if not is_news:
        return Told.WAITING if shown else None
    try:
        await tell_settings(known.link, Wanted(notice=shown))
    except TokenTooOld:
        return Told.NOT_POSSIBLE if shown else None
    async with storing:
        await asyncio.to_thread(_note, registry, known.token_id, shown)
    return Told.SET if shown else Told.CLEARED


def _wish(registry: Registry, token_id: int) -> tuple[bool, bool]:
    """Whether it should show the notice, and whether that is another wish than when it was told last."""
    with registry.read() as session:
        token = session.get_one(Token, token_id)
        shown = is_wanted(session, token)
        return shown, shown != token.notice_told


def _note(registry: Registry, token_id: int, shown: bool) -> None:
    now_s = int(time.time())
    with registry.write() as session:
        token = session.get_one(Token, token_id)
        token.notice_told = shown
        what = Wanted(notice=shown).in_words()
        events.record(session, token, events.SETTINGS, now_s, f"{what} at a sync")
        audit.record(session, Action.CHANGE, What.TOKEN, now_s, token_id, what)
