"""`bztoken match --lake`: what clinics' registries say one by one, a lake says of all of them together."""

import csv
import io
import json
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests.case_desk import TRACER, active_case
from tests.host import gaen_files
from tests.host.lake_world import DAY_S, NOW_S, TODAY, YESTERDAY, ClinicOfLake, clinics
from tests.program import Program, Ran, program

from bztoken import scoring
from bztoken.formats.case_list import CaseKey, write_case_list
from bztoken.formats.tracing_key import SCHEME_BLUEZONE, TracingKey
from bztoken.matching.batch import run_batch
from bztoken.matching.day import day_text
from bztoken.matching.engines.local import LocalEngine
from bztoken.matching.kept_folder import KeptFolder
from bztoken.matching.lake_batch import LakeMatch, OfRegistry, match_lake
from bztoken.matching.run import Done
from bztoken.registry import peer_keys
from bztoken.registry.database import open_registry
from bztoken.registry.models import AuditEntry, Case, Exposure, Log, Sighting, TokenIssue, Visit
from bzwire.bluezone import slot_id

__all__ = ["clinics"]

NOON_S = YESTERDAY * DAY_S + 12 * 3600
F0 = CaseKey(b"F0 yesterday".ljust(32, b"."), YESTERDAY * DAY_S, 96, TODAY * DAY_S - 1)
MARKET = TracingKey(SCHEME_BLUEZONE, b"market".ljust(32, b"."), YESTERDAY * DAY_S, 96, TODAY * DAY_S - 1)
STOPPED = "stopped"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Program:
    """A command at a clinic that is named first."""
    monkeypatch.setenv("BZTOKEN_OPERATOR", TRACER)
    return program(monkeypatch, capfd)


@pytest.fixture
def case_list(tmp_path: Path) -> Path:
    path = tmp_path / "cases.json"
    write_case_list(path, [F0])
    return path


