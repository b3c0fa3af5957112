"""Which pages of a token's log are not here, when they came in pieces and out of order: bundles of several couriers."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from bztoken.registry.models import Log, Page


def first_missing(session: Session, log: Log, first_sequence: int) -> int:
    """The lowest page number from `first_sequence` on that this log lacks."""
    expected = first_sequence
    query = select(Page.sequence).where(Page.log_id == log.id, Page.sequence >= first_sequence).order_by(Page.sequence)
    for sequence in session.scalars(query):
        if sequence > expected:
            break
        expected = sequence + 1
    return expected


def allow_deletion(session: Session, log: Log) -> None:
    """Let the token be told to delete what is here without a gap behind what it may delete already."""
    log.safe_sequence = max(log.safe_sequence, first_missing(session, log, log.safe_sequence + 1) - 1)


def read_on_from(session: Session, log: Log, first_on_token: int, stored: int, keep_from: int | None) -> int:
    """Where a sync goes on: at the first gap, else at `stored`, behind the last page that is here.

    first_on_token: the oldest page that the token still has. From `keep_from` on it keeps all, so a gap there, at the
    page that was damaged, costs nothing and is not read anew at every sync. Up to `safe_sequence` all were here: what
    is not any more was deleted for its age.
    """
    missing = first_missing(session, log, max(first_on_token, log.safe_sequence + 1 if log.safe_sequence else 0))
    return stored if keep_from is not None and missing >= keep_from else min(missing, stored)
