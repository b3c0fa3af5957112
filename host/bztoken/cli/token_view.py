"""One token as a list shows it: cells of a table, fields of a JSON document."""

from datetime import tzinfo

from bztoken.cli.output import local_day_and_time
from bztoken.cli.status import battery_in_words
from bztoken.registry.last_known import LastKnown
from bztoken.registry.models import Sync, Token
from bztoken.token_life import Step

NOTHING = "-"


def document(known: LastKnown, step: Step, pages: int) -> dict[str, object]:
    """As JSON has it."""
    token, sync, told = known.token, known.sync, known.told
    return {
        "label": token.label,
        "role": token.role,
        "state": token.state,
        "step": step.value,
        "alarm": token.alarm,
        "development": token.development,
        "board": token.board,
        "number": token.number,
        "place": token.place,
        "provisioned_at_s": token.provisioned_at_s,
        "last_seen_s": known.seen_s,
        "pages": pages,
        "clock_offset_ms": None if sync is None else sync.clock_offset_ms,
        "firmware": known.firmware,
        "battery": None if told is None else told.battery_state,
        "battery_mv": None if told is None else told.battery_mv,
        "flash_bytes": None if told is None else told.flash_bytes,
        "flash_free_bytes": None if told is None else told.flash_free_bytes,
        "lost_results": None if told is None else told.lost_results,
        "drift_ppm": None if told is None else told.drift_ppm,
    }


def headings(zone: str) -> tuple[str, ...]:
    """Of the table of tokens."""
    seen_at = f"last seen ({zone})"
    return "label", "role", "state", "step", "alarm", "board", "firmware", seen_at, "battery", "pages", "clock"


def row(known: LastKnown, step: Step, pages: int, local: tzinfo) -> tuple[object, ...]:
    """Under these headings."""
    token, told = known.token, known.told
    return (
        token.label,
        token.role,
        token.state,
        step.value,
        _alarm(token),
        token.board,
        known.firmware or NOTHING,
        seen(known, local),
        battery(told),
        pages,
        clock(known.sync),
    )


def _alarm(token: Token) -> str:
    """Why it is not to be worn as it is."""
    return ", ".join([*filter(None, [token.alarm]), *(["development"] if token.development else [])]) or NOTHING


def seen(known: LastKnown, local: tzinfo) -> str:
    """When, or never."""
    return "never" if known.seen_s is None else local_day_and_time(known.seen_s, local)


def battery(told: Sync | None) -> str:
    """As the token told it then."""
    if told is None or told.battery_state is None:
        return NOTHING
    return battery_in_words(told.battery_state, told.battery_mv or 0)


def clock(sync: Sync | None) -> str:
    """As the last sync found it."""
    if sync is None:
        return NOTHING
    if sync.clock_offset_ms is None:
        return "was not set"
    return f"{abs(sync.clock_offset_ms) / 1000:.1f} s off"