def meets(clinic: ClinicOfLake, log: int, key: bytes = F0.day_key, at_s: int = NOON_S, windows: int = 4) -> None:
    """So many windows in one slot after the other, loud enough to be close."""
    with clinic.writing() as session:
        for window in range(windows):
            heard_s = at_s + 300 * window
            session.add(
                Sighting(
                    log_id=log, kind="bluezone", rotating_id=slot_id(key, heard_s % DAY_S // 900), first_s=heard_s,
                    last_s=heard_s + 240, window_start_s=heard_s, packets=15, scans=5, scan_period_s=60,
                    rssi_max_dbm=-45, rssi_mean_dbm=-50, tx_power_dbm=-15, uncertainty_s=0,
                    page_id=clinic._page(session, log, heard_s),
                )
            )  # fmt: skip


def found(ran: Ran) -> list[tuple[str, str, int, str, int, str]]:
    """(case, clinic, log, day, minutes, verdict)"""
    return [
        (one["case"], one["clinic"], one["number"], one["day"], one["minutes"], one["verdict"])
        for one in ran.document()["exposures"]
    ]


def test_keys_of_a_file_find_people_of_every_clinic(
    clinics: list[ClinicOfLake], run: Program, case_list: Path, tmp_path: Path
) -> None:
    an, binh = clinics
    lan, minh, market = an.token("Lan"), binh.token("Minh"), binh.token("Chợ", place="Chợ Đông")
    meets(an, lan)
    meets(binh, minh, windows=2)
    meets(binh, market)
    an.add("Trạm An")
    binh.add("=Trạm Bình")
    out = tmp_path / "contacts.csv"
    ran = run(an.home.path, "match", "--lake", an.lake, "--cases", case_list, "--json", "--out", out)
    day = day_text(YESTERDAY)
    wanted = [
        ("cases.json, entry 1", "Trạm An", lan, day, 20, "F1"),
        ("cases.json, entry 1", "=Trạm Bình", minh, day, 10, "noted"),
        ("cases.json, entry 1", "=Trạm Bình", market, day, 20, "place"),
    ]
    assert ran.code == 0, ran.err
    assert sorted(found(ran)) == sorted(wanted)
    assert "starting took" in ran.err and "Lan" not in ran.out and F0.day_key.hex() not in ran.out + ran.err
    rows = list(csv.DictReader(io.StringIO(out.read_bytes().decode("utf-8-sig"))))
    assert sorted((row["case"], row["clinic"].lstrip("'"), int(row["log"]), row["verdict"]) for row in rows) == sorted(
        (case, clinic, log, verdict) for case, clinic, log, _, _, verdict in wanted
    )
    assert {row["clinic"] for row in rows} == {"Trạm An", "'=Trạm Bình"}


def village(clinic: ClinicOfLake) -> None:
    """A case with a second token, an F1, a visitor, a market: all that a registry's batch tells apart."""
    second = clinic.token("F0 again", person="Bà Tư")
    lan, minh, market = clinic.token("Lan", person="Bà Lan"), clinic.token("Minh"), clinic.token("Chợ", place="Chợ")
    with clinic.writing() as session:
        token_key = TracingKey(SCHEME_BLUEZONE, F0.day_key, F0.time_start_s, 96, F0.time_end_s)
        case = active_case(session, "F0-1", "case list", None, [token_key], NOW_S)
        case.person_id = holder_of(session, second)
        lan_key = TracingKey(SCHEME_BLUEZONE, b"lan".ljust(32, b"."), F0.time_start_s, 96, F0.time_end_s)
        peer_keys.store(
            session, session.get_one(Log, lan), peer_keys.PURPOSE_CONTACT, session.get_one(Case, case.id), [lan_key], 4
        )
        peer_keys.store(session, session.get_one(Log, market), peer_keys.PURPOSE_SITE, None, [MARKET], 4)
    meets(clinic, second)
    meets(clinic, lan)
    meets(clinic, minh, lan_key.key, NOON_S + 3600)
    meets(clinic, market, at_s=NOON_S + 900)
    meets(clinic, minh, MARKET.key, NOON_S + 7200)


def holder_of(session: Session, log: int) -> int | None:
    token_id = session.get_one(Log, log).token_id
    return session.scalars(select(TokenIssue.person_id).where(TokenIssue.token_id == token_id)).one()


def test_a_lake_of_one_registry_says_what_the_registry_says(clinics: list[ClinicOfLake]) -> None:
    clinic = clinics[0]
    village(clinic)
    clinic.add("An")
    with open_registry(clinic.home) as registry:
        result = run_batch(registry, lambda: NOW_S, preset=scoring.load("bluezone"))
        with registry.read() as session:
            lake = of_lake(clinic, session)
            stored = session.scalars(select(Exposure)).all()
            visits = session.scalars(select(Visit)).all()
            wanted = sorted(
                (row.via_log_id, row.log_id, row.day, row.minutes, row.attenuation_db, row.verdict) for row in stored
            )
    told = sorted(
        (0 if one.via is None else one.via.number, one.log.number, one.day, one.score.minutes, one.score.attenuation_db,
         one.score.verdict)
        for one in lake.exposures
    )  # fmt: skip
    assert told == wanted
    assert {row[-1] for row in told} == {"F1", "F2", "place"}
    assert {one.case for one in lake.exposures} == {"F0-1"}
    assert [(one.site.number, one.log.number, one.stay.minutes) for one in lake.visits] == [
        (row.site_log_id, row.log_id, row.minutes) for row in visits
    ]
    assert lake.sightings == result.sightings and len(lake.visits) == result.visits == 1


def of_lake(clinic: ClinicOfLake, session: Session, **more: Any) -> LakeMatch:
    preset = scoring.load("bluezone")
    return match_lake(clinic.lake, OfRegistry(session), 1800, preset, more.pop("engine", LocalEngine(1)), **more)


def test_several_processes_say_the_same_of_a_lake(clinics: list[ClinicOfLake]) -> None:
    clinic = clinics[0]
    village(clinic)
    clinic.add("An")
    with open_registry(clinic.home) as registry, registry.read() as session:
        one, two = of_lake(clinic, session), of_lake(clinic, session, engine=LocalEngine(2))
    assert one.exposures and (one.exposures, one.visits) == (two.exposures, two.visits)


def stop(done: Done) -> None:
    """As Ctrl-C does, when two days are matched."""
    if done.done == 2:
        raise KeyboardInterrupt


def test_a_stopped_batch_goes_on_and_leaves_nothing(clinics: list[ClinicOfLake]) -> None:
    clinic = clinics[0]
    village(clinic)
    clinic.add("An")
    told: list[Done] = []
    with open_registry(clinic.home) as registry, registry.read() as session:
        with pytest.raises(KeyboardInterrupt):
            of_lake(clinic, session, progress=stop)
        kept = list((clinic.lake / STOPPED).rglob("*.found"))
        assert kept and all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in kept)
        folders = {folder for path in kept for folder in (path.parent, path.parent.parent)}
        assert all(stat.S_IMODE(folder.stat().st_mode) == 0o700 for folder in folders) and len(folders) == 2
        again = of_lake(clinic, session, progress=told.append)
        assert [done.day for done in told if done.kept] == sorted(path.stem for path in kept)
        assert not list((clinic.lake / STOPPED).rglob("*.found"))
        assert again.exposures == of_lake(clinic, session).exposures


