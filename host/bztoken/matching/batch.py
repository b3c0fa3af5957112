"""Matches all keys of the registry against all logs, day by day, and keeps exposures, visits and follow-ups up to date.

Reading and computing happen on one snapshot; batch and what it found are then written in one transaction. What was
withdrawn or erased meanwhile does not come back: then all is computed again. A second run changes nothing.
"""

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bztoken.matching.contacts import DIRECT, Contacts, ExposureKey, contacts_of
from bztoken.matching.day import DayFound, day_text, score_day
from bztoken.matching.loading import load_day, load_offsets, load_peers
from bztoken.matching.peers import Peers
from bztoken.matching.rules import Preset, Score
from bztoken.matching.stays import Stay, StayFinder
from bztoken.matching.storing import store_exposures, store_visits
from bztoken.matching.tolerance import DEFAULT_TOLERANCE_S, Tolerance
from bztoken.registry import audit, cases
from bztoken.registry.database import Registry
from bztoken.registry.models import AuditEntry, Batch, Case, Log
from bztoken.scoring.choice import chosen
from bztoken.tracing import follow_up
from bzwire.bluezone import DAY_S

_TRIES_ON_A_SNAPSHOT = 2  # then it is computed under the write lock, where nobody can interfere
_TAKES_AWAY = (audit.Action.ERASE, audit.Action.WITHDRAW, audit.Action.PURGE)

Progress = Callable[[str, int, int], None]  # day, how many days are done, of how many


class BatchResult(NamedTuple):
    """What one run did. unknown_clocks, bad_clocks: sightings by tokens of whose clock nothing is known, or of which it
    is known that it may have been off by more than the tolerance for unknown ones. first_contacts, second_contacts:
    pairs of a case and an F1 or F2 of it; removed: exposures; visits: stays near a site's token.
    """

    days: int
    sightings: int
    exposures: int
    removed: int
    unknown_clocks: int = 0
    bad_clocks: int = 0
    first_contacts: int = 0
    second_contacts: int = 0
    visits: int = 0
    rule: str = ""


class _Standing(NamedTuple):
    """What a snapshot rests on: active cases, logs, and the last entry of the audit that says that something went."""

    case_ids: frozenset[int]
    log_ids: frozenset[int]
    last_taken_away: int

    def still_holds(self, now: "_Standing") -> bool:
        """Whether all of it is still there; what is new is for the next batch."""
        return (
            self.case_ids <= now.case_ids
            and self.log_ids <= now.log_ids
            and self.last_taken_away == now.last_taken_away
        )


class _Found(NamedTuple):
    preset: Preset
    standing: _Standing
    contacts: Contacts
    stays: list[Stay]
    days: int
    sightings: int
    unknown_clocks: int
    bad_clocks: int


class _Run(NamedTuple):
    started_s: int
    tolerance: Tolerance
    preset: Preset | None
    progress: Progress | None


def run_batch(
    registry: Registry,
    clock_s: Callable[[], int],
    tolerance_s: int = DEFAULT_TOLERANCE_S,
    preset: Preset | None = None,
    progress: Progress | None = None,
) -> BatchResult:
    """Match all, then write batch and findings together. Raises RegistryError or ScoringError; then nothing was
    written.

    tolerance_s: for clocks of which nothing is known; what is known of the others widens or narrows it. preset: None
    for the one that the admin chose.
    """
    run = _Run(clock_s(), Tolerance(tolerance_s), preset, progress)
    for _ in range(_TRIES_ON_A_SNAPSHOT):
        with registry.read() as session:
            found = _compute(session, run)
        with registry.write() as session:
            if found.standing.still_holds(_standing(session)):
                return _store(session, run, found, clock_s())
    with registry.write() as session:
        return _store(session, run, _compute(session, run), clock_s())


def _standing(session: Session) -> _Standing:
    active = session.scalars(select(Case.id).where(Case.state == cases.STATE_ACTIVE))
    last = session.scalar(select(func.max(AuditEntry.id)).where(AuditEntry.action.in_(_TAKES_AWAY)))
    return _Standing(frozenset(active), frozenset(session.scalars(select(Log.id))), last or 0)


def _compute(session: Session, run: _Run) -> _Found:
    preset = chosen(session) if run.preset is None else run.preset
    standing, peers, offsets = _standing(session), load_peers(session), load_offsets(session)
    days = peers.days(run.tolerance)
    scores: dict[ExposureKey, Score] = {}
    stays, finder = [], StayFinder()
    sightings = unknown = bad = 0
    for done, day in enumerate(days, 1):
        found = score_day(peers, load_day(session, day, offsets), run.tolerance, preset)
        stays += finder.add(found.at_sites, (day + 1) * DAY_S)
        scores.update(_keyed(found, peers, day_text(day)))
        sightings, unknown, bad = (
            sightings + found.sightings,
            unknown + found.unknown_clocks,
            bad + found.bad_clocks,
        )
        if run.progress is not None:
            run.progress(day_text(day), done, len(days))
    stays += finder.finish()
    contacts = contacts_of(scores, _places(scores, peers))
    return _Found(preset, standing, contacts, stays, len(days), sightings, unknown, bad)


def _keyed(found: DayFound, peers: Peers, day: str) -> dict[ExposureKey, Score]:
    owners = peers.owners
    return {
        ExposureKey(owners[owner].case_id, owners[owner].log_id, log_id, day): score
        for (owner, log_id), score in found.scores.items()
    }


def _places(scores: dict[ExposureKey, Score], peers: Peers) -> set[ExposureKey]:
    return {key for key, score in scores.items() if peers.bearers.is_place(key.log_id, score.first_s)}


def _store(session: Session, run: _Run, found: _Found, now_s: int) -> BatchResult:
    exposures, first, second = found.contacts
    batch = Batch(
        started_s=run.started_s,
        finished_s=now_s,
        rule=found.preset.name,
        rule_version=found.preset.version,
        tolerance_s=run.tolerance.unknown_s,
        days=found.days,
        sightings=found.sightings,
        exposures=len(exposures),
        second_contacts=sum(key.via_log_id != DIRECT for key in exposures),
        visits=len(found.stays),
    )
    session.add(batch)
    session.flush()
    removed = store_exposures(session, batch, exposures)
    store_visits(session, batch, found.stays)
    follow_up.update(session, now_s)
    detail = f"rule {batch.rule} {batch.rule_version}: {len(first)} F1, {len(second)} F2, {batch.visits} visits"
    audit.record(session, audit.Action.MATCH, audit.What.REGISTRY, now_s, batch.id, detail)
    return BatchResult(
        days=found.days,
        sightings=found.sightings,
        exposures=len(exposures),
        removed=removed,
        unknown_clocks=found.unknown_clocks,
        bad_clocks=found.bad_clocks,
        first_contacts=len(first),
        second_contacts=len(second),
        visits=len(found.stays),
        rule=f"{batch.rule} {batch.rule_version}",
    )
