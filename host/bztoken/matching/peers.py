"""Whose IDs a batch looks for: keys of cases, of their F1s and of sites, each with its owner. Rows in, no registry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from bztoken.formats.tracing_key import TracingKey
from bztoken.matching.bearers import Bearers
from bztoken.matching.key_columns import KeyColumns
from bztoken.matching.key_table import KeyTable, KnownId
from bztoken.matching.schemes import BLUEZONE, SCHEMES, Scheme
from bztoken.matching.tolerance import Int64s, Tolerance
from bzwire.bluezone import day_of

NEVER_S = 1 << 40  # later than any sighting


class Kind(StrEnum):
    """Why its keys are here."""

    CASE = "case"
    CONTACT = "contact"
    SITE = "site"


class Owner(NamedTuple):
    """case_id: the case, or the one whose contact it is, 0 for a site; log_id: of the contact or site, 0 for a case."""

    kind: Kind
    case_id: int
    log_id: int


class CaseFacts(NamedTuple):
    """What matching needs of a case beside its keys: its own logs and person, and what scoring asks (onset_day: its
    number since 1970; report_type: as in GAEN exports).

    published_s: sightings from then on do not count, since anybody may have replayed its keys; None: not published.
    window_s: the infectious window, [from, to); a key may reach out of it. None: unknown, all counts.
    """

    log_ids: frozenset[int] = frozenset()
    person_id: int | None = None
    onset_day: int | None = None
    report_type: int | None = None
    published_s: int | None = None
    window_s: tuple[int, int] | None = None


class Entry(NamedTuple):
    """A key and its owner; key None: only single IDs are known, `Peers.known` names them."""

    owner: Owner
    key: TracingKey | None


NO_FACTS = CaseFacts()


@dataclass(frozen=True)
class Peers:
    """Keys in the order that a key's index means (`keys.at`: None where only single IDs are known, which `known`
    names), for each the place of its owner in `owners`; facts of cases; who carried which device.
    """

    keys: KeyColumns
    owners: Sequence[Owner]
    owner_of_key: Int64s
    known: Sequence[KnownId] = ()
    facts: Mapping[int, CaseFacts] = field(default_factory=dict)
    bearers: Bearers = field(default_factory=Bearers)

    @classmethod
    def of(
        cls,
        entries: Sequence[Entry],
        known: Sequence[KnownId] = (),
        facts: Mapping[int, CaseFacts] | None = None,
        bearers: Bearers | None = None,
    ) -> "Peers":
        """Of entries that are objects."""
        places: dict[Owner, int] = {}
        owner_of_key = [places.setdefault(entry.owner, len(places)) for entry in entries]
        return cls(
            KeyColumns.of([entry.key for entry in entries]),
            list(places),
            np.array(owner_of_key, dtype=np.int64),
            known,
            {} if facts is None else facts,
            Bearers() if bearers is None else bearers,
        )

    @cached_property
    def until_s(self) -> Int64s:
        """For each key the second from which sightings do not count."""
        published = [self.facts_of(owner).published_s for owner in self.owners]
        return self._by_key([NEVER_S if at_s is None else at_s for at_s in published])

    @cached_property
    def from_s(self) -> Int64s:
        """For each key the first second of its case's infectious window: what ended before does not count."""
        windows = [self.facts_of(owner).window_s for owner in self.owners]
        return self._by_key([0 if window is None else window[0] for window in windows])

    @cached_property
    def to_s(self) -> Int64s:
        """For each key the second after that window: what began then or later does not count."""
        windows = [self.facts_of(owner).window_s for owner in self.owners]
        return self._by_key([NEVER_S if window is None else window[1] for window in windows])

    def __reduce__(self) -> tuple[Any, ...]:
        """Without what was worked out from them: whoever unpickles them does that anew."""
        return Peers, tuple(getattr(self, one.name) for one in fields(self))

    def _by_key(self, of_owners: list[int]) -> Int64s:
        return np.array(of_owners, dtype=np.int64)[self.owner_of_key]

    @cached_property
    def tables(self) -> dict[Scheme, KeyTable]:
        """One of each scheme. What phones told of their own IDs is Bluezone's."""
        return {scheme: KeyTable(scheme, self.keys, self.known if scheme is BLUEZONE else ()) for scheme in SCHEMES}

    def days(self, tolerance: Tolerance) -> list[int]:
        """Numbers of the UTC days in which anything can be found."""
        found = {
            day for scheme, table in self.tables.items() for day in table.days(scheme.tolerance(tolerance).largest_s)
        }
        return sorted(found)

    @cached_property
    def _made(self) -> dict[int, TracingKey | None]:
        return {}

    def key(self, index: int) -> TracingKey | None:
        """One of them as an object, made once: many sightings are of the same key."""
        if index not in self._made:
            self._made[index] = self.keys.at(index)
        return self._made[index]

    def facts_of(self, owner: Owner) -> CaseFacts:
        """Of a case itself; a contact and a site have none."""
        return self.facts.get(owner.case_id, NO_FACTS) if owner.kind is Kind.CASE else NO_FACTS

    def is_own(self, owner: Owner, log_id: int, at_s: int) -> bool:
        """Whether a device that heard an owner belongs to the same person, or to nobody of interest: the case, when it
        heard its contact; another site, when it heard a site.
        """
        if owner.kind is not Kind.CASE and owner.log_id == log_id:
            return True
        if owner.kind is Kind.SITE:
            return self.bearers.is_place(log_id, at_s)
        person_id = self.bearers.person(log_id, at_s)
        case = self.facts.get(owner.case_id, NO_FACTS)
        if log_id in case.log_ids or (person_id is not None and person_id == case.person_id):
            return True
        return (
            owner.kind is Kind.CONTACT
            and person_id is not None
            and person_id == self.bearers.person(owner.log_id, at_s)
        )

    def report_type(self, index: int) -> int | None:
        """As the key says, else as the case does."""
        key = self.key(index)
        told = None if key is None else key.report_type
        return self._facts_at(index).report_type if told is None else told

    def days_since_onset(self, index: int, at_s: int) -> int | None:
        """As the key says, else from the case's onset to the day of the sighting."""
        key = self.key(index)
        if key is not None and key.days_since_onset is not None:
            return key.days_since_onset
        onset_day = self._facts_at(index).onset_day
        return None if onset_day is None else day_of(at_s) - onset_day

    def _facts_at(self, index: int) -> CaseFacts:
        return self.facts_of(self.owners[int(self.owner_of_key[index])])
