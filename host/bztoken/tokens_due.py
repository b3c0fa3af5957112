"""Which tokens somebody should do something about, from what the registry knows, and why; most urgent first.

A token that was revoked is a task once it is plugged in again, one that was wiped never. What to do about a reason is
said by the command line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bztoken.registry import syncs, tokens
from bztoken.registry.last_known import LastKnown
from bztoken.registry.models import Sync, Token
from bztoken.token_status import Battery, is_nearly_full
from bzwire.bluezone import DAY_S

DEFAULT_DAYS = 7
# How long a token keeps what nobody reads, unless it was told otherwise (firmware/SPEC.md "Files on the token").
RETENTION_DAYS = {tokens.ROLE_PERSON: 14, tokens.ROLE_SITE: 21}
# A window of the log: a clock that was farther off put what was heard into a wrong one.
CLOCK_FAR_OFF_MS = 300_000
# A sync that began so long ago and did not end was killed.
LONGEST_SYNC_S = 3600


class Reason(StrEnum):
    """Why a token is due; most urgent first."""

    CLONE = "clone"
    SEEN_REVOKED = "seen though revoked"
    TO_BE_TOLD = "wearer to be told"
    ROLLBACK = "rollback"
    DEVELOPMENT = "development"
    BATTERY_EMPTY = "battery empty"
    BATTERY_SAVING = "battery saving"
    LOSING_ITS_LOG = "losing its log"
    NOT_SEEN = "not seen"
    LOG_DAMAGED = "log damaged"
    SYNC_CUT = "sync cut"
    FLASH_NEARLY_FULL = "flash nearly full"
    BATTERY_LOW = "battery low"
    CLOCK_LOST = "clock lost"
    CLOCK_FAR_OFF = "clock far off"
    UNFINISHED = "unfinished"
    OLD_FIRMWARE = "old firmware"
    RETURNED = "returned"


@dataclass(frozen=True)
class Due:
    """A token and why it is due, most urgent reason first. unseen_days: whole days since somebody spoke with it."""

    known: LastKnown
    reasons: list[Reason]
    unseen_days: int


def due(all_known: Sequence[LastKnown], now_s: int, days: int = DEFAULT_DAYS) -> list[Due]:
    """Those due among all tokens of a registry. days: a token should be seen that often."""
    newest = max((_version(known.told) for known in all_known), default=())
    found = []
    for known in all_known:
        if known.token.state in (tokens.STATE_ACTIVE, tokens.STATE_PENDING) or known.seen_revoked is not None:
            unseen_s = max(0, now_s - last_contact_s(known))
            reasons = _reasons(known, now_s, unseen_s, days, newest)
            if reasons:
                found.append(Due(known, reasons, unseen_s // DAY_S))
    urgency = {reason: place for place, reason in enumerate(Reason)}
    return sorted(found, key=lambda one: (urgency[one.reasons[0]], -one.unseen_days, one.known.token.id))


def last_contact_s(known: LastKnown) -> int:
    """When somebody last spoke with a token; provisioning it counts."""
    return max(known.token.provisioned_at_s, known.seen_s or 0)


def _reasons(known: LastKnown, now_s: int, unseen_s: int, days: int, newest: tuple[int, ...]) -> list[Reason]:
    found = (
        _of_row(known.token)
        | _of_absence(known.token, unseen_s, days)
        | _of_sync(known.sync, now_s)
        | _of_told(known.told)
        | {Reason.OLD_FIRMWARE: () < _version(known.told) < newest, Reason.RETURNED: known.is_returned}
        | {Reason.TO_BE_TOLD: known.is_to_be_told}
    )
    if known.token.state == tokens.STATE_PENDING:  # nobody has it yet: all else follows from that
        found = {Reason.UNFINISHED: True}
    if known.seen_revoked is not None:  # whatever else is wrong with it: nothing of it is read
        found = {Reason.SEEN_REVOKED: True}
    return [reason for reason in Reason if found.get(reason)]


def _of_row(token: Token) -> dict[Reason, bool]:
    return {
        Reason.CLONE: token.alarm == tokens.ALARM_CLONE,
        Reason.ROLLBACK: token.alarm == tokens.ALARM_ROLLBACK,
        Reason.DEVELOPMENT: token.development,
    }


def _of_absence(token: Token, unseen_s: int, days: int) -> dict[Reason, bool]:
    is_losing = unseen_s >= RETENTION_DAYS.get(token.role, RETENTION_DAYS[tokens.ROLE_PERSON]) * DAY_S
    return {
        Reason.LOSING_ITS_LOG: is_losing,
        Reason.NOT_SEEN: not is_losing and unseen_s >= days * DAY_S,
    }


def _of_sync(sync: Sync | None, now_s: int) -> dict[Reason, bool]:
    if sync is None:
        return {}
    was_killed = sync.state == syncs.STATE_RUNNING and now_s - sync.started_s > LONGEST_SYNC_S
    return {
        Reason.LOG_DAMAGED: sync.damaged_sequence is not None,
        Reason.SYNC_CUT: sync.damaged_sequence is None and (sync.state == syncs.STATE_CUT or was_killed),
        Reason.CLOCK_LOST: sync.clock_offset_ms is None,
        Reason.CLOCK_FAR_OFF: abs(sync.clock_offset_ms or 0) > CLOCK_FAR_OFF_MS,
    }


def _of_told(told: Sync | None) -> dict[Reason, bool]:
    if told is None:
        return {}
    return {
        Reason.BATTERY_EMPTY: told.battery_state == Battery.EMPTY,
        Reason.BATTERY_SAVING: told.battery_state == Battery.SAVING,
        Reason.BATTERY_LOW: told.battery_state == Battery.LOW,
        Reason.FLASH_NEARLY_FULL: is_nearly_full(told.flash_bytes, told.flash_free_bytes),
    }


def _version(told: Sync | None) -> tuple[int, ...]:
    """As it compares; empty for what nobody told or what is no version."""
    numbers = ((told.firmware if told is not None else None) or "").split(".")
    return tuple(int(number) for number in numbers) if all(number.isdecimal() for number in numbers) else ()
