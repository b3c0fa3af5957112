"""Images on this computer: found by name, held against digest and chip, pinned once and never silently again."""

import hashlib
import json
from datetime import date
from pathlib import Path

import pytest
from tests.host.boards_elsewhere import change_at, put
from tests.synthetic_image import write

from bztoken import boards
from bztoken.boards import Board, image_pin, images
from bztoken.boards.chips import CHECKOUT
from bztoken.errors import BoardError

TODAY = date(2026, 11, 24)
DEVKIT = "ESP32_GENERIC-20260824-v1.29.0.bin"
C6 = "ESP32_GENERIC_C6-20260824-v1.29.0.bin"


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "boards"
    folder.mkdir()
    monkeypatch.setenv(boards.VARIABLE, str(folder))
    return folder


def unpinned(elsewhere: Path, name: str) -> Board:
    """A board whose file is the checkout's, letter by letter, with no digest in it."""
    text = (CHECKOUT / name / boards.FILE).read_text(encoding="utf-8")
    image = json.loads(text)["image"]
    for key in ("sha256", "sha256_source"):
        text = text.replace(f'"{key}": {json.dumps(image[key])}', f'"{key}": null')
    (elsewhere / name).mkdir()
    (elsewhere / name / boards.FILE).write_text(text, encoding="utf-8")
    return boards.load(name)


# -- the cache -------------------------------------------------------------------------------------------------------
def test_an_image_is_found_by_its_name_and_told_how_to_get(tmp_path: Path) -> None:
    board = boards.load("esp32c6-devkit")
    assert images.find(board) is None
    told = images.what_to_fetch(board)
    assert C6 in told and f"https://micropython.org/resources/firmware/{C6}" in told
    assert str(tmp_path / "cache/bztoken/images") in told
    kept = images.keep(board, write(tmp_path / "download", "esp32c6"))
    assert images.find(board) == kept == tmp_path / "cache/bztoken/images" / C6
    assert images.keep(board, kept) == kept  # the copy itself
    assert [path.name for path in kept.parent.iterdir()] == [C6]


def test_a_digest_is_known_unknown_or_wrong(elsewhere: Path, tmp_path: Path) -> None:
    file = write(tmp_path / C6, "esp32c6")
    path = put(elsewhere, "esp32c6-devkit")
    assert images.check(boards.load("esp32c6-devkit"), file) is images.Digest.UNKNOWN
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    change = json.loads(path.read_text())
    change["image"].update(sha256=digest, sha256_source="here")
    path.write_text(json.dumps(change))
    assert images.check(boards.load("esp32c6-devkit"), file) is images.Digest.KNOWN
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(BoardError, match=f"not the image of board esp32c6-devkit.*{digest} is on record .*fetch"):
        images.check(boards.load("esp32c6-devkit"), file)


def test_a_board_without_an_image_and_a_file_that_is_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="names no image"):
        images.find(boards.load("virtual"))
    with pytest.raises(BoardError, match=r"absent\.bin cannot be read: no such file"):
        images.check(boards.load("esp32c6-devkit"), tmp_path / "absent.bin")


# -- chip ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "chip"),
    [
        ("esp32-devkit", "esp32"),
        ("xiao-esp32c3", "esp32c3"),
        ("xiao-esp32s3", "esp32s3"),
        ("esp32c6-devkit", "esp32c6"),
    ],
)
def test_an_image_for_the_boards_chip_is_taken(tmp_path: Path, name: str, chip: str) -> None:
    images.require_image(boards.load(name), write(tmp_path / "image.bin", chip))


def test_an_image_for_another_chip_is_told(tmp_path: Path) -> None:
    file = write(tmp_path / "image.bin", "esp32s3")
    with pytest.raises(BoardError, match="an image for ESP32-S3, and board xiao-esp32c3 has ESP32-C3: fetch"):
        images.require_image(boards.load("xiao-esp32c3"), file)


@pytest.mark.parametrize("kept_bytes", [0, 1, 50, 0x5000, 0xF000, 0xF010, -1, -100])
def test_an_image_that_was_cut_short_is_told(tmp_path: Path, kept_bytes: int) -> None:
    """Also where the boot loader is whole: it is 60 KiB before the interpreter ends."""
    file = write(tmp_path / "image.bin", "esp32")
    file.write_bytes(file.read_bytes()[:kept_bytes])
    with pytest.raises(BoardError, match="is no image for an ESP32, or was cut short"):
        images.require_image(boards.load("esp32-devkit"), file)


