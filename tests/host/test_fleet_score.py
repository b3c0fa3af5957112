"""The score of a fleet, on folders made by hand: a planted miss lowers recall, a foreign ID lowers precision."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from tests.host.hand_made_fleet import START_S, Folder, record, write_flash
from tests.program import Program

from bztoken.errors import BztokenError
from bztoken.report import fleet_files, heard, recall_chart
from bztoken.report.flash_pages import read_pages
from bztoken.report.fleet_score import FleetScore, score
from bztoken.report.token_clock import TokenClock
from bzwire.page import KIND_GAEN, RECORD_STALE

ID_A, ID_B, ID_C = (bytes([n]) * 12 for n in (1, 2, 3))
STRANGER = b"\x09" * 12


def pair(tmp_path: Path, *, a_misses: bool = False) -> Folder:
    """Two tokens, 1.5 m apart for 14 minutes of the first quarter of an hour and 40 minutes later for 3."""
    made = Folder(tmp_path / "fleet")
    made.join("an", "token", 0.0)
    made.join("binh", "token", 1.5)
    made.meet("an", "binh", 30, 14)
    made.meet("an", "binh", 3300, 3)
    made.on_air("an", ID_A, 0, 900)
    made.on_air("binh", ID_B, 0, 900)
    later_a, later_b = b"\x04" * 12, b"\x05" * 12
    made.on_air("an", later_a, 2700, 3600)
    made.on_air("binh", later_b, 2700, 3600)
    made.hear("an", 0, record(ID_B, 31, 280))
    made.hear("binh", 0, record(ID_A, 40, 290))
    made.hear("an", 11, *([] if a_misses else [record(later_b, 10, 170)]))
    made.hear("binh", 11, record(later_a, 5, 100))
    return made


def scored(made: Folder) -> FleetScore:
    files = fleet_files.read(made.write())
    return score(files, heard.read_logs(files, {}))


def recall(found: FleetScore, group: str = "token and token") -> dict[tuple[str, str], tuple[int, ...]]:
    """(minutes, metres) -> (encounters, by a, by b, by both)."""
    buckets: list[dict[str, Any]] = found.document()["recall"].get(group, [])
    names = ("encounters", "by_a", "by_b", "by_both")
    return {(one["minutes"], one["metres"]): tuple(one[name] for name in names if name in one) for one in buckets}


# -- recall ---------------------------------------------------------------------------------------------------------
def test_what_both_recorded_counts_in_its_length_and_distance(tmp_path: Path) -> None:
    found = scored(pair(tmp_path))
    assert recall(found) == {("10-15", "1-2"): (1, 1, 1, 1), ("2-5", "1-2"): (1, 1, 1, 1)}
    assert (found.pages, found.damaged_pages) == (4, 0)
    assert found.precision.share == 1


def test_a_planted_miss_lowers_recall_of_its_side_alone(tmp_path: Path) -> None:
    found = scored(pair(tmp_path, a_misses=True))
    assert recall(found) == {("10-15", "1-2"): (1, 1, 1, 1), ("2-5", "1-2"): (1, 0, 1, 0)}


def test_an_id_heard_before_and_after_but_not_within_is_a_miss(tmp_path: Path) -> None:
    made = pair(tmp_path)
    made.meet("an", "binh", 400, 4, 0.5)
    assert recall(scored(made))[("2-5", "0-1")] == (1, 0, 0, 0)


def test_a_record_of_somebody_else_is_none_of_the_encounter(tmp_path: Path) -> None:
    made = pair(tmp_path)
    made.join("cuc", "token", 1.0)
    made.on_air("cuc", ID_C, 0, 900)
    made.meet("an", "cuc", 30, 14, 0.9)
    assert recall(scored(made))[("10-15", "0-1")] == (1, 0, 0, 0)


def test_a_stale_record_is_no_recording(tmp_path: Path) -> None:
    made = pair(tmp_path)
    made.pages["an"].clear()
    made.hear("an", 0, record(ID_B, 31, 280, flags=RECORD_STALE))
    found = scored(made)
    assert recall(found)[("10-15", "1-2")] == (1, 0, 1, 0)
    assert (found.precision.stale, found.precision.share) == (1, 1)


def test_what_is_shorter_than_two_minutes_or_farther_than_ten_metres_does_not_count(tmp_path: Path) -> None:
    made = pair(tmp_path)
    made.meet("an", "binh", 5000, 1.9)
    made.meet("an", "binh", 6000, 8, 10.1)
    assert sum(counts[0] for counts in recall(scored(made)).values()) == 2


def test_the_window_that_is_not_written_yet_at_the_end_is_not_asked_for(tmp_path: Path) -> None:
    made = pair(tmp_path)
    made.meet("an", "binh", made.length_s - 400, 6)
    made.meet("an", "binh", made.length_s - 330 - 3 * 60, 8)
    assert recall(scored(made))[("2-5", "1-2")] == (2, 1, 1, 1)  # 3 of its 8 minutes could be in the logs, and are not


def test_a_wrong_clock_costs_no_recall_once_its_error_is_known(tmp_path: Path) -> None:
    made = pair(tmp_path)
    made.pages["an"].clear()
    made.hear("an", 0, record(ID_B, 31, 280), clock_error_s=1200)
    without = scored(made)
    assert (without.precision.mistimed, without.precision.share) == (1, 2 / 3)
    made.clocks["an"] = [[START_S, 1200], [START_S + made.length_s, 1200]]
    with_it = scored(made)
    assert recall(with_it)[("10-15", "1-2")] == (1, 1, 1, 1)
    assert with_it.precision.share == 1


def test_phones_are_scored_in_both_directions(tmp_path: Path) -> None:
    made = Folder(tmp_path / "fleet")
    made.join("an", "token", 0.0)
    made.join("em", "phone", 1.0)
    made.join("chi", "iphone", 2.0)
    made.on_air("an", ID_A, 0, 900)
    made.on_air("em", ID_B, 0, 900)
    made.on_air("chi", ID_C, 0, 900)
    for other in ("em", "chi"):
        made.meet("an", other, 30, 14, 1.2)
    made.meet("chi", "em", 30, 14, 1.0)
    made.hear("an", 0, record(ID_C, 31, 280))
    made.history("em", ID_A, 200)
    made.history("em", ID_C, 200)
    found = scored(made)
    assert set(found.groups) == {"token hears phone", "token hears iphone", "phone hears token", "iphone hears token"}
    assert recall(found, "token hears phone") == {("10-15", "1-2"): (1, 0)}
    assert recall(found, "token hears iphone") == {("10-15", "1-2"): (1, 1)}
    assert recall(found, "phone hears token") == {("10-15", "1-2"): (1, 1)}
    assert recall(found, "iphone hears token") == {("10-15", "1-2"): (1, 0)}


def test_who_cannot_hear_a_scheme_is_not_asked_for_it(tmp_path: Path) -> None:
    made = Folder(tmp_path / "fleet")
    made.join("an", "token", 0.0)
    made.join("binh", "token", 1.0, scheme="gaen")
    made.join("cuc", "token", 2.0, scheme="gaen", hear="both")
    rpi = bytes(range(16))
    made.on_air("binh", rpi, 0, 600, "gaen")
    made.meet("an", "binh", 30, 14)
    made.meet("an", "cuc", 30, 14)
    made.meet("binh", "cuc", 30, 9)
    made.hear("cuc", 0, record(rpi + b"AEM!", 31, 280, kind=KIND_GAEN))
    found = scored(made)
    assert recall(found, "token hears token") == {("10-15", "1-2"): (1, 0)}  # cuc hears an
    assert recall(found) == {("5-10", "1-2"): (1, 0, 1, 0)}
    assert found.precision.share == 1


def test_beacons_are_heard_and_hear_nobody(tmp_path: Path) -> None:
    made = Folder(tmp_path / "fleet")
    made.join("an", "token", 0.0)
    made.join("passer", "beacon", 1.0)
    made.on_air("passer", ID_B, 0, 900)
    made.meet("an", "passer", 30, 14)
    made.hear("an", 0, record(ID_B, 31, 280))
    assert list(scored(made).groups) == ["token hears beacon"]


# -- precision ------------------------------------------------------------------------------------------------------
def test_a_planted_foreign_id_lowers_precision(tmp_path: Path) -> None:
    made = pair(tmp_path)
    made.hear("an", 12, record(STRANGER, 3, 9))
    found = scored(made)
    assert (found.precision.unknown, found.precision.share) == (1, 4 / 5)


def test_an_echo_of_ones_own_id_lowers_precision(tmp_path: Path) -> None:
    made = pair(tmp_path)
    made.hear("an", 12, record(ID_A, 3, 9))
    assert scored(made).precision.unknown == 1


def test_a_record_at_a_time_when_its_id_was_silent_lowers_precision(tmp_path: Path) -> None:
    made = pair(tmp_path)
    made.hear("an", 6, record(ID_B, 3, 9))
    assert scored(made).precision.mistimed == 1


def test_a_record_from_too_far_away_lowers_precision(tmp_path: Path) -> None:
    made = pair(tmp_path)
    made.join("dung", "token", 80.0)
    made.on_air("dung", ID_C, 0, 900)
    made.hear("an", 1, record(ID_C, 3, 9))
    assert scored(made).precision.far == 1


def test_what_was_heard_after_the_fleets_life_is_left_out(tmp_path: Path) -> None:
    made = pair(tmp_path)
    made.hear("an", made.length_s // 300 + 2, record(STRANGER, 3, 9))
    assert scored(made).precision.share == 1


# -- logs -----------------------------------------------------------------------------------------------------------
def test_pages_of_another_key_are_counted_and_not_used(tmp_path: Path) -> None:
    made = pair(tmp_path)
    made.hear("an", 12, record(STRANGER, 3, 9), key=b"k" * 32)
    found = scored(made)
    assert (found.pages, found.damaged_pages, found.precision.unknown) == (4, 1, 0)


def test_a_page_that_is_in_flash_and_registry_counts_once(tmp_path: Path) -> None:
    made = pair(tmp_path)
    files = fleet_files.read(made.write())
    again = heard.read_logs(files, {"an": list(made.pages["an"])})
    assert len(again.tokens["an"].records) == 2
    write_flash(files.folder / "token-an" / "flash.bin", {})
    from_registry = score(files, heard.read_logs(files, {"an": list(made.pages["an"])}))
    assert recall(from_registry) == recall(scored(pair(tmp_path)))


def test_whole_pages_are_read_up_to_what_a_power_cut_left(tmp_path: Path) -> None:
    made = pair(tmp_path)
    first, second = made.pages["an"]
    image = tmp_path / "flash.bin"
    write_flash(image, {"a.bzl": first + second[:-1], "b.bzl": second, "c.tmp": b"?"})
    assert read_pages(image) == [first, second]


def test_an_image_without_a_file_system_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "flash.bin").write_bytes(b"\xff" * 65536)
    with pytest.raises(BztokenError, match="no token's file system"):
        read_pages(tmp_path / "flash.bin")


@pytest.mark.parametrize("missing", ["fleet.json", "truth.json", "ids.tsv", "identities.json", "air.json"])
def test_a_folder_that_lacks_something_is_told_so(tmp_path: Path, missing: str) -> None:
    folder = pair(tmp_path).write()
    (folder / missing).unlink()
    with pytest.raises(BztokenError, match="no fleet whose logs can be scored"):
        fleet_files.read(folder)


# -- clock ----------------------------------------------------------------------------------------------------------
def test_a_drifting_clock_is_corrected_along_a_line() -> None:
    clock = TokenClock([(1000.0, 2.0), (2000.0, 52.0)])
    assert clock.true_times(1002) == [1000]
    assert clock.true_times(2052) == [2000]
    assert clock.true_times(1527) == [pytest.approx(1500)]
    assert clock.true_times(902) == [900]
    assert clock.true_times(2152) == [2100]


def test_a_clock_that_was_put_back_may_have_said_a_time_twice() -> None:
    clock = TokenClock([(0, 0), (1000, 0), (1000, -300), (2000, -300)])
    assert clock.true_times(800) == [800, 1100]
    assert clock.true_times(500) == [500]
    assert clock.true_times(1500) == [1800]


def test_a_time_that_the_clock_leapt_over_is_the_moment_of_the_leap() -> None:
    assert TokenClock([(0, 0), (1000, 0), (1000, 300), (2000, 300)]).true_times(1100) == [1000]


def test_of_two_times_the_one_at_which_the_id_was_on_the_air_is_taken(tmp_path: Path) -> None:
    made = Folder(tmp_path / "fleet")
    made.join("an", "token", 0.0)
    made.join("binh", "token", 1.5)
    made.clocks["an"] = [
        [START_S + at_s, error_s] for at_s, error_s in ((0, 0), (3600, 0), (3600, -1800), (14400, -1800))
    ]
    made.on_air("binh", ID_B, 3600, 4500)
    made.hear("an", 7, record(ID_B, 0, 100))  # 2100 s by a clock that was put back by half an hour
    assert scored(made).precision.right == 1


# -- chart and command ----------------------------------------------------------------------------------------------
def texts_of(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_the_chart_is_a_labelled_picture_with_a_mark_for_each_bucket() -> None:
    lines = [recall_chart.Line("0-1", [(1, 2), (0, 0), (3, 3)]), recall_chart.Line("1-2", [(0, 0)] * 3)]
    svg = recall_chart.draw("A & B", ["2-5", "5-10", "30+"], lines)
    texts = texts_of(svg)
    for expected in ("A & B", "2-5", "30+", "0-1 m", "100", recall_chart.X_LABEL, recall_chart.Y_LABEL):
        assert expected in texts
    titles = [element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}title")]
    assert titles == ["0-1 m: 1 / 2", "0-1 m: 3 / 3", "0-1", "1-2"]


def test_a_chart_without_encounters_says_so() -> None:
    assert any("No encounters" in text for text in texts_of(recall_chart.draw("", ["2-5"], [])))


def test_the_command_tells_the_logs_score_without_any_registry(tmp_path: Path, cli: Program) -> None:
    folder = pair(tmp_path, a_misses=True).write()
    ran = cli("fleet", "score", folder)
    assert (ran.code, ran.err) == (0, "")
    assert "token and token" in ran.out
    assert "100.00% of 3 records" in ran.out
    assert "40 changes of ID, 0 ways to link them" in ran.out
    assert "In truth" not in ran.out  # nothing to compare with
    assert "2-5" in texts_of((folder / "score.svg").read_text())


def test_the_command_gives_everything_as_json(tmp_path: Path, cli: Program) -> None:
    folder = pair(tmp_path).write()
    document = cli("fleet", "score", folder, "--json").document()
    once = {"encounters": 1, "by_a": 1, "by_b": 1, "by_both": 1}
    assert document["chart"] == str(folder / "score.svg")
    assert document["logs"]["precision"]["share"] == 1
    assert {one["by_both"] for one in document["logs"]["recall"]["token and token"]} == {1}
    assert document["logs"]["pairs"] == [
        {"who": "token and token", "a": "an", "b": "binh", "minutes": minutes, **counts}
        for minutes, counts in (("2-5", once), ("10-15", once))
    ]
    assert "found" not in document
    json.dumps(document)


def test_a_registry_without_a_case_of_the_fleet_changes_nothing(tmp_path: Path, cli: Program) -> None:
    folder = pair(tmp_path).write()
    before = cli("fleet", "score", folder).out
    assert cli("registry", "init").code == 0
    after = cli("fleet", "score", folder)
    assert (after.code, after.out, after.err) == (0, before, "")


def test_links_on_the_air_are_named(tmp_path: Path, cli: Program) -> None:
    folder = pair(tmp_path).write()
    air = json.loads((folder / "air.json").read_text())
    air["linked"] = [{"rule": "gap-is-fixed", "carrier": "an", "first_s": START_S, "count": 3}]
    (folder / "air.json").write_text(json.dumps(air))
    assert "gap-is-fixed: an, 3 times" in cli("fleet", "score", folder).out
