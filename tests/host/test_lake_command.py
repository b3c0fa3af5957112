"""`bztoken lake` on the command line."""

import shutil
import sys
import time
from pathlib import Path

import pytest
from tests.case_desk import CaseDesk, staff
from tests.host.carried_pages import Carrying, forged, import_of, signing_key_of
from tests.host.lake_world import ClinicOfLake, clinics
from tests.program import program

from bztoken.errors import LakeError
from bztoken.lake.folder import Folder, read_clinics

__all__ = ["clinics"]  # fixtures


@pytest.fixture
def clinic(clinics: list[ClinicOfLake]) -> ClinicOfLake:
    """Heard an hour ago and now, by a token."""
    made = clinics[0]
    log = made.token("An")
    made.hear(log, int(time.time()) - 3600, 3)
    made.hear(log, int(time.time()) - 86_400, 2)
    return made


@pytest.fixture
def desk(clinic: ClinicOfLake, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> CaseDesk:
    run = program(monkeypatch, capfd)
    return CaseDesk(lambda *arguments: run(clinic.home.path, *arguments), clinic.lake.parent)


def test_a_registry_is_added_listed_and_checked(desk: CaseDesk, clinic: ClinicOfLake) -> None:
    added = desk.tracer("lake", "add", clinic.lake, "--clinic", "Xã Yên Bình")
    assert added.code == 0 and "has 5 encounters of 2 days in the lake (2 days written)." in added.out
    (again,) = desk.tracer("lake", "add", clinic.lake, "--json").document()
    assert (again["rows"], again["days"], again["written"]) == (5, 2, 0)
    listed = desk.tracer("lake", "list", clinic.lake, "--json").document()
    assert [(row["clinic"], row["rows"], row["kind"]) for row in listed] == [
        ("Xã Yên Bình", 2, "registry"),
        ("Xã Yên Bình", 3, "registry"),
    ]
    assert all(row["bytes"] == path.stat().st_size for row, path in zip(listed, _files(clinic), strict=True))
    assert "Xã Yên Bình" in desk.tracer("lake", "list", clinic.lake).out
    assert desk.tracer("lake", "check", clinic.lake).out == "Nothing is wrong with the lake.\n"


def _files(clinic: ClinicOfLake) -> list[Path]:
    return sorted(clinic.lake.rglob("*.parquet"))


def test_a_check_names_each_thing_that_is_wrong_and_fails(desk: CaseDesk, clinic: ClinicOfLake) -> None:
    desk.tracer("lake", "add", clinic.lake)
    first, second = _files(clinic)
    first.write_bytes(first.read_bytes()[:100])
    second.rename(second.with_name("other.parquet"))
    done = desk.tracer("lake", "check", clinic.lake)
    assert (done.code, len(done.out.splitlines())) == (1, 3)
    assert "half-written" in done.out and "is missing" in done.out and "other.parquet belongs to no source" in done.out
    assert "3 things are wrong with the lake" in done.err
    document = desk.tracer("lake", "check", clinic.lake, "--json").document()
    assert len(document["problems"]) == 3


def test_a_source_or_old_days_are_forgotten_after_a_question(desk: CaseDesk, clinic: ClinicOfLake) -> None:
    (added,) = desk.tracer("lake", "add", clinic.lake, "--json").document()
    asked = desk.tracer("lake", "forget", clinic.lake, "--source", added["source"])
    assert (asked.code, asked.out) == (1, "") and "add `--yes`" in asked.err
    day = desk.tracer("lake", "list", clinic.lake, "--json").document()[1]["day"]
    assert desk.tracer("lake", "forget", clinic.lake, "--before", day, "--yes", "--json").document() == {"rows": 2}
    assert len(_files(clinic)) == 1
    assert desk.tracer("lake", "check", clinic.lake).code == 0
    unknown = desk.tracer("lake", "forget", clinic.lake, "--source", "x", "--yes")
    assert unknown.code == 1 and "has no source x: `bztoken lake list` names them" in unknown.err
    assert "Took 3 encounters" in desk.tracer("lake", "forget", clinic.lake, "--source", added["source"], "--yes").out
    assert _files(clinic) == [] and list((clinic.lake / "hands").iterdir()) == []
    assert "The lake is empty" in desk.tracer("lake", "list", clinic.lake).out
    assert desk.tracer("lake", "add", clinic.lake, "--json").document()[0]["rows"] == 5


@pytest.mark.parametrize(
    "words", [(), ("--source", "x", "--before", "2026-11-30"), ("--before", "30.11.2026"), ("--before", "2026-11-31")]
)
def test_forgetting_wants_one_thing_that_it_understands(
    desk: CaseDesk, clinic: ClinicOfLake, words: tuple[str, ...]
) -> None:
    assert desk.tracer("lake", "forget", clinic.lake, *words, "--yes").code == 2


def test_without_the_packages_there_is_a_sentence(
    desk: CaseDesk, clinic: ClinicOfLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for words in (("add",), ("list",), ("check",), ("forget", "--before", "2026-11-30")):
        done = desk.tracer("lake", words[0], clinic.lake, *words[1:])
        assert (done.code, done.out) == (1, "")
        assert done.err == "bztoken: lakes need more packages: pip install 'bztoken[province]'\n"


def test_a_folder_that_is_no_lake_is_told_in_one_sentence(desk: CaseDesk, clinic: ClinicOfLake) -> None:
    for words in (("list",), ("check",), ("forget", "--before", "2026-11-30", "--yes")):
        done = desk.tracer("lake", words[0], clinic.lake, *words[1:])
        assert (done.code, len(done.err.splitlines())) == (1, 1) and "is no lake" in done.err
    assert not clinic.lake.exists()


@pytest.mark.parametrize("gone", ["lake.lock", "encounters"])
def test_a_lake_that_lacks_a_part_says_what_brings_it_back(desk: CaseDesk, clinic: ClinicOfLake, gone: str) -> None:
    desk.tracer("lake", "add", clinic.lake)
    part = clinic.lake / gone
    shutil.rmtree(part) if part.is_dir() else part.unlink()
    done = desk.tracer("lake", "check", clinic.lake)
    assert done.code == 1 and f"{part} is missing: " in done.out + done.err
    done = desk.tracer("match", "--lake", clinic.lake)
    assert (done.code, done.out) == (1, "") and f"{part} is missing: nothing was read, run `bztoken lake" in done.err
    assert desk.tracer("lake", "add", clinic.lake).code == 0
    assert desk.tracer("lake", "check", clinic.lake).code == 0


def test_a_source_of_a_clinic_that_is_not_known_is_listed_so_that_it_can_be_forgotten(
    desk: CaseDesk, clinic: ClinicOfLake
) -> None:
    desk.tracer("lake", "add", clinic.lake)
    (clinic.lake / "lake.json").write_text('{"format": 1, "clinics": {}}')
    listed = desk.tracer("lake", "list", clinic.lake, "--json").document()
    assert [row["clinic"] for row in listed] == ["-", "-"]
    done = desk.tracer("lake", "check", clinic.lake)
    assert done.code == 1 and "one thing is wrong with the lake" in done.err
    assert desk.tracer("lake", "forget", clinic.lake, "--source", listed[0]["source"], "--yes").code == 0
    assert desk.tracer("lake", "check", clinic.lake).code == 0


def test_two_clinics_of_a_lake_have_two_names(clinics: list[ClinicOfLake], clinic: ClinicOfLake) -> None:
    clinic.add("Xã Yên Bình")
    other = clinics[1]
    other.token("Bình")
    with pytest.raises(LakeError, match="another clinic of this lake has that name: nothing was changed"):
        other.add("xã Yên Bình")
    other.add("Xã Yên Sơn")
    named = read_clinics(Folder(clinic.lake)).values()
    assert sorted(one.name for one in named) == ["Xã Yên Bình", "Xã Yên Sơn"]


def test_a_lake_does_not_lie_among_the_registrys_own_files(desk: CaseDesk, clinic: ClinicOfLake) -> None:
    done = desk.tracer("lake", "add", clinic.home.path)
    assert done.code == 1 and "lies in the data folder itself" in done.err


def test_bundles_are_added_one_by_one(
    brought: Carrying, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    staff(brought.home)
    run = program(monkeypatch, capfd)
    desk = CaseDesk(lambda *arguments: run(brought.home.path, *arguments), brought.folder)
    lake = brought.folder / "lake"
    done = desk.tracer("lake", "add", lake, brought.bundle, brought.bundle)
    assert done.code == 0 and done.out.count("has 16 encounters") == 2
    assert desk.tracer("lake", "add", lake, brought.folder / "nothing").code == 1


def test_a_double_in_a_bundle_ends_with_what_to_do(
    brought: Carrying, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    staff(brought.home)
    import_of(brought)
    brought.records = brought.records[:1]
    forged(brought, signing_key_of(brought), b"\1" * 8, brought.pages(0, 4, 4))
    run = program(monkeypatch, capfd)
    desk = CaseDesk(lambda *arguments: run(brought.home.path, *arguments), brought.folder)
    done = desk.tracer("lake", "add", brought.folder / "lake", brought.bundle)
    assert done.code == 1 and "have a double: run `bztoken bundle import`, which raises the alarm" in done.err