@pytest.mark.parametrize("content", [b"PK\x03\x04 a zip", b"<!DOCTYPE html>", b"\xe9" + bytes(200)])
def test_a_file_that_is_no_image_is_told(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "image.bin"
    file.write_bytes(content)
    with pytest.raises(BoardError, match="is no image for an ESP32"):
        images.require_image(boards.load("esp32-devkit"), file)


# -- pinning ---------------------------------------------------------------------------------------------------------
def test_pinning_changes_the_digest_and_nothing_else_of_the_text(elsewhere: Path, tmp_path: Path) -> None:
    board = unpinned(elsewhere, "esp32-devkit")
    file = write(tmp_path / DEVKIT, "esp32")
    before = board.path.read_text(encoding="utf-8")
    assert image_pin.pin(board, file, TODAY)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    expected = before.replace('"sha256": null', f'"sha256": "{digest}"')
    expected = expected.replace('"sha256_source": null', '"sha256_source": "first download, 2026-11-24"')
    assert board.path.read_text(encoding="utf-8") == expected != before
    found = boards.load("esp32-devkit")
    assert images.check(found, file) is images.Digest.KNOWN
    assert images.sha256_of(images.find(found) or tmp_path) == digest
    assert not image_pin.pin(found, file, TODAY)  # the same again


@pytest.mark.parametrize("line_end", ["\r\n", "\n"])
def test_line_ends_of_the_file_stay(elsewhere: Path, tmp_path: Path, line_end: str) -> None:
    board = unpinned(elsewhere, "esp32c6-devkit")
    board.path.write_bytes(board.path.read_bytes().replace(b"\n", line_end.encode()))
    lines = board.path.read_bytes().count(line_end.encode())
    image_pin.pin(board, write(tmp_path / C6, "esp32c6"), TODAY)
    assert board.path.read_bytes().count(line_end.encode()) == lines == board.path.read_bytes().count(b"\n")


def refused(board: Board, file: Path, told: str) -> None:
    """The sentence is right, and neither the board's file nor the cache has changed."""

    def state() -> list[object]:
        kept = images.cache_folder()
        return [board.path.read_bytes(), sorted(board.folder.iterdir()), sorted(kept.glob("*"))]

    before = state()
    with pytest.raises(BoardError, match=told):
        image_pin.pin(board, file, TODAY)
    assert state() == before


def test_what_is_not_the_boards_image_is_not_pinned(elsewhere: Path, tmp_path: Path) -> None:
    board = unpinned(elsewhere, "esp32-devkit")
    refused(board, write(tmp_path / "other.bin", "esp32"), f"give {DEVKIT}, from https://")
    refused(board, tmp_path / "absent" / DEVKIT, "cannot be read")
    refused(board, write(tmp_path / DEVKIT, "esp32s3"), "an image for ESP32-S3")
    (tmp_path / DEVKIT).write_bytes(b"<html>")
    refused(board, tmp_path / DEVKIT, "no image for an ESP32")


def test_another_digest_than_the_one_on_record_is_refused(elsewhere: Path, tmp_path: Path) -> None:
    put(elsewhere, "esp32-devkit")
    refused(boards.load("esp32-devkit"), write(tmp_path / DEVKIT, "esp32"), "is on record")


def test_a_file_that_cannot_be_written_is_told_and_nothing_is_kept(elsewhere: Path, tmp_path: Path) -> None:
    board = unpinned(elsewhere, "esp32-devkit")
    board.path.with_name(f"{boards.FILE}.new").mkdir()
    refused(board, write(tmp_path / DEVKIT, "esp32"), "cannot be written.*not on record")


def test_a_file_with_two_places_for_a_digest_is_left_to_a_person(elsewhere: Path, tmp_path: Path) -> None:
    board = unpinned(elsewhere, "esp32-devkit")
    text = board.path.read_text(encoding="utf-8")
    board.path.write_text(text.replace('"image": {', '"image": {"sha256": null, ', 1), encoding="utf-8")
    refused(boards.load("esp32-devkit"), write(tmp_path / DEVKIT, "esp32"), "by hand")


def test_a_digest_without_a_source_never_stands_in_a_file(elsewhere: Path) -> None:
    put(elsewhere, "esp32-devkit", change=change_at("image.sha256_source", None))
    assert "image.sha256: it has no source" in boards.problems("esp32-devkit")[0]
