"""Takes a list of communes into the registry, all of it or nothing; a list may be repeated with other figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from bztoken.errors import FormatError, PersonError, RegistryError
from bztoken.formats.commune_list import CommuneLine
from bztoken.registry import communes
from bztoken.registry.folding import folded


@dataclass
class TakenIn:
    """What a list brought."""

    added: int = 0
    changed: int = 0
    known: int = 0


def take_in(session: Session, path: Path, lines: Sequence[CommuneLine], now_s: int) -> TakenIn:
    """Add and put right, or raise FormatError with the line; then the caller's transaction must end."""
    done = TakenIn()
    seen: dict[str, int] = {}
    for line in lines:
        if seen.setdefault(folded(line.name), line.number) != line.number:
            raise FormatError(path, line.number, f"this commune is in line {seen[folded(line.name)]} already")
        try:
            _take_in_line(session, line, now_s, done)
        except (PersonError, RegistryError) as error:
            raise FormatError(path, line.number, str(error)) from error
    return done


def _take_in_line(session: Session, line: CommuneLine, now_s: int, done: TakenIn) -> None:
    known = communes.by_whole_name(session, line.name)
    if known is None:
        communes.add(session, line.name, now_s, line.over60, line.source or None)
        done.added += 1
    elif communes.change(session, known, now_s, line.over60, line.source or None):
        done.changed += 1
    else:
        done.known += 1
