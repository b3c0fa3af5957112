"""Matches keys against a lake of encounters: who, in which clinic's log, was near whom on which day.

Nothing is stored but the days of a batch that was stopped, with which the next one of the same keys goes on. Clinics
are told which of their logs it is about; only they know whose those are.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

from sqlalchemy.orm import Session

from bztoken.lake.clinic_id import known_clinic_id
from bztoken.lake.columns import CLINIC_BITS
from bztoken.lake.folder import Folder
from bztoken.lake.hands import lake_wide
from bztoken.lake.source import LakeFactory, LakeSource
from bztoken.matching.bearers import Bearers, Hand
from bztoken.matching.contacts import DIRECT, ExposureKey
from bztoken.matching.engines import Engine
from bztoken.matching.kept_folder import KeptFolder
from bztoken.matching.loading import load_peers
from bztoken.matching.loose_keys import LooseKeys
from bztoken.matching.peers import CaseFacts, Owner, Peers
from bztoken.matching.rules import Preset, Score
from bztoken.matching.run import Progress, match_days, opened, plan_digest
from bztoken.matching.stays import Stay
from bztoken.matching.task import Context
from bztoken.matching.together import put_together
from bztoken.matching.tolerance import Tolerance
from bztoken.registry.models import Case


class LakeLog(NamedTuple):
    """A log as its clinic knows it; clinic: the name that it has in the lake, None for one that is not in it."""

    clinic: str | None
    number: int


class LakeExposure(NamedTuple):
    """case: its name, or which entry of which file; via: the contact's log, None where the case itself was met."""

    case: str
    via: LakeLog | None
    log: LakeLog
    day: str
    score: Score


class LakeVisit(NamedTuple):
    """A stay of a device near a site's token."""

    site: LakeLog
    log: LakeLog
    stay: Stay


class LakeMatch(NamedTuple):
    """startup_s: until the engine could work; work_s: from then on. rows: sightings of the days that were looked at."""

    days: int
    rows: int
    sightings: int
    unknown_clocks: int
    bad_clocks: int
    exposures: list[LakeExposure]
    visits: list[LakeVisit]
    startup_s: float
    work_s: float


class Wanted(Protocol):
    """Whose IDs are looked for."""

    def peers(self, lake: LakeSource) -> Peers:
        """By the numbers of this lake."""

    def case_name(self, case_id: int) -> str:
        """What a case is called."""


class OfFiles:
    """Keys of case lists and GAEN exports."""

    def __init__(self, keys: LooseKeys) -> None:
        self._keys = keys

    def peers(self, lake: LakeSource) -> Peers:
        """Whose own logs these cases have nobody knows."""
        return self._keys.peers(lake.bearers())

    def case_name(self, case_id: int) -> str:
        """Which entry of which file."""
        return self._keys.name_of(case_id)


class OfRegistry:
    """Keys of active cases, of their contacts and of sites. A registry that is one of the lake's clinics knows its own
    logs there; another one's have no number in it.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def peers(self, lake: LakeSource) -> Peers:
        """Raises RegistryError."""
        clinic = lake.clinics.get(known_clinic_id(self._session) or "")
        moved = _Moved(0 if clinic is None else clinic.number)
        peers = moved.peers(load_peers(self._session))
        there = lake.bearers()
        hands = {**there.hands, **peers.bearers.hands}  # the registry's own are newer than its latest `lake add`
        return replace(peers, bearers=Bearers(hands, there.site_logs | peers.bearers.site_logs))

    def case_name(self, case_id: int) -> str:
        """As it was recorded."""
        return self._session.get_one(Case, case_id).name


@dataclass(frozen=True)
class _Moved:
    """From the numbers of one registry to those of the lake."""

    clinic_number: int

    def number(self, number: int) -> int:
        return lake_wide(number, self.clinic_number)

    def peers(self, peers: Peers) -> Peers:
        return replace(
            peers,
            owners=[self._owner(owner) for owner in peers.owners],
            facts={case_id: self._facts(facts) for case_id, facts in peers.facts.items()},
            bearers=Bearers(
                {self.number(log_id): list(map(self._hand, hands)) for log_id, hands in peers.bearers.hands.items()},
                frozenset(map(self.number, peers.bearers.site_logs)),
            ),
        )

    def _owner(self, owner: Owner) -> Owner:
        return owner._replace(log_id=self.number(owner.log_id)) if owner.log_id else owner

    def _facts(self, facts: CaseFacts) -> CaseFacts:
        person_id = None if facts.person_id is None else self.number(facts.person_id)
        return facts._replace(log_ids=frozenset(map(self.number, facts.log_ids)), person_id=person_id)

    def _hand(self, hand: Hand) -> Hand:
        return hand if hand.person_id is None else hand._replace(person_id=self.number(hand.person_id))


def match_lake(
    path: Path,
    wanted: Wanted,
    tolerance_s: int,
    preset: Preset,
    engine: Engine,
    progress: Progress | None = None,
) -> LakeMatch:
    """Raises LakeError, EngineError, RegistryError; then days that were matched are kept for the next run."""
    sources = LakeFactory(path.resolve())
    with ExitStack() as stack:
        stack.enter_context(sources.held())  # for all of it: a day is read when its turn comes
        lake = sources()
        peers = wanted.peers(lake)
        to = stack.enter_context(opened(engine, Context(sources, peers, Tolerance(tolerance_s), preset)))
        began = time.monotonic()
        kept = KeptFolder(Folder(sources.path).stopped, plan_digest(to.context))
        together = put_together(match_days(to, kept, progress), peers)
        work_s = time.monotonic() - began
        kept.forget()
    named = _Named(lake, wanted.case_name)
    return LakeMatch(
        together.days,
        sum(to.rows.get(day, 0) for day in peers.days(to.context.tolerance)),
        together.sightings,
        together.unknown_clocks,
        together.bad_clocks,
        [named.exposure(key, score) for key, score in sorted(together.contacts.exposures.items())],
        [LakeVisit(named.log(stay.site_log_id), named.log(stay.log_id), stay) for stay in together.stays],
        engine.startup_s,
        work_s,
    )


class _Named:
    """Puts the names of clinics in the place of their numbers."""

    def __init__(self, lake: LakeSource, case_name: Callable[[int], str]) -> None:
        self._clinics = {clinic.number: clinic.name for clinic in lake.clinics.values()}
        self._case_name = case_name

    def log(self, number: int) -> LakeLog:
        return LakeLog(self._clinics.get(number >> CLINIC_BITS), number & ((1 << CLINIC_BITS) - 1))

    def exposure(self, key: ExposureKey, score: Score) -> LakeExposure:
        via = None if key.via_log_id == DIRECT else self.log(key.via_log_id)
        return LakeExposure(self._case_name(key.case_id), via, self.log(key.log_id), key.day, score)
