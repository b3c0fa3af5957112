"""Clocks that run 5 % wrong, awake and asleep, over a restart: what the registry then says against what was true."""

import struct
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.case_desk import active_case
from tests.integration.clinic import mounted
from tests.integration.visited_fleet import VisitedFleet

from bztoken.cli import fleet_score
from bztoken.formats.case_list import CaseKey
from bztoken.home import Home
from bztoken.matching.batch import BatchResult, run_batch
from bztoken.registry import cases, clock_points, page_times, tokens
from bztoken.registry.database import create_registry, open_registry
from bztoken.registry.exposures import list_exposures
from bztoken.registry.logs import log_of_token
from bztoken.registry.models import CaseKey as StoredKey
from bztoken.registry.models import Log, Page, Sighting
from bztoken.registry.pages import import_pages
from bztoken.report import fleet_files
from bztoken.report.flash_pages import read_pages
from bztoken.report.fleet_files import FleetFiles, OnAir
from bztoken.report.fleet_score import FleetScore, score
from bztoken.report.heard import Corrected, Logs, read_logs
from bzvirtual import world
from bzvirtual.desk import Identity, identities_from_seed
from bzwire.bluezone import DAY_S, SLOTS_PER_DAY
from bzwire.page import read_header

WORLDS = Path(__file__).parent / "worlds"
HOUR_S = 3600
START_S = 1_796_083_200 + 18 * HOUR_S  # 2026-12-01 18:00 UTC
HOURS = 13.2
VISITS_S = (0, 6.5 * HOUR_S, 13 * HOUR_S)  # the second one teaches each token its drift
RESTARTS_S = (3.4 * HOUR_S, 10 * HOUR_S)
SEED = 4
AN, BINH, CU = "Bà An", "Ông Bình", "Bà Cư"


@dataclass(frozen=True)
class Lived:
    """A clinic that has everything of a fleet with wrong clocks."""

    home: Home
    fleet: Path
    files: FleetFiles
    result: BatchResult


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    folder = tmp_path_factory.mktemp("wrong-clocks")
    home = Home(folder / "home")
    create_registry(home)
    place = world.load(str(WORLDS / "drifting.world"))
    labels = [person.shown for person in place.people]
    numbers = [identity.uid for identity in identities_from_seed(labels, SEED)[1]]
    identities = [Identity.derive(label, uid, home.master_key()) for label, uid in zip(labels, numbers, strict=True)]
    living = VisitedFleet(folder / "fleet", place, identities, SEED, START_S)
    living.prepare()
    try:
        living.live(HOURS / 24, VISITS_S, RESTARTS_S)
    except BaseException:
        living.abandon()
        raise
    files = fleet_files.read(folder / "fleet")
    with open_registry(home) as registry:
        with registry.write() as session:
            for person, identity in zip(place.people, identities, strict=True):
                token = tokens.create(session, identity.label, identity.uid, "person", "virtual", START_S)
                log = log_of_token(session, token)
                flash = folder / "fleet" / files.carriers[person.name].folder / "flash.bin"
                for told in living.readings[person.name]:
                    clock_points.record(session, log, told)
                taken = import_pages(session, log, read_pages(flash), identity.first_log_key, START_S + 2 * DAY_S)
                assert taken.new > 140 and not taken.damaged
                page_times.correct(session, log)
                if identity.label == BINH:
                    keys = keys_in(flash, START_S + round(HOURS * HOUR_S))
                    active_case(session, "F0-1", cases.SOURCE_TOKEN, token, keys, START_S + 2 * DAY_S)
        result = run_batch(registry, lambda: START_S + 2 * DAY_S)
    return Lived(home, folder / "fleet", files, result)


def keys_in(image: Path, now_s: int) -> list[CaseKey]:
    """What a token would release."""
    flash = mounted(image)
    with flash.open("/day_keys", "rb") as file:
        raw = file.read()[:-4]
    found = []
    for at in range(0, len(raw), 36):
        (day,) = struct.unpack_from("<I", raw, at)
        end_s = min((day + 1) * DAY_S - 1, now_s)
        found.append(CaseKey(raw[at + 4 : at + 36], day * DAY_S, SLOTS_PER_DAY, end_s))
    return found


def outside_s(seen: Sighting, shown: OnAir) -> float:
    """By how much a sighting misses the time in which its ID was on the air."""
    return max(shown.first_s - seen.last_s, seen.first_s - shown.last_s, 0)


