"""Over a real cable: a sync reads and sets the clock, pages follow; a release of keys reads it too."""

import time

from sqlalchemy import select
from tests.case_desk import active_case
from tests.integration.clinic import Clinic, attached

from bztoken.registry import cases, tokens
from bztoken.registry.database import open_registry
from bztoken.registry.models import CaseKey, ClockPoint, Page, Sighting
from bztoken.sync import sync
from bztoken.tracing.case_release import last_days, release_keys
from bzwire.bluezone import DAY_S

AN = "Bà An"


def quiet(*_: object) -> None:
    """Nobody watches."""


def test_syncs_and_a_release_write_down_what_the_clock_said(clinic_of_an: Clinic) -> None:
    with attached(clinic_of_an.fleet) as there:
        port = there.ports[AN]
        sync(clinic_of_an.home, port, quiet)
        time.sleep(0.2)
        sync(clinic_of_an.home, port, quiet)
        released = release_keys(
            clinic_of_an.home, port, last_days(2, int(time.time())), lambda: there.order("press", AN, hold_s=3.3)
        )
    with open_registry(clinic_of_an.home) as registry, registry.write() as session:
        token = tokens.by_label(session, AN)
        active_case(session, "F0-1", cases.SOURCE_TOKEN, token, released.keys, int(time.time()))
    with open_registry(clinic_of_an.home) as registry, registry.read() as session:
        points = session.scalars(select(ClockPoint).order_by(ClockPoint.at_ms)).all()
        pages = session.scalars(select(Page).order_by(Page.sequence)).all()
        sightings = session.scalars(select(Sighting)).all()
        keys = session.scalars(select(CaseKey)).all()
    assert [point.was_set for point in points] == [True, False, True, False, False]
    assert all(point.clock_ms is not None and abs(point.clock_ms - point.at_ms) < 2000 for point in points)
    assert all(point.drift_bound_ppm == 50_000 and 1 <= point.uncertainty_ms < 1000 for point in points)
    assert [point.next_sequence for point in points] == sorted(point.next_sequence for point in points)
    # A virtual clock is right; without a reading at the hand-out the board's bound is all that is known.
    assert all(page.shift_ms is not None and abs(page.shift_ms) < 2000 for page in pages)
    spans_s = [(points[0].at_ms / 1000 - page.window_start_s) for page in pages]
    assert all(
        (page.uncertainty_ms or 0) < 5000 + max(0, span_s) * 60 for page, span_s in zip(pages, spans_s, strict=True)
    )
    assert sightings and all(seen.uncertainty_s is not None for seen in sightings)
    today = next(key for key in keys if key.time_start_s > time.time() - DAY_S - 10)
    assert today.uncertainty_s is not None
