"""What a contact is told, in words: `notice_texts.toml`, chosen by what is to be done about them.

A text never says who is infected, where, at what hour, or the case. It names the day of an F1 only if their device
heard at least CROWD_IDS different IDs within one window while the case was near: with fewer people around, the wearer
could tell from the day who it was. A device changes its ID at most once in a window, so these are at least five others.
The day of an F2 is never said, for there it is about somebody who may be well. Both are our choice.
"""

import tomllib
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bztoken.errors import FollowUpError
from bztoken.registry.models import Exposure, Sighting
from bztoken.tracing.follow_up_list import Contact

FILE = Path(__file__).with_suffix(".toml")
CROWD_IDS = 10
_F1 = 1


class Language(StrEnum):
    """Those that there are texts in."""

    VIETNAMESE = "vi"
    ENGLISH = "en"


class Kind(StrEnum):
    """What it is about; OVER: what they were told before no longer holds."""

    F1 = "F1"
    F2 = "F2"
    OVER = "over"


_SENTENCES = {
    Kind.F1: ("what", "do", "calm", "fever", "not_told", "thanks"),
    Kind.F2: ("what", "do", "calm", "fever", "not_told", "thanks"),
    Kind.OVER: ("what", "sorry", "fever", "thanks"),
}


@dataclass(frozen=True)
class NoticeText:
    """In one language. call: what stands before the number; day: the local day that it names, None: it names none."""

    kind: Kind
    language: Language
    version: int
    is_reviewed: bool
    title: str
    sentences: tuple[str, ...]
    call: str
    day: date | None = None

    def plain(self, whom: str = "") -> str:
        """As it is read out; whom: whom to call, empty leaves a line to write on."""
        last = f"{self.call}: {whom or '.' * 30}"
        return "\n\n".join([self.title, *self.sentences, last]) + "\n"


def kind_for(contact: Contact) -> Kind:
    """By what comes first about this person: OVER only if nothing that was to be told still holds. Raises FollowUpError
    when there is nothing to tell.
    """
    if not contact.first.is_to_do:
        raise FollowUpError(
            "there is nothing to tell this person any more: no text was made; `bztoken follow-up show` tells why"
        )
    if contact.first.no_longer_holds:
        return Kind.OVER
    return Kind.F1 if contact.first.row.degree == _F1 else Kind.F2


def text_of(kind: Kind, language: Language, day: date | None = None) -> NoticeText:
    """The words. day: to be named; only of an F1."""
    words = _file()[language]
    own: dict[str, str] = words[kind]
    found = {key: own.get(key) or words[key] for key in _SENTENCES[kind]}
    if kind != Kind.F1:
        day = None
    if day is not None:
        found["what"] = own["what_day"].format(day=_day_in_words(words, day))
        found["not_told"] = words["not_told_day"]
    is_reviewed = bool(_file()["reviewed"])
    version = int(_file()["version"])
    return NoticeText(kind, language, version, is_reviewed, words["title"], tuple(found.values()), words["call"], day)


def for_contact(session: Session, contact: Contact, language: Language, zone: tzinfo) -> NoticeText:
    """What to tell this person, with the day where that gives away nobody. The caller records that somebody looked.

    Raises FollowUpError as `kind_for` does.
    """
    kind = kind_for(contact)
    day = _day_to_name(session, contact, zone) if kind == Kind.F1 else None
    return text_of(kind, language, day)


def _day_to_name(session: Session, contact: Contact, zone: tzinfo) -> date | None:
    """The local day on which the case was last heard, unless it gives somebody away, or is deleted for its age."""
    item = contact.first.row
    latest = session.scalar(
        select(Exposure)
        .where(Exposure.case_id == item.case_id, Exposure.log_id == item.log_id, Exposure.verdict == Kind.F1.value)
        .order_by(Exposure.last_s.desc())
        .limit(1)
    )
    if latest is None or _largest_crowd(session, latest) < CROWD_IDS:
        return None
    return datetime.fromtimestamp(latest.last_s, zone).date()


def _largest_crowd(session: Session, exposure: Exposure) -> int:
    """How many different IDs the device heard in one window at most, from the case's first sighting to its last."""
    counts = (
        select(func.count(Sighting.rotating_id.distinct()).label("ids"))
        .where(
            Sighting.log_id == exposure.log_id,
            Sighting.first_s >= exposure.first_s,
            Sighting.first_s <= exposure.last_s,
        )
        .group_by(Sighting.window_start_s)
        .subquery()
    )
    return session.scalar(select(func.max(counts.c.ids))) or 0


def _day_in_words(words: dict[str, Any], day: date) -> str:
    months: list[str] = words.get("months", [""] * 12)
    in_words: str = words["day"].format(day=day.day, month=day.month, month_name=months[day.month - 1])
    return in_words


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))
