"""`bztoken calibrate` from a file to its answers, and every file that it cannot take: one sentence, exit code 1."""

import random
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from tests.host.boards_elsewhere import change_at, put
from tests.host.calibration_rows import COLUMNS, HEAD, Radio, packets, write, write_groups
from tests.host.first_and_second_contacts import F0, NOON_S, meets, world
from tests.host.traced_world import TracedWorld
from tests.program import Program

from bztoken import scoring
from bztoken.calibration import recordings, roc_chart
from bztoken.scoring import preset_files, preset_numbers
from bztoken.scoring.bluezone import Bluezone

__all__ = ["world"]
RADIO = Radio({"esp32-devkit": 8.0, "bench phone": -8.0}, {"x": 0.0, "y": 5.0}, noise_db=3.0)
PAIRS = [(receiver, transmitter) for receiver in RADIO.deaf_db for transmitter in RADIO.weak_db]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def grouped(tmp_path: Path) -> Path:
    """Three groups of the same devices."""
    return write_groups(tmp_path / "grouped.csv", {str(seed): packets(RADIO, PAIRS, seed=seed) for seed in range(3)})


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return write(tmp_path / "plain.csv", packets(RADIO, PAIRS))


def test_the_document_has_an_auc_for_each_window_way_and_kind_of_judging(grouped: Path, cli: Program) -> None:
    ran = cli("calibrate", grouped, "--json")
    assert (ran.code, ran.err) == (0, "")
    document = ran.document()
    ways = [(found["window_s"], found["learned_on"], found["correction"]) for found in document["quality"]]
    assert sorted(ways) == sorted(
        (window_s, learned_on, correction)
        for window_s in (150, 900)
        for learned_on in ("same data", "other groups")
        for correction in (
            "as heard",
            "an offset a receiver",
            "an offset a transmitter",
            "an offset a receiver and a transmitter",
        )
    )
    assert all(0 <= found["auc"] <= 1 and 0 <= found["balanced_accuracy"] <= 1 for found in document["quality"])
    assert {found["window_s"]: found["within"] for found in document["windows"]} == {150: 96, 900: 48}
    assert {line["device"]: line["rssi_offset_db"] for line in document["offsets"]["receivers"]} == {
        "bench phone": -8,
        "esp32-devkit": 8,
    }


def test_the_table_tells_figures_offsets_bands_and_which_board_file_they_are_for(grouped: Path, cli: Program) -> None:
    ran = cli("calibrate", grouped)
    assert (ran.code, ran.err) == (0, "")
    assert "other groups" in ran.out and "balanced accuracy" in ran.out
    assert 'esp32-devkit is a board: put "rssi_offset_db": 8 under radio' in ran.out
    assert "bench phone is a board" not in ran.out
    assert "A band is no distance." in ran.out


def test_without_groups_it_says_that_its_figures_flatter(plain: Path, cli: Program) -> None:
    ran = cli("calibrate", plain, "--json")
    document = ran.document()
    assert {found["learned_on"] for found in document["quality"]} == {"same data"}
    assert any("flatter" in remark for remark in document["remarks"])
    assert "flatter" in cli("calibrate", plain).err


def test_the_order_of_lines_changes_nothing(tmp_path: Path, cli: Program) -> None:
    rows = packets(RADIO, PAIRS)
    mixed = random.Random(5).sample(rows, len(rows))
    documents = [
        cli("calibrate", write(tmp_path / f"{name}.csv", found), "--json").document()
        for name, found in (("sorted", rows), ("mixed", mixed))
    ]
    for found in documents:
        found.pop("file")
    first, second = (
        [(way["correction"], round(way["auc"], 9), round(way["balanced_accuracy"], 9)) for way in found["quality"]]
        for found in documents
    )
    assert first == second
    assert documents[0]["offsets"] == documents[1]["offsets"]


def test_tx_power_is_taken_in_where_lines_tell_it(tmp_path: Path, cli: Program) -> None:
    radio = Radio({"a": 0.0}, {"weak": 20.0, "strong": 0.0})
    told = {"weak": -25, "strong": -5}
    pairs = [("a", name) for name in told]
    path = write(
        tmp_path / "tx.csv", [(*row, told[str(row[1])]) for row in packets(radio, pairs)], (*COLUMNS, "tx_dbm")
    )
    quality = {
        found["correction"]: found["auc"]
        for found in cli("calibrate", path, "--json").document()["quality"]
        if found["window_s"] == 150
    }
    assert quality["TX power taken in"] == 1
    assert quality["as heard"] < 0.9