def test_days_of_a_batch_beside_it_stay_and_old_ones_go(tmp_path: Path) -> None:
    root = tmp_path / STOPPED
    ours, beside, old = (KeptFolder(root, plan * 32) for plan in (b"a", b"b", b"c"))
    for kept in (ours, beside, old):
        kept.put(YESTERDAY, b"m" * 32, b"found")
    two_days_ago_s = time.time() - 2 * DAY_S
    os.utime(root / (b"c" * 32).hex()[:16], (two_days_ago_s, two_days_ago_s))
    ours.forget()
    assert [kept.get(YESTERDAY, b"m" * 32) for kept in (ours, beside, old)] == [None, b"found", None]
    beside.forget()
    assert not root.exists()


def test_whoever_writes_to_the_lake_takes_away_what_a_stopped_batch_had_found(clinics: list[ClinicOfLake]) -> None:
    """It may be about somebody who is erased just now."""
    clinic = clinics[0]
    village(clinic)
    clinic.add("An")
    with open_registry(clinic.home) as registry, registry.read() as session, pytest.raises(KeyboardInterrupt):
        of_lake(clinic, session, progress=stop)
    assert (clinic.lake / STOPPED).exists()
    clinic.add("An")
    assert not (clinic.lake / STOPPED).exists()


def test_the_audit_tells_that_keys_of_the_registry_were_matched(clinics: list[ClinicOfLake], run: Program) -> None:
    clinic = clinics[0]
    village(clinic)
    clinic.add("An")
    ran = run(clinic.home.path, "match", "--lake", clinic.lake)
    assert ran.code == 0 and "1 F1, 1 F2, 1 place" in ran.out and "Visits to places with a token: 1" in ran.out
    with open_registry(clinic.home) as registry, registry.read() as session:
        last = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1)).one()
    assert (last.action, last.what, last.detail) == ("match", "registry", "over a lake, rule bluezone 1: 3 exposures")


# -- what is refused ---------------------------------------------------------------------------------------------------
def test_a_damaged_day_is_no_half_answer(clinics: list[ClinicOfLake], run: Program, tmp_path: Path) -> None:
    clinic = clinics[0]
    village(clinic)
    clinic.add("An")
    (day_file,) = clinic.lake.rglob("*.parquet")
    day_file.write_bytes(day_file.read_bytes()[:-40])
    out = tmp_path / "contacts.csv"
    out.write_text("as it was")
    ran = run(clinic.home.path, "match", "--lake", clinic.lake, "--out", out)
    assert ran.code == 1 and ran.out == "" and ran.err.count("\n") <= 2 and "bztoken: " in ran.err
    assert out.read_text() == "as it was"


def test_a_folder_that_is_no_lake_is_told(clinics: list[ClinicOfLake], run: Program, case_list: Path) -> None:
    ran = run(clinics[0].home.path, "match", "--lake", case_list.parent / "nowhere", "--cases", case_list)
    assert ran.code == 1 and "is no lake" in ran.err


def test_a_match_of_nothing_does_not_say_that_nobody_was_near(
    clinics: list[ClinicOfLake], run: Program, case_list: Path, tmp_path: Path
) -> None:
    clinic = clinics[0]
    lan = clinic.token("Lan")
    clinic.add("An")
    empty = run(clinic.home.path, "match", "--lake", clinic.lake, "--cases", case_list)
    assert (empty.code, empty.out.count("\n")) == (0, 1) and "no encounters of the days of these keys" in empty.out
    assert "says nothing" in run(clinic.home.path, "match", "--lake", clinic.lake, "--cases", case_list, "--json").err
    assert "the registry has none of a case" in run(clinic.home.path, "match", "--lake", clinic.lake).out
    nobodys = tmp_path / "nobodys.json"
    nobodys.write_text('{"data": []}')
    assert "these files hold none" in run(clinic.home.path, "match", "--lake", clinic.lake, "--cases", nobodys).out
    meets(clinic, lan, b"a stranger".ljust(32, b"."))
    clinic.add("An")
    assert "nobody was near" in run(clinic.home.path, "match", "--lake", clinic.lake, "--cases", case_list).out