def test_the_clocks_were_as_wrong_as_the_world_says(lived: Lived) -> None:
    with open_registry(lived.home) as registry, registry.read() as session:
        shifts = {
            label: [page.shift_ms or 0 for page in session.scalars(select(Page).join(Log).where(Log.label == label))]
            for label in (AN, BINH, CU)
        }
        boots = set(session.scalars(select(Page.boot_id)))
    assert max(shifts[AN]) > 18 * 60_000 and min(shifts[BINH]) < -18 * 60_000 and max(shifts[CU]) > 11 * 60_000
    assert max(abs(shift) for shift in shifts[AN][-50:]) < 60_000  # the drift was learned
    assert boots == {1, 2, 3}


def test_every_sighting_lies_where_its_id_was_on_the_air(lived: Lived) -> None:
    """The tokens' own times are off by up to 20 minutes."""
    with open_registry(lived.home) as registry, registry.read() as session:
        rows = session.execute(select(Sighting, Page.window_start_s).join(Page)).all()
    assert len(rows) > 150
    off = {True: [0.0], False: [0.0]}
    for seen, window_start_s in rows:
        assert seen.uncertainty_s is not None
        if (shown := lived.files.ids.get(seen.rotating_id)) is not None:
            missed_s = outside_s(seen, shown)
            assert missed_s <= seen.uncertainty_s + 16  # the clock's run within the window itself
            off[seen.window_start_s == window_start_s].append(missed_s)
    assert max(off[False]) < 60


def test_awake_tokens_are_known_to_seconds(lived: Lived) -> None:
    with open_registry(lived.home) as registry, registry.read() as session:
        widest = {
            label: max(session.scalars(select(Page.uncertainty_ms).join(Log).where(Log.label == label)))
            for label in (AN, BINH, CU)
        }
    assert widest[AN] < 60_000 and widest[BINH] < 60_000
    assert widest[CU] < 15 * 60_000  # it sleeps, so that nothing but the readings tells


def test_the_matching_finds_every_minute_of_the_case(lived: Lived) -> None:
    with open_registry(lived.home) as registry, registry.read() as session:
        found = {(named.who, named.exposure.day): named.exposure for named in list_exposures(session, "F0-1")}
        true = {AN: 0.0}
        for encounter in lived.files.encounters:
            if {encounter.a, encounter.b} == {"an", "binh"}:
                true[AN] += encounter.minutes
        keys = session.scalars(select(StoredKey)).all()
    assert {who for who, _ in found} == {AN}  # Bà Cư never met him
    assert {exposure.verdict for exposure in found.values()} == {"F1"}
    assert sum(exposure.minutes for exposure in found.values()) == pytest.approx(true[AN], rel=0.15)
    assert all(key.uncertainty_s is not None and key.uncertainty_s < 2000 for key in keys)
    assert (lived.result.unknown_clocks, lived.result.bad_clocks) == (0, 0)


def recorded(scored: FleetScore) -> tuple[int, int]:
    """(encounters, how many of them were recorded, counted for each of the two)."""
    buckets = [bucket for buckets in scored.groups.values() for bucket in buckets.values()]
    return sum(bucket.encounters for bucket in buckets), sum(bucket.by_a + bucket.by_b for bucket in buckets)


def test_wrong_clocks_cost_no_encounter(lived: Lived) -> None:
    """Held against a reader who knows the time of each ID from the truth, and against the tokens' own times."""
    scored = fleet_score.score_logs(lived.home, lived.fleet)
    met, by_registry = recorded(scored)
    assert met >= 24
    assert by_registry >= 0.95 * 2 * met  # a token that sleeps is not heard each time
    _, by_truth = recorded(score(lived.files, told(lived.files, Corrected(0, DAY_S))))
    _, uncorrected = recorded(score(lived.files, told(lived.files, Corrected(0, 0))))
    assert by_registry >= 0.99 * by_truth > uncorrected
    assert scored.precision.share == 1


def told(files: FleetFiles, clock: Corrected) -> Logs:
    """The logs by one and the same correction for all pages."""
    pages = {name: read_pages(files.folder / carrier.folder / "flash.bin") for name, carrier in files.carriers.items()}
    headers = {name: [read_header(raw) for raw in raws] for name, raws in pages.items()}
    keyed = {name: {(one.boot_id, one.sequence): clock for one in found} for name, found in headers.items()}
    return read_logs(files, {}, keyed)
