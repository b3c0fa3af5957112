"""The reader of board files: each rule sees a planted fault, and says in one sentence where it is and what to do."""

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.host.boards_elsewhere import change_at, put

from bztoken import boards
from bztoken.boards import rules, shape
from bztoken.boards.chips import CHECKOUT, known
from bztoken.desk.application_build import Arch
from bztoken.errors import BoardError


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder of boards, and the one in use."""
    monkeypatch.setenv(boards.VARIABLE, str(tmp_path))
    return tmp_path


def planted(folder: Path, original: str, *faults: tuple[str, object]) -> list[str]:
    """What is found wrong with a copy of a board in which these places are changed."""

    def change(description: dict[str, Any]) -> None:
        for place, value in faults:
            change_at(place, value)(description)

    put(folder, original, change=change)
    return boards.problems(original)


# -- shape -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("chip", 32, "chip: 32 is no text"),
        ("flash_bytes", "4 MB", 'flash_bytes: "4 MB" is no whole number or null'),
        ("flash_bytes", 0, "flash_bytes: 0 is below 1"),
        ("flash_map", ..., "flash_map: it is missing"),
        ("flash_map.vfs", ..., "flash_map.vfs: it is missing"),
        ("flash_map.vfs.offset", 2097152, "flash_map.vfs.offset: 2097152 is no text"),
        ("flash_map.vfs.offset", "2M", 'does not look like a number of bytes like "0x200000"'),
        ("radio.tx_power_dbm", "9", 'radio.tx_power_dbm: "9" is no whole number'),
        ("radio.tx_power_dbm", True, "radio.tx_power_dbm: true is no whole number"),
        ("radio.colour", 1, "radio.colour: nobody reads this key"),
        ("currents.listen_ma", 86, "currents.listen_ma: 86 is no group of keys"),
        ("currents.listen_ma.value", "86", 'currents.listen_ma.value: "86" is no number or null'),
        ("button", {}, "button.pin: it is missing"),
        ("button.pin", -1, "button.pin: -1 is below 0"),
        ("radio.tx_power_dbm", 127, "radio.tx_power_dbm: 127 is above 126"),
        ("clock.drift_ppm", -5, "clock.drift_ppm: -5 is below 1"),
        ("currents.listen_ma.value", -86, "currents.listen_ma.value: -86 is below 0"),
        ("toaster", {}, "toaster: nobody reads this key"),
        ("usb", {}, "usb: {} is no list"),
        ("usb.0", "303a:1001", "usb[0]: "),
        ("usb.0.vid", "0x303A", "four hex digits in lower case"),
        ("usb.0.pid", "1001", "usb[0].pid: "),
        ("usb.0.serial", "1", "usb[0].serial: nobody reads this key"),
        ("power.sleep", "deep", 'power.sleep: "deep" is none of light, none'),
        ("arch", "z80", 'arch: "z80" is none of xtensawin, rv32imc, x64'),
        ("image.sha256", "ABC", "image.sha256: "),
        ("image.url", "ftp://x/y.bin", "image.url: "),
        ("image.file", "../../evil.bin", "image.file: "),
        ("taken_pins", {"pins": "3-", "source": "x"}, "taken_pins.pins: "),
    ],
)
def test_a_misshapen_file_is_told_by_its_place(elsewhere: Path, place: str, value: object, told: str) -> None:
    found = planted(elsewhere, "xiao-esp32c3", (place, value))
    assert len(found) == 1 and told in found[0], found


def test_a_file_that_is_no_group_of_keys_is_told() -> None:
    assert list(shape.problems([])) == ["file: [] is no group of keys: mend it"]
    assert len(list(shape.problems({}))) == 7


# -- sources ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("currents.listen_ma.source", " ", "currents.listen_ma: it has no source"),
        ("currents.light_on_ma.source", "my neighbour", "currents.light_on_ma: it is unknown and has a source"),
        ("sources.button", ..., "button: it has no source"),
        ("sources.rtc", "nowhere", "sources.rtc: a source for nothing"),
        ("flash_bytes", None, "flash_bytes: it is unknown and has a source"),
        ("usb.0.source", "", "usb[0]: it has no source"),
        ("flash_map.source", "", "flash_map: it has no source"),
        ("image.sha256_source", None, "image.sha256: it has no source"),
        ("image.sha256", None, "image.sha256: it is unknown and has a source"),
    ],
)
def test_a_value_without_a_source_and_a_source_without_a_value_are_seen(
    elsewhere: Path, place: str, value: object, told: str
) -> None:
    found = planted(elsewhere, "xiao-esp32c3", (place, value))
    assert len(found) == 1 and told in found[0], found


def test_unknown_facts_are_listed_by_their_place() -> None:
    description = boards.load("esp32c6-devkit").description
    assert rules.unknown_facts({**description, "flash_bytes": None}) == [
        "currents.light_on_ma", "currents.board_ma", "times.radio_start_ms", "times.boot_ms", "flash_bytes",
        "image.sha256",
    ]  # fmt: skip


# -- impossible values -----------------------------------------------------------------------------------------------
BATTERY = {"adc_pin": 3, "divider": 2.0, "low_mv": 3600, "empty_mv": 3300}
SOURCED = ("sources.battery", "x")
OLD_FILE = "ESP32_GENERIC-20240222-v1.22.2.bin"
OLD_IMAGE = [
    ("image.release", "v1.22.2"),
    ("image.file", OLD_FILE),
    ("image.url", f"https://micropython.org/{OLD_FILE}"),
]


@pytest.mark.parametrize(
    ("original", "faults", "told"),
    [
        ("xiao-esp32c3", [("chip", "z80")], "chip: nobody knows 'z80'"),
        ("xiao-esp32c3", [("button.pin", 22)], "button.pin: the esp32c3 has no GPIO 22"),
        ("xiao-esp32c3", [("button.pin", 18)], "button.pin: GPIO 18 of the esp32c3 is its USB port"),
        ("xiao-esp32c3", [("button.pin", 14)], "button.pin: GPIO 14 of the esp32c3 belongs to its flash"),
        ("esp32-devkit", [("button.pin", 24), ("power.deepsleep_wake", ...)], "the esp32 has no GPIO 24"),
        ("esp32-devkit", [("button.pin", 8), ("power.deepsleep_wake", ...)], "GPIO 8 of the esp32 belongs to"),
        ("xiao-esp32s3", [("light.mono", 35)], "light.mono: GPIO 35 is taken on this board (taken_pins)"),
        ("xiao-esp32s3", [("light.mono", 0)], "GPIO 0 is light.mono already"),
        ("m5stickc-plus2", [("rtc.sda", 22)], "rtc.sda: GPIO 22 is rtc.scl already"),
        ("m5stickc-plus2", [("light.mono", 36)], "light.mono: GPIO 36 of the esp32 is an input only"),
        ("m5stickc-plus2", [("buzzer.pin", 36)], "buzzer.pin: GPIO 36 of the esp32 is an input only"),
        ("m5stickc-plus2", [("power.hold_pin", 36)], "power.hold_pin: GPIO 36 of the esp32 is an input only"),
        ("m5stickc-plus2", [("rtc.scl", 36)], "rtc.scl: GPIO 36 of the esp32 is an input only"),
        ("m5stickc-plus2", [("button.external_pull", ...)], "button.pin: GPIO 37 of the esp32 has no pull-up"),
        ("m5stickc-plus2", [("battery.adc_pin", 25)], "battery.adc_pin: GPIO 25 of the esp32 is on ADC 2"),
        ("m5stickc-plus2", [("battery.adc_pin", 18)], "battery.adc_pin: GPIO 18 of the esp32 measures nothing"),
        ("m5stickc-plus2", [("battery.divider", 0)], "battery.divider: "),
        ("m5stickc-plus2", [("battery.divider", 0.5)], "battery.divider: it is battery voltage over pin voltage"),
        ("xiao-esp32c3", [("battery", {**BATTERY, "adc_pin": 5}), SOURCED], "GPIO 5 of the esp32c3 is on ADC 2"),
        ("xiao-esp32c3", [("battery", {**BATTERY, "low_mv": 3300}), SOURCED], "battery.low_mv: 3300 mV is not above"),
        ("xiao-esp32c3", [("battery", {"adc_pin": 3, "divider": 2.0, "low_mv": 3600}), SOURCED], "give both, or none"),
        ("xiao-esp32s3", [("light", {"active_low": True})], "light: it names no pin"),
        ("xiao-esp32c3", [("power.cpu_hz", 240000000)], "the esp32c3 cannot run at 240000000 Hz: give one of 20, 40,"),
        ("esp32-devkit", [("power.cpu_hz", 80000001)], "the esp32 cannot run at 80000001 Hz"),
        ("xiao-esp32c3", [("power.deepsleep_wake", "ext0")], "the esp32c3 has no ext0: give one of gpio"),
        ("xiao-esp32c3", [("power.deepsleep_wake", "gpio")], "GPIO 9, the button, cannot wake the esp32c3 by gpio"),
        ("esp32c6-devkit", [("power.deepsleep_wake", "ext1")], "GPIO 9, the button, cannot wake the esp32c6 by ext1"),
        ("esp32-devkit", [("button.pin", 5)], "GPIO 5, the button, cannot wake the esp32 by ext0"),
        ("esp32-devkit", [("usb_sense", {"pin": 5}), ("sources.usb_sense", "x")], "usb_sense.pin: GPIO 5 cannot wake"),
        ("esp32-devkit", [("flash_map.vfs.offset", "0x1f0000")], "flash_map.vfs: it begins at 0x1f0000, inside fac"),
        ("esp32-devkit", [("flash_map.vfs.offset", "0x200800")], "0x200800 is no multiple of 0x1000"),
        ("esp32-devkit", [("flash_map.vfs.offset", "0x400000")], "flash_map.vfs: it ends past the 4194304 bytes"),
        ("esp32-devkit", [("flash_map.vfs.size", "0x300000")], "flash_map.vfs: it ends past the 4194304 bytes"),
        ("esp32-devkit", [("flash_map.nvs.offset", "0x1000")], "flash_map.nvs: it begins at 0x1000, inside the boot"),
        ("esp32-devkit", [("flash_map.nvs.offset", "0x8000")], "flash_map.nvs: it begins at 0x8000, inside the boot"),
        ("esp32-devkit", [("flash_map.phy_init.size", "0x0")], "flash_map.phy_init: its size, 0x0, is no whole"),
        ("esp32-devkit", [("flash_map.vfs.size", "0x1001")], "flash_map.vfs: its size, 0x1001, is no whole"),
        ("esp32-devkit", [("flash_bytes", 4194305)], "flash_bytes: 4194305 is no multiple of 0x1000"),
        ("esp32-devkit", [("image.url", None)], "image.url: it is missing beside image.file"),
        ("esp32-devkit", [("image.release", None)], "image.release: it is missing beside image.file"),
        ("esp32-devkit", [("flash_map.factory.size", ...)], "flash_map.vfs: it begins at 0x200000, inside factory"),
        ("esp32-devkit", [("image.url", "https://micropython.org/x.bin")], "image.url: it does not end with"),
        ("esp32-devkit", [("image.release", "v1.28.0")], "does not name the release v1.28.0"),
        ("esp32-devkit", OLD_IMAGE, "image.release: v1.22.2 does not load our compiled files: give v1.23.0"),
        ("esp32-devkit", [("image.name", "ESP8266")], "does not begin with image.name, ESP8266"),
        ("virtual", [("image.file", "ESP32_GENERIC_C3.bin"), ("flash_map.vfs.offset", "0x9000")], "there is no image"),
    ],
)  # fmt: skip
def test_an_impossible_value_is_told_by_its_place(
    elsewhere: Path, original: str, faults: list[tuple[str, object]], told: str
) -> None:
    found = planted(elsewhere, original, *faults)
    assert len(found) == 1 and told in found[0], found


def test_a_name_that_is_not_the_folders_is_told(elsewhere: Path) -> None:
    assert "name: it is 'y', and the folder 'esp32-devkit'" in planted(elsewhere, "esp32-devkit", ("name", "y"))[0]


def test_an_input_only_pin_that_is_active_high_needs_no_resistor(elsewhere: Path) -> None:
    faults = (("button.external_pull", ...), ("button.active_low", False))
    assert planted(elsewhere, "m5stickc-plus2", *faults) == []


# -- papers ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("paper", "content", "told"),
    [
        ("notes.md", None, "notes.md: it is missing"),
        ("record.md", None, "record.md: it is missing"),
        ("record.md", b"\xff", "record.md: it cannot be read as text"),
        ("record.md", b"# Sheet\n", "record.md: it does not say how 'esp32-devkit' is flashed"),
        (
            "record.md",
            b"`bztoken flash --board xiao-esp32c3`",
            "record.md: it names the board 'xiao-esp32c3', and this",
        ),
    ],
)
def test_papers_that_are_missing_or_of_another_board_are_told_and_keep_nobody_from_flashing(
    elsewhere: Path, paper: str, content: bytes | None, told: str
) -> None:
    path = put(elsewhere, "esp32-devkit").parent / paper
    path.unlink() if content is None else path.write_bytes(content)
    found = boards.problems("esp32-devkit")
    assert len(found) == 1 and found[0].startswith(told), found
    assert boards.load("esp32-devkit").name == "esp32-devkit"


def test_a_board_that_nobody_can_flash_needs_no_record_sheet(elsewhere: Path) -> None:
    assert not (put(elsewhere, "virtual").parent / "record.md").exists()
    assert boards.problems("virtual") == []


# -- loading ---------------------------------------------------------------------------------------------------------
def test_a_board_is_loaded_with_its_chip_its_map_and_its_image() -> None:
    board = boards.load("esp32-devkit")
    assert (board.name, board.chip.name, board.arch, board.chip.image_offset) == (
        "esp32-devkit",
        "esp32",
        Arch.XTENSAWIN,
        0x1000,
    )
    assert [part.name for part in board.partitions] == ["nvs", "phy_init", "factory", "vfs"]
    assert board.vfs(4 << 20) == boards.Partition("vfs", 0x200000, 0x200000)
    assert board.vfs(16 << 20).size == 14 << 20
    assert board.image is not None and board.image.url.endswith(board.image.file)
    assert boards.load("virtual").image is None


def test_a_flash_without_room_for_the_file_system_is_told() -> None:
    for flash_bytes in (1 << 20, 2 << 20):
        with pytest.raises(BoardError, match=r"begins at 0x200000.*too small"):
            boards.load("esp32-devkit").vfs(flash_bytes)


def test_a_board_may_have_another_instruction_set_than_its_chip(elsewhere: Path) -> None:
    put(elsewhere, "esp32-devkit", "bench", change_at("arch", "x64"))
    assert boards.load("bench").arch is Arch.X64


def test_the_first_problem_is_the_error_with_file_and_key(elsewhere: Path) -> None:
    path = put(elsewhere, "esp32-devkit", change=change_at("button.pin", 8))
    with pytest.raises(BoardError) as raised:
        boards.load("esp32-devkit")
    assert str(raised.value).startswith(f"{path}: button.pin: GPIO 8 ") and str(raised.value).endswith(".")


@pytest.mark.parametrize("name", ["toaster", "", "..", "../boards/esp32-devkit", "chips.json"])
def test_an_unknown_name_is_told_with_the_boards_there_are(name: str) -> None:
    for ask in (boards.load, boards.problems):
        with pytest.raises(BoardError, match=r"no board .*esp32-devkit.*xiao-esp32s3"):
            ask(name)


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "no JSON"), (b"{\n]", "line 2: this is no JSON"), (b"\xff\xfe", "no JSON"), (b'{"a": NaN}', "no JSON"),
     (b"[" * 100_000, "no JSON"), (b"[]", "is no group of keys"), (b"null", "is no group of keys")],
)  # fmt: skip
def test_a_damaged_file_is_one_sentence(elsewhere: Path, content: bytes, told: str) -> None:
    path = put(elsewhere, "esp32-devkit")
    path.write_bytes(content)
    with pytest.raises(BoardError, match=told):
        boards.load("esp32-devkit")
    assert len(boards.problems("esp32-devkit")) == 1


def test_a_folder_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(boards.VARIABLE, str(tmp_path / "absent"))
    with pytest.raises(BoardError, match="BZTOKEN_BOARDS names .*absent, which is no folder"):
        boards.names()


def test_chips_of_the_folder_go_before_ours(elsewhere: Path) -> None:
    document = json.loads((CHECKOUT / "chips.json").read_text(encoding="utf-8"))
    document["chips"]["esp32h2"] = copy.deepcopy(document["chips"]["esp32c6"])
    (elsewhere / "chips.json").write_text(json.dumps(document))
    put(elsewhere, "esp32c6-devkit", change=change_at("chip", "esp32h2"))
    assert boards.load("esp32c6-devkit").chip.name == "esp32h2"
    (elsewhere / "chips.json").write_text('{"chips": {"esp32h2": {}}}')
    with pytest.raises(BoardError, match=r"chips\.json does not describe chips"):
        known(elsewhere)


# -- whatever is in the file -----------------------------------------------------------------------------------------
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
    | st.sampled_from(["0x0", "0xffffffff", "esp32", "0x303a", "3-1", "0-99999999"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=3,
)  # fmt: skip


def places(value: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, part in inner for place in places(part, (*at, key)))]


@given(data=st.data())
def test_whatever_stands_in_a_file_problems_are_clauses(data: st.DataObject) -> None:
    description = json.loads((CHECKOUT / "m5stickc-plus2" / boards.FILE).read_text(encoding="utf-8"))
    whole = {"": description}
    for _ in range(data.draw(st.integers(1, 3))):
        *way, last = ("", *data.draw(st.sampled_from(places(description))))
        inside: Any = whole
        for key in way:
            inside = inside[key]
        inside[last] = data.draw(ANYTHING)
        description = whole[""]
    chip = known().get(description["chip"]) if isinstance(description, dict) and "chip" in description else None
    found = rules.problems(description, "m5stickc-plus2", chip)
    assert all(": " in clause and "\n" not in clause for clause in found)


def test_pins_of_a_copied_folder_are_left_alone(elsewhere: Path) -> None:
    """The program's own schema judges, whatever lies in the folder."""
    put(elsewhere, "esp32-devkit")
    shutil.copy(CHECKOUT / "board.schema.json", elsewhere / "board.schema.json")
    (elsewhere / "board.schema.json").write_text("{")
    assert boards.problems("esp32-devkit") == []
