"""The data folder: keys made once, private, whole or not at all; every fault is a sentence."""

import stat
from pathlib import Path

import pytest
from tests.program import Program

from bztoken.errors import HomeError
from bztoken.home import Home, find_home, private_file
from bztoken.locked_keys import lock_keys
from bztoken.registry.database import create_registry


def test_keys_are_private_random_and_made_once(home: Home) -> None:
    home.prepare()
    first = home.registry_key(), home.master_key()
    home.prepare()
    assert (home.registry_key(), home.master_key()) == first
    assert first[0] != first[1] and len(first[0]) == len(first[1]) == 32
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(home.registry_key_path.stat().st_mode) == stat.S_IMODE(home.master_key_path.stat().st_mode)
    assert stat.S_IMODE(home.master_key_path.stat().st_mode) == 0o600


def test_a_leftover_of_an_interrupted_start_is_no_obstacle(home: Home) -> None:
    home.path.mkdir()
    home.registry_key_path.with_name("registry.key.new").write_text("half")
    home.prepare()
    assert len(home.registry_key()) == 32


@pytest.mark.parametrize("content", ["", "00", "zz" * 32, "00" * 33, "ké" * 32])
def test_a_malformed_key_is_refused_without_showing_it(home: Home, content: str) -> None:
    home.prepare()
    home.master_key_path.write_text(content)
    with pytest.raises(HomeError, match="64 hex digits") as caught:
        home.master_key()
    said = str(caught.value).replace(str(home.path), "")
    assert not content or content not in said


def test_a_key_that_others_can_read_is_refused(home: Home) -> None:
    home.prepare()
    home.registry_key_path.chmod(0o640)
    with pytest.raises(HomeError, match="chmod 600"):
        home.registry_key()


def test_a_courier_without_the_master_key_still_opens_the_registry_key(home: Home) -> None:
    home.prepare()
    home.master_key_path.unlink()
    assert len(home.registry_key()) == 32
    with pytest.raises(HomeError, match="registry init"):
        home.master_key()


def test_beside_a_registry_a_missing_key_can_only_come_from_the_backup(home: Home) -> None:
    create_registry(home)
    for path, key in ((home.master_key_path, home.master_key), (home.registry_key_path, home.registry_key)):
        path.unlink()
        with pytest.raises(HomeError) as caught:
            key()
        assert str(caught.value) == f"{path} is missing: copy the file from your backup"


def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "none" / "key", tmp_path / "file" / "key", tmp_path / "folder"):
        with pytest.raises(OSError) as caught, private_file(path) as file:  # noqa: PT011 - which one it is does not matter
            file.write(b"half")
        assert caught.value.filename == str(path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_the_option_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BZTOKEN_HOME", str(tmp_path / "environment"))
    assert find_home(tmp_path / "option").path == tmp_path / "option"
    assert find_home().path == tmp_path / "environment"
    monkeypatch.delenv("BZTOKEN_HOME")
    assert find_home().path == Path.home() / ".local/share/bztoken"


def test_a_leftover_of_a_killed_write_is_no_key_and_is_unlinked_when_keys_are_locked(home: Home) -> None:
    create_registry(home)
    leftover = home.registry_key_path.with_name("registry.key.before-20261124T000000Z.new")
    leftover.write_text("half")
    assert home.key_files() == [home.registry_key_path, home.master_key_path]
    assert lock_keys(home, "đường quê mưa nắng bốn mùa").files == home.key_files()
    assert not leftover.exists()


def test_no_file_that_somebody_asks_for_may_lie_among_registry_and_keys(tmp_path: Path) -> None:
    home = Home(tmp_path / "data", tmp_path / "stick")
    for folder in (home.path, tmp_path / "stick"):
        folder.mkdir()
        (tmp_path / f"link to {folder.name}").symlink_to(folder / "master.key")
        refused = (folder / "new", folder / "sub" / ".." / "x", tmp_path / f"link to {folder.name}")
        for out in refused:
            with pytest.raises(HomeError, match="data folder itself: nothing was changed"):
                home.require_outside(out)
    home.require_outside(tmp_path / "labels.pdf")


@pytest.mark.parametrize(
    "words",
    [
        ("labels", "--prefix", "YB-", "--out", "{}"),
        ("leaflet", "--board", "virtual", "--out", "{}"),
        ("report", "rollout", "--out", "{}.csv"),
        ("follow-up", "text", "1", "--out", "{}"),
        ("case", "export", "F0", "--format", "bluezone", "--out", "{}"),
        ("history", "export", "--token", "YB-0001-3", "--out", "{}"),
        ("person", "export", "P-0001-3", "--force", "--out", "{}"),
        ("person", "withdraw", "P-0001-3", "--yes", "--certificate", "{}"),
        ("person", "erase", "P-0001-3", "--yes", "--certificate", "{}"),
        ("provision", "--batch", "B", "--prefix", "YB-", "--count", "1", "--csv", "{}"),
        ("provision", "--batch", "B", "--prefix", "YB-", "--count", "1", "--labels", "{}"),
        ("keys", "sign-key", "--out", "{}"),
        ("firmware", "keygen", "--out", "{}"),
        ("courier", "add", "--name", "Lan", "--out", "{}"),
        ("db", "backup", "{}", "--force"),
    ],
)
def test_no_command_writes_over_a_key(home: Home, cli: Program, words: tuple[str, ...]) -> None:
    create_registry(home)
    master = home.master_key()
    before = sorted(path.name for path in home.path.iterdir())
    ran = cli(*(word.format(home.master_key_path) for word in words))
    assert (ran.code, "lies in the data folder itself" in ran.err) == (1, True), ran.err
    assert home.master_key() == master and sorted(path.name for path in home.path.iterdir()) == before


def test_a_certificate_replaces_no_file(home: Home, cli: Program, tmp_path: Path) -> None:
    create_registry(home)
    for name in ("paper.json", "other.json.txt"):
        (tmp_path / name).write_text("kept")
        ran = cli("person", "erase", "P-0001-3", "--yes", "--certificate", tmp_path / name.removesuffix(".txt"))
        assert (ran.code, "exists already: nothing was changed" in ran.err) == (1, True)
        assert (tmp_path / name).read_text() == "kept"
