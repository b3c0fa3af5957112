"""A token's clock at the end of a cable: what it says against this computer's, then set right.

The offset is taken in the middle of the question's round trip, which bounds its error. This computer's own clock is
believed, unless the registry knows a later time.
"""

import time
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bztoken.errors import LinkError
from bztoken.link.token_link import TokenLink
from bztoken.registry.clock_points import ClockReading, reading
from bztoken.registry.models import Sync
from bzwire import messages
from bzwire.page import CLOCK_UNSET

MAY_BE_BEHIND_S = 3600  # a computer that was off by less when it synced last is no reason to stop


def require_sane_clock(session: Session) -> None:
    """Raises LinkError when this computer's clock is earlier than a sync that is on record: tokens would believe it."""
    latest_s = session.scalar(select(func.max(Sync.started_s)))
    if latest_s is not None and time.time() < latest_s - MAY_BE_BEHIND_S:
        raise LinkError(
            "This computer's clock says that it is earlier than at the last sync: set date and time, then sync again; "
            "the token was not touched."
        )


async def read_clock(link: TokenLink, is_courier: bool) -> tuple[list[ClockReading], dict[str, Any]]:
    """What the clock said before it was set and after, and the token's status then. Raises LinkError.

    A courier sets only a clock that was never set, so there may be one reading. Setting the clock closes the present
    window, so every page that was heard before is numbered lower than the first reading's next_sequence.
    """
    asked, status = await _ask(link)
    if is_courier and status["ck"] != CLOCK_UNSET:
        return [reading(status, *asked)], status
    await link.command(messages.CMD_SET_CLOCK, t=time.time_ns() // 1_000_000)
    asked_again, settled = await _ask(link)
    return [reading(status, *asked, next_sequence=int(settled["n"])), reading(settled, *asked_again)], settled


async def _ask(link: TokenLink) -> tuple[tuple[int, int], dict[str, Any]]:
    """((this computer's clock before and after, in ns), status)."""
    before_ns = time.time_ns()
    status = await link.command(messages.CMD_STATUS)
    return (before_ns, time.time_ns()), status


def offset_ms(told: ClockReading) -> int | None:
    """How far the token was ahead of this computer; None while its clock was not set."""
    return None if told.clock_ms is None else told.clock_ms - told.at_ms