def test_windows_with_too_few_packets_are_left_out_and_counted(tmp_path: Path, cli: Program) -> None:
    rows = [*packets(RADIO, PAIRS, windows=1), *[("bench phone", "x", 10_000 + at, -90, 1.0) for at in range(2)]]
    document = cli("calibrate", write(tmp_path / "few.csv", rows), "--json").document()
    assert [found["dropped"] for found in document["windows"]] == [1, 1]
    kept = cli("calibrate", tmp_path / "few.csv", "--least-packets", "1", "--json").document()
    assert [found["dropped"] for found in kept["windows"]] == [0, 0]
    assert "1 more had too few packets" in cli("calibrate", tmp_path / "few.csv").out


@pytest.mark.parametrize(
    ("groups", "sentence"),
    [({"one": [1.0, 3.0]}, "All is of one group"), ({"near": [1.0], "far": [3.0]}, "No group can be judged")],
)
def test_groups_that_cannot_teach_one_another_are_said(
    groups: dict[str, list[float]], sentence: str, tmp_path: Path, cli: Program
) -> None:
    path = write_groups(tmp_path / "g.csv", {name: packets(RADIO, PAIRS, metres) for name, metres in groups.items()})
    document = cli("calibrate", path, "--json").document()
    assert {found["learned_on"] for found in document["quality"]} == {"same data"}
    assert any(remark.startswith(sentence) for remark in document["remarks"])


def test_offsets_that_are_of_no_use_elsewhere_are_advised_against(tmp_path: Path, cli: Program) -> None:
    """In each group another receiver is the deaf one."""
    groups = {
        name: packets(RADIO._replace(deaf_db={"esp32-devkit": deaf_db, "bench phone": -deaf_db}), PAIRS, seed=3)
        for name, deaf_db in (("one", 8.0), ("two", -8.0))
    }
    document = cli("calibrate", write_groups(tmp_path / "turned.csv", groups), "--json").document()
    assert any("put none into a board file" in remark for remark in document["remarks"])


# -- files -----------------------------------------------------------------------------------------------------------
def test_the_bands_are_a_preset_that_scores_and_names_the_offsets(grouped: Path, tmp_path: Path, cli: Program) -> None:
    out = tmp_path / "village.toml"
    ran = cli("calibrate", grouped, "--out-bands", out, "--json")
    preset = preset_files.read(out)
    assert isinstance(preset, Bluezone)
    bands = ran.document()["bands"]
    assert (preset.bands.near_max_db, preset.bands.middle_max_db) == (bands["near_max_db"], bands["middle_max_db"])
    assert 0 < preset.bands.near_max_db < preset.bands.middle_max_db
    assert (preset.name, preset.close_minutes_f1, preset.default_tx_power_dbm) == ("village", 15, -15)
    assert preset_numbers.of(preset).keys() == preset_numbers.of(scoring.load(scoring.DEFAULT)).keys()
    text = out.read_text()
    assert '# boards/esp32-devkit/board.json, radio: "rssi_offset_db": 8' in text
    assert '# bench phone: "rssi_offset_db": -8' in text
    assert tomllib.loads(text)["sources"] == ["recordings at known distances: grouped.csv"]


