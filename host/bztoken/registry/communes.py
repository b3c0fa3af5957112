"""Communes: where people and sites are, and how many people of 60 and more live there, by a source that is named.

A commune is found however it is typed: without accents, and without the word before its name (xã, phường).
"""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from bztoken.errors import PersonError
from bztoken.registry import audit, labels
from bztoken.registry.folding import folded
from bztoken.registry.models import Commune

# Words that say what kind of unit it is, folded; people leave them out.
KIND_WORDS = ("xa", "phuong", "thi tran", "dac khu")
MAX_OVER60 = 1_000_000  # our choice: no commune of Vietnam has so many


def add(session: Session, name: str, now_s: int, over60: int | None = None, source: str | None = None) -> Commune:
    """Record a commune. Raises PersonError when it is there already, or a figure that cannot be or has no source."""
    commune = Commune(name=labels.required(name, "a commune needs a name: nothing was changed"))
    commune.folded = folded(commune.name)
    if by_whole_name(session, commune.name) is not None:
        raise PersonError(
            "this commune is here already: nothing was changed; `bztoken commune list` shows them all, "
            "`bztoken commune change` puts its figures right"
        )
    _set_figures(commune, over60, source)
    session.add(commune)
    session.flush()
    audit.record(session, audit.Action.ADD, audit.What.COMMUNE, now_s, commune.id)
    return commune


def change(session: Session, commune: Commune, now_s: int, over60: int | None, source: str | None) -> bool:
    """Put its figure right; False when it was so already. Raises as `add` does."""
    before = commune.over60, commune.source
    _set_figures(commune, over60, source)
    if (commune.over60, commune.source) == before:
        return False
    session.flush()
    audit.record(session, audit.Action.CHANGE, audit.What.COMMUNE, now_s, commune.id, "people of 60 and more")
    return True


def by_name(session: Session, name: str) -> Commune | None:
    """The commune that is meant; None: none, or several."""
    everywhere = all_communes(session)
    wanted = folded(name)
    whole = [commune for commune in everywhere if commune.folded == wanted]
    found = whole or [commune for commune in everywhere if _short(commune.folded) == _short(wanted)]
    return found[0] if len(found) == 1 else None


def by_whole_name(session: Session, name: str) -> Commune | None:
    """The commune of just this name, with accents or without."""
    return session.scalar(select(Commune).where(Commune.folded == folded(name)))


def by_known_name(session: Session, name: str) -> Commune:
    """The commune that is meant. Raises PersonError when there is none, or several."""
    commune = by_name(session, name)
    if commune is None:
        raise PersonError(
            "no commune of this registry is called so, or several are: nothing was changed; `bztoken commune list` "
            "shows them all, `bztoken commune add` adds one"
        )
    return commune


def all_communes(session: Session) -> Sequence[Commune]:
    """Every commune, by name."""
    return session.scalars(select(Commune).order_by(Commune.folded, Commune.name)).all()


def _set_figures(commune: Commune, over60: int | None, source: str | None) -> None:
    if over60 is not None:
        if not 0 <= over60 <= MAX_OVER60:
            raise PersonError(
                f"so many people of 60 and more cannot live there: nothing was changed (0 to {MAX_OVER60})"
            )
        if source is None:
            raise PersonError(
                "a figure needs its source (--source), so that others can look it up: nothing was changed"
            )
        commune.over60 = over60
    if source is not None:
        commune.source = labels.required(source, "a source needs a name: nothing was changed")


def _short(name: str) -> str:
    """Without the word that says what kind of unit it is."""
    for word in KIND_WORDS:
        if name.startswith(word + " "):
            return name.removeprefix(word + " ")
    return name