def test_an_answer_is_its_owners_only_and_not_written_over_what_it_is_made_of(
    clinics: list[ClinicOfLake], run: Program, case_list: Path
) -> None:
    clinic = clinics[0]
    meets(clinic, clinic.token("Lan"))
    clinic.add("An")
    lake_file, asked = clinic.lake / "lake.json", case_list.read_bytes()
    before = lake_file.read_bytes()
    for out, says in ((lake_file, "in the lake"), (clinic.day_file(), "in the lake"), (case_list, "is read here")):
        ran = run(clinic.home.path, "match", "--lake", clinic.lake, "--cases", case_list, "--out", out)
        assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1) and says in ran.err
    assert (lake_file.read_bytes(), case_list.read_bytes()) == (before, asked)
    out = case_list.parent / "contacts.csv"
    out.touch(mode=0o644)
    assert run(clinic.home.path, "match", "--lake", clinic.lake, "--cases", case_list, "--out", out).code == 0
    assert out.stat().st_size > 0 and stat.S_IMODE(out.stat().st_mode) == 0o600


def test_a_lake_that_cannot_be_written_says_what_a_match_writes(
    clinics: list[ClinicOfLake], run: Program, case_list: Path
) -> None:
    clinic = clinics[0]
    meets(clinic, clinic.token("Lan"))
    clinic.add("An")
    (clinic.lake / STOPPED).write_text("a file where the folder would be")
    ran = run(clinic.home.path, "match", "--lake", clinic.lake, "--cases", case_list)
    assert (ran.code, ran.out) == (1, "") and "stopped cannot be written (file exists)" in ran.err


def test_sightings_by_clocks_that_nobody_knows_are_told(
    clinics: list[ClinicOfLake], run: Program, case_list: Path
) -> None:
    clinic = clinics[0]
    lan = clinic.token("Lan")
    meets(clinic, lan)
    with clinic.writing() as session:
        for sighting in session.scalars(select(Sighting)):
            sighting.uncertainty_s = None
    clinic.add("An")
    ran = run(clinic.home.path, "match", "--lake", clinic.lake, "--cases", case_list)
    assert "4 of the sightings are by tokens of whose clock nothing is known" in ran.out


def test_an_export_that_nobody_checked_is_refused(clinics: list[ClinicOfLake], run: Program, tmp_path: Path) -> None:
    clinic = clinics[0]
    clinic.token("Lan")
    clinic.add("An")
    export = tmp_path / "export.bin"
    export.write_bytes(gaen_files.export(gaen_files.key()))
    ran = run(clinic.home.path, "match", "--lake", clinic.lake, "--cases", export)
    assert ran.code == 1 and "--unverified" in ran.err
    assert run(clinic.home.path, "match", "--lake", clinic.lake, "--cases", export, "--unverified").code == 0


def test_keys_of_the_future_are_refused(clinics: list[ClinicOfLake], run: Program, tmp_path: Path) -> None:
    clinic = clinics[0]
    clinic.token("Lan")
    clinic.add("An")
    path = tmp_path / "future.json"
    path.write_text(
        json.dumps(
            {"data": [{"daily_key": "0" * 64, "time_start": 4_000_000_000, "max": 96, "time_end": 4_000_000_900}]}
        )
    )
    ran = run(clinic.home.path, "match", "--lake", clinic.lake, "--cases", path)
    assert ran.code == 1 and "entry 1: the key is of the future" in ran.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--engine", "spark"], "--lake"),
        (["--lake", "x", "--history", "y", "--cases", "z"], "--history"),
        (["--lake", "x", "--master", "local[2]"], "--engine spark"),
        (["--lake", "x", "--engine", "spark", "--workers", "2"], "--workers"),
        (["--lake", "x", "--unverified"], "only an export"),
        (["--cases", "a"], "go together"),
        (["--out", "a"], "--lake"),
        (["--tolerance-min", "1441"], "1441"),
    ],
)
def test_options_that_do_not_fit_are_a_usage_error(
    clinics: list[ClinicOfLake], run: Program, arguments: list[str], says: str
) -> None:
    ran = run(clinics[0].home.path, "match", *arguments)
    assert ran.code == 2 and says in ran.err and ran.out == ""