def test_the_bounds_lie_where_two_metres_are(tmp_path: Path, cli: Program) -> None:
    """Without noise: attenuation at 2 m is 51.0 dB, at 2.5 m 53.0 dB (45 dB at 1 m, exponent 2)."""
    quiet = RADIO._replace(noise_db=0.0, weak_db={"x": 0.0, "y": 0.0}, deaf_db={"a": 5.0, "b": -5.0})
    pairs = [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")]
    bands = cli("calibrate", write(tmp_path / "quiet.csv", packets(quiet, pairs)), "--json").document()["bands"]
    assert bands == {"near_max_db": 52.0, "middle_max_db": 53.0}


def test_the_picture_has_a_curve_for_both_windows_with_and_without_offsets(
    grouped: Path, tmp_path: Path, cli: Program
) -> None:
    out = tmp_path / "roc.svg"
    assert cli("calibrate", grouped, "--out-roc", out).code == 0
    root = ElementTree.fromstring(out.read_text())
    texts = [element.text or "" for element in root.iter(f"{SVG}text")]
    for expected in (roc_chart.X_LABEL, roc_chart.Y_LABEL, roc_chart.COIN, "100"):
        assert expected in texts
    labels = [text for text in texts if ": AUC " in text and text[0].isdigit()]
    assert [label.split(",")[0] for label in labels] == ["150 s", "150 s", "900 s", "900 s"]
    assert sum("as heard" in label for label in labels) == 2
    lines = [element for element in root.iter(f"{SVG}polyline") if len(element.get("points", "").split()) > 2]
    assert len({(line.get("stroke"), line.get("stroke-dasharray")) for line in lines}) == 4
    assert "learned on other groups" in texts[1]


@pytest.mark.parametrize("name", ["Village.toml", "village.json", "a b.toml"])
def test_bands_in_a_file_that_no_preset_can_have_are_refused_before_anything_is_read(
    name: str, tmp_path: Path, cli: Program
) -> None:
    ran = cli("calibrate", tmp_path / "missing.csv", "--out-bands", tmp_path / name)
    assert (ran.code, len(ran.err.splitlines())) == (1, 1)
    assert "no name of a preset file" in ran.err


def test_a_picture_that_cannot_be_written_is_refused_before_anything_is_read(tmp_path: Path, cli: Program) -> None:
    ran = cli("calibrate", tmp_path / "missing.csv", "--out-roc", tmp_path / "nowhere" / "roc.svg")
    assert (ran.code, len(ran.err.splitlines())) == (1, 1)
    assert "cannot be written" in ran.err


def test_what_is_written_is_neither_the_recordings_nor_one_file_for_two(
    plain: Path, tmp_path: Path, cli: Program
) -> None:
    before = plain.read_bytes()
    ran = cli("calibrate", plain, "--out-roc", plain)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (1, "", 1) and "is read here" in ran.err
    assert plain.read_bytes() == before
    both = tmp_path / "both.toml"
    assert cli("calibrate", plain, "--out-roc", both, "--out-bands", both).code == 2 and not both.exists()


def test_bounds_below_zero_are_no_preset_and_leave_the_old_file(plain: Path, tmp_path: Path, cli: Program) -> None:
    out = tmp_path / "bands.toml"
    out.write_text("old")
    ran = cli("calibrate", plain, "--tx-dbm", "-127", "--out-bands", out)
    assert (ran.code, len(ran.err.splitlines())) == (1, 1)
    assert "give the TX power" in ran.err
    assert out.read_text() == "old"


# -- what cannot be taken --------------------------------------------------------------------------------------------
GOOD = "a,x,0,-60,1"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "bad.csv: the file is empty"),
        (f"{HEAD}\n", "bad.csv: the file has no packets"),
        ("receiver,transmitter,time_s,rssi_dbm\na,x,0,-60\n", "bad.csv, line 1: the first line names the columns"),
        (f"{HEAD},group,group\n", "bad.csv, line 1: a column is there twice"),
        (f"{HEAD}\n{GOOD}\na,x,0,loud,1\n", "bad.csv, line 3: rssi_dbm is no number: write one from -127 to 20"),
        (f"{HEAD}\na,x,0,,1\n", "bad.csv, line 2: rssi_dbm is no number"),
        (f"{HEAD}\na,x,0,-6_0,1\n", "bad.csv, line 2: rssi_dbm is no number"),
        (f"{HEAD}\na,x,0,nan,1\n", "bad.csv, line 2: rssi_dbm is not between -127 and 20"),
        (f"{HEAD}\na,x,0,127,1\n", "bad.csv, line 2: rssi_dbm is not between -127 and 20"),
        (f"{HEAD}\na,x,0,-60,-1\n", "bad.csv, line 2: distance_m is not between 0 and 1000"),
        (f"{HEAD}\na,x,0,-60,inf\n", "bad.csv, line 2: distance_m is not between 0 and 1000"),
        (f"{HEAD}\na,x,nan,-60,1\n", "bad.csv, line 2: time_s is not between"),
        (f"{HEAD}\na,x,1606800000000,-60,1\n", "bad.csv, line 2: time_s is not between"),
        (f"{HEAD},tx_dbm\n{GOOD},127\n", "bad.csv, line 2: tx_dbm is not between -127 and 126"),
        (f"{HEAD}\n,x,0,-60,1\n", "bad.csv, line 2: this line names no receiver"),
        (f"{HEAD},group\n{GOOD},\n", "bad.csv, line 2: this line names no group"),
        (f"{HEAD}\n{'a' * 65},x,0,-60,1\n", "bad.csv, line 2: the receiver is no plain text of at most 64 letters"),
        (f"{HEAD}\n{GOOD},7\n", "bad.csv, line 2: this line has more cells than there are columns"),
        (f'{HEAD}\n"a"b,x,0,-60,1\n', "bad.csv, line 2: the quotation marks of this line do not fit"),
        (f"{HEAD}\n{'a' * 5000}", "bad.csv, line 2: this line is longer than 4096 bytes"),
        (f"{HEAD}\n{GOOD}\n", "bad.csv: no line is beyond 2 m, so nothing can be told apart"),
        (f"{HEAD}\na,x,0,-60,2.1\n", "bad.csv: no line is within 2 m, so nothing can be told apart"),
        (f"{HEAD}\n{GOOD}\na,x,0,-60,3\n", "bad.csv: no window of 150 s with 3 packets is within 2 m"),
    ],
)
def test_a_wrong_file_is_told_in_one_sentence_with_its_line(
    content: str, sentence: str, tmp_path: Path, cli: Program
) -> None:
    (tmp_path / "bad.csv").write_text(content)
    ran = cli("calibrate", tmp_path / "bad.csv", "--json")
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (1, "", 1)
    assert sentence in ran.err


