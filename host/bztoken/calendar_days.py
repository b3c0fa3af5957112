"""Days as people in Vietnam mean them: the country has had UTC+7 throughout, and no computer's zone changes a day."""

from datetime import date, datetime, timedelta, timezone

VIETNAM = timezone(timedelta(hours=7))


def day_of(unix_s: int) -> date:
    """The day on which this is, in Vietnam."""
    return datetime.fromtimestamp(unix_s, VIETNAM).date()


def day_typed(text: str) -> date | None:
    """A day as in 2026-11-24; None for a text that is no day."""
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        return None
    return day if day.isoformat() == text.strip() else None
