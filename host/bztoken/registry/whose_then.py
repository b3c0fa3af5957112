"""Whose devices were whose at many moments: `whose.by_log`, asked once for each time at which a token changed hands."""

from bisect import bisect_right
from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from bztoken.registry import whose
from bztoken.registry.models import Log, TokenIssue
from bztoken.registry.whose import Whose


class WhoseThen:
    """Of these logs; only what happened to their tokens costs a question."""

    def __init__(self, session: Session, log_ids: Collection[int]) -> None:
        self._session = session
        wanted = set(log_ids)
        query = select(Log.id, TokenIssue.issued_at_s, TokenIssue.returned_at_s)
        rows = session.execute(query.join(TokenIssue, TokenIssue.token_id == Log.token_id))
        changes = {at_s for log_id, *times in rows if log_id in wanted for at_s in times if at_s is not None}
        self._changes_s = sorted(changes)
        self._asked: dict[int, dict[int, Whose]] = {}

    def now(self) -> dict[int, Whose]:
        """Who stands behind each log now."""
        return whose.by_log(self._session)

    def of(self, log_id: int, at_s: int) -> Whose:
        """Who stood behind this log then, else who did last. KeyError for a log that is not there."""
        between = bisect_right(self._changes_s, at_s)
        if between not in self._asked:
            self._asked[between] = whose.by_log(self._session, at_s)
        return self._asked[between][log_id]
