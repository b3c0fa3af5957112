"""What a piece of a token's log becomes: pages, sightings and the right to acknowledge, in one transaction.

The caller commits, and only then tells the token what it may delete. On a courier's computer, which holds no log key,
pages are kept as they are and give no such right.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from bztoken.registry import pages
from bztoken.registry.models import Log


@dataclass
class Intake:
    """What one piece gave. damaged: sequences of pages that do not open; safe_sequence: what the token may delete."""

    new: int = 0
    known: int = 0
    damaged: list[int] = field(default_factory=list)
    safe_sequence: int = 0


def take_pages(
    session: Session,
    log: Log,
    raws: Sequence[bytes],
    first_log_key: bytes | None,
    now_s: int,
    next_sequence: int,
    keep_from: int | None,
) -> Intake:
    """Store whole pages, in order of their sequence, up to `next_sequence`.

    keep_from: the lowest page that the token must not delete, if there is one. first_log_key: None on a courier's
    computer. Raises PageConflict; then nothing of the piece may stay.
    """
    imported = pages.import_pages(session, log, raws, first_log_key, now_s)
    found = Intake(imported.new, imported.known, list(imported.damaged))
    if first_log_key is None:
        return found
    keep = [sequence for sequence in (keep_from, *found.damaged) if sequence is not None]
    found.safe_sequence = log.safe_sequence = max(0, min([next_sequence, *keep]) - 1)
    return found
