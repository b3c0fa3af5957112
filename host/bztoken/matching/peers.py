"""Whose IDs a batch looks for: keys of cases, of their F1s and of sites, each with its owner. Rows in, no registry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

import numpy as np

from bztoken.formats.tracing_key import TracingKey
from bztoken.matching.bearers import Bearers
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
    """Entries, in the order that a key's index means; IDs of phones; facts of cases; who carried which device."""

    entries: Sequence[Entry]
    known: Sequence[KnownId] = ()
    facts: Mapping[int, CaseFacts] = field(default_factory=dict)
    bearers: Bearers = field(default_factory=Bearers)

    @cached_property
    def owners(self) -> list[Owner]:
        """Each once."""
        return list(dict.fromkeys(entry.owner for entry in self.entries))

    @cached_property
    def owner_of_entry(self) -> Int64s:
        """For each entry the place of its owner in `owners`."""
        places = {owner: place for place, owner in enumerate(self.owners)}
        return np.array([places[entry.owner] for entry in self.entries], dtype=np.int64)

    @cached_property
    def until_s(self) -> Int64s:
        """For each entry the second from which sightings do not count."""
        published = [self.facts_of(entry.owner).published_s for entry in self.entries]
        return np.array([NEVER_S if at_s is None else at_s for at_s in published], dtype=np.int64)

    @cached_property
    def from_s(self) -> Int64s:
        """For each entry the first second of its case's infectious window: what ended before does not count."""
        windows = [self.facts_of(entry.owner).window_s for entry in self.entries]
        return np.array([0 if window is None else window[0] for window in windows], dtype=np.int64)

    @cached_property
    def to_s(self) -> Int64s:
        """For each entry the second after that window: what began then or later does not count."""
        windows = [self.facts_of(entry.owner).window_s for entry in self.entries]
        return np.array([NEVER_S if window is None else window[1] for window in windows], dtype=np.int64)

    @cached_property
    def tables(self) -> dict[Scheme, KeyTable]:
        """One of each scheme. What phones told of their own IDs is Bluezone's."""
        keys = [entry.key for entry in self.entries]
        return {scheme: KeyTable(scheme, keys, self.known if scheme is BLUEZONE else ()) for scheme in SCHEMES}

    def days(self, tolerance: Tolerance) -> list[int]:
        """Numbers of the UTC days in which anything can be found."""
        found = {
            day for scheme, table in self.tables.items() for day in table.days(scheme.tolerance(tolerance).largest_s)
        }
        return sorted(found)

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
        entry = self.entries[index]
        told = None if entry.key is None else entry.key.report_type
        return self.facts_of(entry.owner).report_type if told is None else told

    def days_since_onset(self, index: int, at_s: int) -> int | None:
        """As the key says, else from the case's onset to the day of the sighting."""
        entry = self.entries[index]
        if entry.key is not None and entry.key.days_since_onset is not None:
            return entry.key.days_since_onset
        onset_day = self.facts_of(entry.owner).onset_day
        return None if onset_day is None else day_of(at_s) - onset_day
