"""`match` is killed at many of its lines: the registry is whole, and the next one finds what one never killed finds."""

import shutil
from pathlib import Path

from sqlalchemy import select
from tests.case_desk import active_case
from tests.host.contacts_of_cases import NOW_S, Village
from tests.host.killed_program import killed_at_line

from bztoken.formats.tracing_key import TracingKey
from bztoken.home import Home
from bztoken.matching import batch, storing
from bztoken.registry import audit, audit_head, follow_ups
from bztoken.registry.checking import check
from bztoken.registry.database import create_registry, open_registry
from bztoken.registry.models import Exposure, FollowUp, Sighting
from bztoken.tracing import follow_up
from bzwire.bluezone import slot_id

MODULES = (batch, storing, follow_up, follow_ups, audit, audit_head)
STEP = 7  # every seventh line, and the last ones
DAY_S = 86400
Found = tuple[list[tuple[object, ...]], list[tuple[object, ...]]]


def test_a_match_killed_at_any_line_is_made_good_by_the_next(tmp_path: Path) -> None:
    made = _clinic(tmp_path / "made")
    whole = _copy(made, tmp_path / "whole")
    _match(whole)
    expected = _found(whole)
    assert len(expected[0]) == 3 and len(expected[1]) == 3
    number, killed = 1, 0
    while True:
        home = _copy(made, tmp_path / "killed")
        if not killed_at_line(number, lambda: _match(home), MODULES):  # noqa: B023 - run at once
            break
        killed += 1
        found = _found(home)
        assert found in (([], []), expected), number  # all of a batch, or nothing
        assert check(home).problems == [], number
        _match(home)
        assert _found(home) == expected, number
        number += STEP
    assert killed > 20


def _clinic(path: Path) -> Home:
    """A case whose IDs three tokens heard yesterday, for half an hour."""
    home = Home(path)
    create_registry(home)
    start_s = (NOW_S - DAY_S) // DAY_S * DAY_S
    with open_registry(home) as registry, registry.write() as session:
        village = Village(session)
        key = TracingKey("bluezone", b"k" * 32, start_s, 96, start_s + DAY_S, None, None)
        active_case(session, "F0-1", "case list", None, [key], NOW_S)
        for label in ("YB-0001-3", "YB-0002-6", "YB-0003-1"):
            log = village.token(label, village.person(label))
            for window in range(6):
                _add(session, log.id, slot_id(b"k" * 32, 10 + window // 3), start_s + 9000 + 300 * window)
    return home


def _add(session: object, log_id: int, one: bytes, at_s: int) -> None:
    session.add(  # type: ignore[attr-defined]
        Sighting(
            log_id=log_id, kind="bluezone", rotating_id=one, first_s=at_s, last_s=at_s + 240, window_start_s=at_s,
            packets=15, scans=5, scan_period_s=60, rssi_max_dbm=-45, rssi_mean_dbm=-50, tx_power_dbm=-15,
            uncertainty_s=0,
        )
    )  # fmt: skip


def _copy(made: Home, path: Path) -> Home:
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(made.path, path)
    return Home(path)


def _match(home: Home) -> None:
    with open_registry(home) as registry:
        batch.run_batch(registry, lambda: NOW_S)


def _found(home: Home) -> Found:
    with open_registry(home) as registry, registry.read() as session:
        exposures = session.execute(select(Exposure.case_id, Exposure.log_id, Exposure.minutes, Exposure.verdict))
        items = session.execute(select(FollowUp.case_id, FollowUp.log_id, FollowUp.degree, FollowUp.state))
        return sorted(map(tuple, exposures)), sorted(map(tuple, items))
