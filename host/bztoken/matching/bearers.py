"""Who carried a device, and whether it hung at a place, at a moment. Numbers of rows only, never a name."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Hand(NamedTuple):
    """In whose hands a device was: [from_s, to_s), to_s None while it still is."""

    from_s: int
    to_s: int | None
    person_id: int | None
    site_id: int | None

    def holds_at(self, at_s: int) -> bool:
        """Whether at_s is within."""
        return self.from_s <= at_s and (self.to_s is None or at_s < self.to_s)


@dataclass(frozen=True)
class Bearers:
    """hands: by log; site_logs: of tokens that were made for a place, wherever they hang."""

    hands: Mapping[int, Sequence[Hand]] = field(default_factory=lambda: defaultdict(list))
    site_logs: frozenset[int] = frozenset()

    def person(self, log_id: int, at_s: int) -> int | None:
        """Whose device it was then; None: of nobody, or nobody wrote it down."""
        hand = self._hand(log_id, at_s)
        return None if hand is None else hand.person_id

    def is_place(self, log_id: int, at_s: int) -> bool:
        """Whether it hung at a place then: as it was handed out, else as it was made."""
        hand = self._hand(log_id, at_s)
        if hand is not None and hand.person_id is not None:
            return False
        return log_id in self.site_logs or (hand is not None and hand.site_id is not None)

    def _hand(self, log_id: int, at_s: int) -> Hand | None:
        return next((hand for hand in self.hands.get(log_id, ()) if hand.holds_at(at_s)), None)
