"""Matches all keys of the registry against all logs, day by day, and keeps exposures, visits and follow-ups up to date.

Reading and computing happen on one snapshot; batch and what it found are then written in one transaction. What was
withdrawn or erased meanwhile does not come back: then all is computed again. A second run changes nothing, and one that
was stopped goes on with the day it had come to.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bztoken.errors import RegistryError
from bztoken.matching.contacts import DIRECT
from bztoken.matching.engines import Engine
from bztoken.matching.engines.local import LocalEngine
from bztoken.matching.loading import load_peers
from bztoken.matching.registry_source import RegistrySources
from bztoken.matching.rules import Preset
from bztoken.matching.run import KeepsNothing, Kept, Progress, match_days, opened
from bztoken.matching.storing import store_exposures, store_visits
from bztoken.matching.task import Context
from bztoken.matching.together import Together, put_together
from bztoken.matching.tolerance import DEFAULT_TOLERANCE_S, Tolerance
from bztoken.registry import audit, cases, matched_days
from bztoken.registry.database import Registry
from bztoken.registry.models import AuditEntry, Batch, Case, Log
from bztoken.scoring.choice import chosen
from bztoken.tracing import follow_up

_TRIES_ON_A_SNAPSHOT = 2  # then it is computed under the write lock, where nobody can interfere
_TAKES_AWAY = (audit.Action.ERASE, audit.Action.WITHDRAW, audit.Action.PURGE)


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
    together: Together


class _Run(NamedTuple):
    clock_s: Callable[[], int]
    started_s: int
    tolerance: Tolerance
    preset: Preset | None
    progress: Progress | None
    engine: Engine


def run_batch(
    registry: Registry,
    clock_s: Callable[[], int],
    tolerance_s: int = DEFAULT_TOLERANCE_S,
    preset: Preset | None = None,
    progress: Progress | None = None,
    engine: Engine | None = None,
) -> BatchResult:
    """Match all, then write batch and findings together. Raises RegistryError, ScoringError or EngineError; then of
    what was found nothing shows, but days that were matched are kept for the next run.

    tolerance_s: for clocks of which nothing is known; what is known of the others widens or narrows it. preset: None
    for the one that the admin chose. engine: None for one that takes as many cores as are worth it.
    """
    run = _Run(clock_s, clock_s(), Tolerance(tolerance_s), preset, progress, engine or LocalEngine())
    for _ in range(_TRIES_ON_A_SNAPSHOT):
        found = _compute(registry, run)
        with registry.write() as session:
            if found.standing.still_holds(_standing(session)):
                return _store(session, run, found, clock_s())
    with registry.write() as session:
        return _store(session, run, _compute_locked(registry, run, session), clock_s())


def _standing(session: Session) -> _Standing:
    active = session.scalars(select(Case.id).where(Case.state == cases.STATE_ACTIVE))
    last = session.scalar(select(func.max(AuditEntry.id)).where(AuditEntry.action.in_(_TAKES_AWAY)))
    return _Standing(frozenset(active), frozenset(session.scalars(select(Log.id))), last or 0)


def _compute(registry: Registry, run: _Run) -> _Found:
    """On a snapshot; what was matched of it is kept from day to day."""
    sources = _sources(registry)
    with registry.read() as session:
        return _on_snapshot(session, run, sources, sources.held(), partial(_KeptInRegistry, registry, run.clock_s))


def _compute_locked(registry: Registry, run: _Run, session: Session) -> _Found:
    """With a session that has the write lock."""
    return _on_snapshot(session, run, _sources(registry), nullcontext(), lambda _: KeepsNothing())


def _sources(registry: Registry) -> RegistrySources:
    if registry.place is None:
        raise RegistryError("a registry is matched by its folder: nothing was changed")
    return RegistrySources(registry.place)


def _on_snapshot(
    session: Session,
    run: _Run,
    sources: RegistrySources,
    held: AbstractContextManager[None],
    kept: Callable[[_Standing], Kept],
) -> _Found:
    with ExitStack() as stack:
        with held:
            preset = chosen(session) if run.preset is None else run.preset
            standing, peers = _standing(session), load_peers(session)
            to = stack.enter_context(opened(run.engine, Context(sources, peers, run.tolerance, preset)))
        days = match_days(to, kept(standing), run.progress)
    return _Found(preset, standing, put_together(days, peers))


class _KeptInRegistry:
    """See `matching.run.Kept`: encrypted like all else there. standing: of the snapshot that is matched."""

    def __init__(self, registry: Registry, clock_s: Callable[[], int], standing: _Standing) -> None:
        self._registry, self._clock_s, self._standing = registry, clock_s, standing

    def get(self, day: int, mark: bytes) -> bytes | None:
        with self._registry.read() as session:
            return matched_days.found_on(session, day, mark)

    def put(self, day: int, mark: bytes, found: bytes) -> None:
        with self._registry.write() as session:
            if self._standing.still_holds(_standing(session)):  # else it would bring back what was taken away
                matched_days.keep(session, day, mark, found, self._clock_s())


def _store(session: Session, run: _Run, found: _Found, now_s: int) -> BatchResult:
    together = found.together
    exposures, first, second = together.contacts
    batch = Batch(
        started_s=run.started_s,
        finished_s=now_s,
        rule=found.preset.name,
        rule_version=found.preset.version,
        tolerance_s=run.tolerance.unknown_s,
        days=together.days,
        sightings=together.sightings,
        exposures=len(exposures),
        second_contacts=sum(key.via_log_id != DIRECT for key in exposures),
        visits=len(together.stays),
    )
    session.add(batch)
    session.flush()
    matched_days.forget(session)
    removed = store_exposures(session, batch, exposures)
    store_visits(session, batch, together.stays)
    follow_up.update(session, now_s)
    detail = f"rule {batch.rule} {batch.rule_version}: {len(first)} F1, {len(second)} F2, {batch.visits} visits"
    audit.record(session, audit.Action.MATCH, audit.What.REGISTRY, now_s, batch.id, detail)
    return BatchResult(
        days=together.days,
        sightings=together.sightings,
        exposures=len(exposures),
        removed=removed,
        unknown_clocks=together.unknown_clocks,
        bad_clocks=together.bad_clocks,
        first_contacts=len(first),
        second_contacts=len(second),
        visits=len(together.stays),
        rule=f"{batch.rule} {batch.rule_version}",
    )