def test_bytes_that_are_no_text_are_told_with_their_line(tmp_path: Path, cli: Program) -> None:
    (tmp_path / "bad.csv").write_bytes(f"{HEAD}\n{GOOD}\n".encode() + b"\xff\xfe,x,0,-60,1\n")
    ran = cli("calibrate", tmp_path / "bad.csv")
    assert (ran.code, len(ran.err.splitlines())) == (1, 1)
    assert "bad.csv, line 3: this line is not in UTF-8" in ran.err


def test_a_file_that_is_not_there_is_told_in_one_sentence(tmp_path: Path, cli: Program) -> None:
    ran = cli("calibrate", tmp_path / "none.csv")
    assert (ran.code, ran.err.strip()) == (1, f"bztoken: {tmp_path / 'none.csv'}: no such file or directory")


def test_as_excel_saves_it_a_file_is_taken_too(plain: Path, tmp_path: Path, cli: Program) -> None:
    text = "\ufeff" + plain.read_text().replace(",", ";").replace("receiver", "Receiver") + "\r\n;;;;\r\n"
    (tmp_path / "excel.csv").write_text(text, newline="")
    document = cli("calibrate", tmp_path / "excel.csv", "--json").document()
    assert document["quality"] == cli("calibrate", plain, "--json").document()["quality"]


def test_more_ticks_than_there_is_memory_for_are_refused(
    plain: Path, cli: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "MAX_TICKS", 100)
    ran = cli("calibrate", plain)
    assert ran.code == 1 and "split the file" in ran.err


def test_more_devices_than_can_be_fitted_are_refused(tmp_path: Path, cli: Program) -> None:
    rows = [(f"r{at}", "x", 0, -60, 1.0) for at in range(recordings.MAX_NAMES + 1)]
    ran = cli("calibrate", write(tmp_path / "many.csv", rows))
    assert ran.code == 1 and f"line {len(rows) + 1}: there are more than 256 receivers" in ran.err


@pytest.mark.parametrize(
    ("pairs", "distances_m", "sentence"),
    [
        ([("esp32-devkit", "x")], {}, "There is one receiver only"),
        ([("esp32-devkit", "x"), ("bench phone", "y")], {}, "Each receiver heard a transmitter of its own"),
        (
            [("esp32-devkit", "x"), ("bench phone", "x")],
            {"esp32-devkit": [1.0], "bench phone": [3.0]},
            "No offset can be told from distance",
        ),
    ],
)
def test_offsets_that_cannot_be_told_are_said_and_what_was_heard_is_judged_all_the_same(
    pairs: list[tuple[str, str]], distances_m: dict[str, list[float]], sentence: str, tmp_path: Path, cli: Program
) -> None:
    rows = [row for pair in pairs for row in packets(RADIO, [pair], distances_m.get(pair[0], [1.0, 3.0]))]
    ran = cli("calibrate", write(tmp_path / "few.csv", rows), "--json")
    document: Any = ran.document()
    assert any(remark.startswith(sentence) for remark in document["remarks"])
    assert document["quality"][0]["correction"] == "as heard"


# -- into matching ---------------------------------------------------------------------------------------------------
def test_a_fitted_offset_in_a_board_file_changes_the_band_of_a_match(
    world: TracedWorld, tmp_path: Path, cli: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heard at -70 dBm on average, which without an offset is an attenuation of 55 dB: near to the last dB."""
    radio = RADIO._replace(deaf_db={"esp32-devkit": -8.0, "bench phone": 8.0})
    document = cli("calibrate", write(tmp_path / "sharp.csv", packets(radio, PAIRS)), "--json").document()
    offsets = {line["device"]: line["rssi_offset_db"] for line in document["offsets"]["receivers"]}
    assert offsets["esp32-devkit"] == -8
    put(tmp_path / "boards", "esp32-devkit", change=change_at("radio.rssi_offset_db", offsets["esp32-devkit"]))
    monkeypatch.setenv("BZTOKEN_BOARDS", str(tmp_path / "boards"))
    world.token("Sharp", board="esp32-devkit")
    world.case("F0-1", F0)
    for label in ("Sharp", "Lan"):
        meets(world, label, F0, NOON_S)
    world.batch()
    assert {row.who: row.exposure.band for row in world.named()} == {"Lan": "near", "Sharp": "middle"}
