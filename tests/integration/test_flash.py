"""`bztoken flash` from end to end: the real esptool writes to a bare board, which then runs what was written."""

from functools import partial
from pathlib import Path

import pytest
from tests.integration.bare import BOARDS, bare_boards
from tests.integration.clinic import mounted
from tests.program import Program, program
from tests.synthetic_image import RELEASE, write

from bztoken.formats import flash_record
from bztoken.home import Home
from bztoken.registry.database import create_registry

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Program:
    """The program, on the boards that are made for tests, with an image of its own and no images kept."""
    monkeypatch.setenv("BZTOKEN_BOARDS", str(BOARDS))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    create_registry(Home(tmp_path / "home"))
    return partial(program(monkeypatch, capfd), tmp_path / "home")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write(tmp_path / "image.bin")


def test_a_bare_board_becomes_a_token_that_is_handed_out_and_synced(cli: Program, image: Path, tmp_path: Path) -> None:
    with bare_boards(tmp_path / "boards") as boards:
        flashed = cli("flash", "--board", "bench", "--port", boards.port, "--image", image)
        assert flashed.code == 0, flashed.err
        assert f"Flashed {boards.port} as bench: MicroPython {RELEASE}" in flashed.out
        assert "It answers, and is blank" in flashed.out
        assert "No digest of this image is on record" in flashed.err
        assert "`bztoken boards pin bench --image FILE` records it" in flashed.err
        info = cli("info", "--port", boards.port, "--json").document()
        assert (info["board"], info["build"], info["provisioned"]) == ("bench", "production", False)
        assert cli("provision", "--port", boards.port, "--label", "T-1").code == 0
        assert cli("sync", "--port", boards.port).out.startswith("Synced T-1: ")

        again = cli("flash", "--board", "bench", "--port", boards.port, "--image", image)
        assert again.code == 1
        assert "is a token that was provisioned" in again.err
        assert "nothing was written" in again.err
        assert cli("sync", "--port", boards.port).code == 0  # it was restarted, and lost nothing

        forced = cli("flash", "--board", "bench", "--port", boards.port, "--image", image, "--force")
        assert forced.code == 0, forced.err
        assert not cli("info", "--port", boards.port, "--json").document()["provisioned"]


def test_a_production_build_carries_no_source_but_two_files(cli: Program, image: Path, tmp_path: Path) -> None:
    with bare_boards(tmp_path / "boards") as boards:
        assert cli("flash", "--board", "bench", "--port", boards.port, "--image", image).code == 0
        files = mounted(boards.files())
        found = [f"{folder}/{name}" for folder, _folders, names in files.walk("/") for name in names]
    sources = sorted(name.lstrip("/") for name in found if name.endswith(".py"))
    assert sources == ["boot.py", "main.py"]
    assert not any(name.endswith("development") for name in found)


def test_a_developers_board_is_told_loudly_and_counted(cli: Program, image: Path, tmp_path: Path) -> None:
    stock = tmp_path / "stock.jsonl"
    with bare_boards(tmp_path / "boards") as boards:
        where = ("--board", "bench", "--port", boards.port, "--image", image)
        flashed = cli("flash", *where, "--build", "development", "--record", stock, "--json")
        assert flashed.code == 0, flashed.err
        assert "DEVELOPMENT BUILD" in flashed.err
        document = flashed.document()
        info = cli("info", "--port", boards.port, "--json").document()
    assert (document["build"], document["answered"], info["build"]) == ("development", True, "development")
    (record,) = flash_record.read(stock)
    assert (record.hardware, record.answered) == (document["hardware"], True)
    assert (record.board, record.chip, record.flash_bytes) == ("bench", "esp32c3", 4 * 1024 * 1024)
    assert (record.micropython, record.image_sha256, record.build) == (RELEASE, document["image_sha256"], "development")


def test_nothing_of_the_flash_before_is_left_in_the_files(cli: Program, image: Path, tmp_path: Path) -> None:
    secret = bytes(range(64, 96)) * 8
    with bare_boards(tmp_path / "boards") as boards:
        chip = boards.folder / "token-1" / "chip.bin"
        with chip.open("r+b") as file:
            for at in range(0x200000, 0x400000, 0x1000):
                file.seek(at + 512)
                file.write(secret)
        where = ("--board", "bench", "--port", boards.port, "--image", image)
        assert cli("flash", *where, "--answer-within", "0").code == 0
        assert secret not in boards.chip_flash()


def test_an_esp32_boots_from_its_own_address_and_takes_the_image_that_is_kept(cli: Program, tmp_path: Path) -> None:
    kept = tmp_path / "cache" / "bztoken" / "images"
    kept.mkdir(parents=True)
    image = write(kept / "ESP32_GENERIC-20260824-v1.29.0.bin", "esp32")
    with bare_boards(tmp_path / "boards", "esp32") as boards:
        flashed = cli("flash", "--board", "bench-esp32", "--port", boards.port)
        assert flashed.code == 0, flashed.err
        assert boards.chip_flash()[0x1000 : 0x1000 + image.stat().st_size] == image.read_bytes()
        assert cli("info", "--port", boards.port, "--json").document()["board"] == "bench-esp32"


@pytest.mark.parametrize("arguments", [("3", "--bare", "1"), ("--bare", "1", "--flash-mib", "3"), ("--bare", "0")])
def test_attaching_wants_one_kind_of_tokens_and_a_size_that_exists(cli: Program, arguments: tuple[str, ...]) -> None:
    ran = cli("fleet", "attach", *arguments)
    assert (ran.code, "exclude each other" in " ".join(ran.err.split())) == (2, arguments[0] == "3")
