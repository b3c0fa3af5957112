"""Keys under a passphrase, and in a folder of their own: opened by who knows it, refused to everybody else."""

import json
import os
import shutil
import unicodedata
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from tests.host.killed_program import killed_at_line
from tests.program import Program

from bztoken import home as home_module
from bztoken import key_lock, locked_keys
from bztoken.errors import HomeError
from bztoken.home import Home, find_home
from bztoken.key_lock import Costs, Lock
from bztoken.locked_keys import lock_keys, unlock_keys
from bztoken.registry.backup import backup
from bztoken.registry.connecting import quiet
from bztoken.registry.database import create_registry, open_registry
from bztoken.registry.rekeying import rotate_key
from bztoken.registry.restoring import restore

PASSPHRASE = "bốn con mèo đen"
OTHER = "năm con mèo trắng"
NOW_S = 1_790_000_000


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test is a process that was asked nothing yet."""
    monkeypatch.setattr(key_lock, "_opened", {})
    for name in ("BZTOKEN_PASSPHRASE_FILE", "BZTOKEN_KEYS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def clinic(home: Home) -> Home:
    create_registry(home)
    return home


@pytest.fixture
def passphrase_file(tmp_path: Path) -> Path:
    return written(tmp_path / "passphrase", PASSPHRASE)


def written(path: Path, passphrase: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(f"{passphrase}\n", encoding="utf-8")
    return path


def knowing(home: Home, passphrase: str) -> Home:
    return Home(home.path, home.keys, lambda _: passphrase)


def test_locked_keys_are_the_same_keys(clinic: Home) -> None:
    keys = clinic.registry_key(), clinic.master_key()
    changed = lock_keys(clinic, PASSPHRASE)
    assert [path.name for path in changed.files] == ["registry.key", "master.key"]
    for path, key in zip(changed.files, keys, strict=True):
        text = path.read_text()
        assert key.hex() not in text and PASSPHRASE not in text and path.stat().st_mode & 0o777 == 0o600
    asked = knowing(clinic, PASSPHRASE)
    assert (asked.registry_key(), asked.master_key()) == keys
    unlock_keys(asked)
    assert (clinic.registry_key(), clinic.master_key()) == keys


def test_the_file_says_how_it_is_sealed(clinic: Home) -> None:
    """Opened here by its own words, with the library alone: another program can do it too."""
    key = clinic.master_key()
    lock_keys(clinic, PASSPHRASE)
    told = json.loads(clinic.master_key_path.read_text())
    assert (told["kdf"], told["memory_kib"], told["passes"], told["lanes"]) == ("argon2id", 65536, 3, 4)
    made = Argon2id(
        salt=bytes.fromhex(told["salt"]),
        length=32,
        iterations=told["passes"],
        lanes=told["lanes"],
        memory_cost=told["memory_kib"],
    ).derive(PASSPHRASE.encode())
    bound_to = f"{told['format']} {told['version']}: master key".encode()
    assert AESGCM(made).decrypt(bytes.fromhex(told["nonce"]), bytes.fromhex(told["sealed"]), bound_to) == key


def test_a_wrong_passphrase_changes_nothing(clinic: Home) -> None:
    lock_keys(clinic, PASSPHRASE)
    before = clinic.registry_key_path.read_bytes(), clinic.master_key_path.read_bytes()
    wrong = knowing(clinic, OTHER)
    key_lock._opened.clear()
    for action in (lambda: open_registry(wrong), lambda: unlock_keys(wrong), lambda: lock_keys(wrong, "x" * 20)):
        with pytest.raises(HomeError, match="not the passphrase") as caught:
            action()
        assert OTHER not in str(caught.value)
    assert (clinic.registry_key_path.read_bytes(), clinic.master_key_path.read_bytes()) == before


def test_nobody_to_ask_is_told(clinic: Home) -> None:
    lock_keys(clinic, PASSPHRASE)
    key_lock._opened.clear()
    with pytest.raises(HomeError, match="BZTOKEN_PASSPHRASE_FILE"):
        open_registry(clinic)


def test_one_question_opens_both_keys_in_one_process(clinic: Home) -> None:
    lock_keys(clinic, PASSPHRASE)
    asked = []

    def ask(what: str) -> str:
        asked.append(what)
        return PASSPHRASE

    home = Home(clinic.path, ask=ask)
    for _ in range(3):
        home.registry_key()
        home.master_key()
    assert asked == [str(clinic.registry_key_path)]


def test_letters_count_however_a_keyboard_composes_them(clinic: Home) -> None:
    lock_keys(clinic, unicodedata.normalize("NFD", PASSPHRASE))
    assert len(knowing(clinic, unicodedata.normalize("NFC", PASSPHRASE)).registry_key()) == 32


def test_a_passphrase_file_opens(clinic: Home, passphrase_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock_keys(clinic, PASSPHRASE)
    monkeypatch.setenv("BZTOKEN_PASSPHRASE_FILE", str(passphrase_file))
    open_registry(clinic).close()
    key_lock._opened.clear()
    passphrase_file.chmod(0o644)
    with pytest.raises(HomeError, match="chmod 600"):
        open_registry(clinic)


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"])
def test_a_passphrase_file_that_is_none_is_told(
    clinic: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    lock_keys(clinic, PASSPHRASE)
    key_lock._opened.clear()
    path = tmp_path / "passphrase"
    if content is not None:
        path.touch(mode=0o600)
        path.write_bytes(content)
    monkeypatch.setenv("BZTOKEN_PASSPHRASE_FILE", str(path))
    with pytest.raises(HomeError, match="the passphrase file"):
        open_registry(clinic)


@pytest.mark.parametrize("passphrase", ["", "short", "           ", "elevenchars"])
def test_a_weak_passphrase_is_refused(clinic: Home, passphrase: str) -> None:
    before = clinic.registry_key_path.read_bytes()
    with pytest.raises(HomeError, match="12 characters"):
        lock_keys(clinic, passphrase)
    assert clinic.registry_key_path.read_bytes() == before


def test_a_second_lock_changes_the_passphrase(clinic: Home) -> None:
    keys = clinic.registry_key(), clinic.master_key()
    lock_keys(clinic, PASSPHRASE)
    lock_keys(knowing(clinic, PASSPHRASE), OTHER)
    key_lock._opened.clear()
    with pytest.raises(HomeError, match="not the passphrase"):
        knowing(clinic, PASSPHRASE).registry_key()
    new = knowing(clinic, OTHER)
    assert (new.registry_key(), new.master_key()) == keys


def test_unlocking_what_is_not_locked_is_told(clinic: Home) -> None:
    with pytest.raises(HomeError, match="no key file is locked"):
        unlock_keys(clinic)


@pytest.mark.timeout(120)
def test_killed_at_any_line_every_key_file_is_whole_and_the_next_lock_finishes(clinic: Home, tmp_path: Path) -> None:
    keys = clinic.registry_key(), clinic.master_key()
    modules, ended = (locked_keys, home_module), False
    for number in range(1, 1000, 11):
        copy = Home(Path(shutil.copytree(clinic.path, tmp_path / f"at {number}")))
        ended = not killed_at_line(number, lambda home=copy: lock_keys(home, PASSPHRASE), modules)  # type: ignore[misc]
        asked = knowing(copy, PASSPHRASE)
        assert (asked.registry_key(), asked.master_key()) == keys
        if ended:
            break
    assert ended
    lock_keys(asked, PASSPHRASE)
    assert (asked.registry_key(), asked.master_key()) == keys


def test_a_new_registry_key_is_locked_like_the_old_one(clinic: Home, tmp_path: Path) -> None:
    """A backup of before opens too, with the same passphrase."""
    out = tmp_path / "backup"
    backup(clinic, out, NOW_S, quiet)
    lock_keys(clinic, PASSPHRASE)
    asked = knowing(clinic, PASSPHRASE)
    done = rotate_key(asked, NOW_S, quiet)
    key_lock._opened.clear()
    for path in (clinic.registry_key_path, done.old_key_path):
        assert key_lock.is_locked(path.read_text())
    restore(asked, out, NOW_S, done.old_key_path)
    open_registry(asked).close()
    lock_keys(asked, OTHER)
    assert len(knowing(clinic, OTHER).open_key(done.old_key_path)[0]) == 32


@pytest.mark.parametrize("change", ["costs", "salt", "sealed", "format", "cut", "list", "memory", "swapped"])
def test_a_changed_key_file_is_refused_in_a_sentence(clinic: Home, change: str) -> None:
    lock_keys(clinic, PASSPHRASE)
    key_lock._opened.clear()
    path = clinic.registry_key_path
    told = json.loads(path.read_text())
    told |= {"costs": {"passes": 2}, "format": {"version": 2}, "memory": {"memory_kib": 2**40}}.get(change, {})
    if change in ("salt", "sealed"):
        told[change] = told[change][:-2] + f"{int(told[change][-2:], 16) ^ 1:02x}"
    text = {"cut": path.read_text()[:50], "list": "{}"}.get(change, json.dumps(told))
    if change == "swapped":
        text = clinic.master_key_path.read_text()
    path.write_text(text)
    with pytest.raises(HomeError, match=r"not the passphrase|damaged|newer version"):
        knowing(clinic, PASSPHRASE).registry_key()


def test_costs_that_no_computer_can_pay_are_not_tried() -> None:
    assert Costs().are_sound() and not Costs(memory_kib=2**21).are_sound() and not Costs(passes=0).are_sound()
    assert not Costs(memory_kib=16, lanes=4).are_sound() and not Costs(lanes=0).are_sound()
    assert PASSPHRASE not in repr(Lock.of(PASSPHRASE, costs=Costs(64, 1, 1)))


# -- a folder of the keys ----------------------------------------------------------------------------------------------
@pytest.fixture
def stick(tmp_path: Path) -> Path:
    folder = tmp_path / "stick"
    folder.mkdir()
    return folder


def test_keys_may_lie_on_a_stick(tmp_path: Path, stick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BZTOKEN_KEYS", str(stick))
    home = find_home(tmp_path / "home")
    create_registry(home)
    assert sorted(path.name for path in stick.iterdir()) == ["master.key", "registry.key"]
    assert not {path.name for path in home.path.iterdir()} & {"master.key", "registry.key"}
    rotate_key(home, NOW_S, quiet)
    lock_keys(home, PASSPHRASE)
    open_registry(knowing(home, PASSPHRASE)).close()
    assert sorted(path.name.split("2")[0] for path in stick.iterdir()) == [
        "master.key",
        "registry.key",
        "registry.key.before-",
    ]


def test_a_missing_stick_is_named_and_nothing_is_made_in_its_place(tmp_path: Path, stick: Path) -> None:
    home = Home(tmp_path / "home", stick)
    create_registry(home)
    shutil.move(stick, tmp_path / "pulled out")
    for action in (lambda: open_registry(home), home.master_key, home.prepare, lambda: rotate_key(home, 1, quiet)):
        with pytest.raises(HomeError, match="plug in the stick"):
            action()
    assert not stick.exists()
    with pytest.raises(HomeError, match="plug in the stick"):
        create_registry(Home(tmp_path / "another", stick))
    assert not (tmp_path / "another").exists()


def test_a_stick_that_keeps_no_owners_serves_when_its_keys_are_locked(tmp_path: Path, stick: Path) -> None:
    """FAT shows every file as readable by all; a sealed key may be."""
    home = Home(tmp_path / "home", stick)
    create_registry(home)
    for path in home.key_files():
        path.chmod(0o644)
    with pytest.raises(HomeError, match="chmod 600"):
        open_registry(home)
    for path in home.key_files():
        path.chmod(0o600)
    lock_keys(home, PASSPHRASE)
    for path in home.key_files():
        path.chmod(0o644)
    open_registry(knowing(home, PASSPHRASE)).close()


# -- the commands ------------------------------------------------------------------------------------------------------
def test_the_commands_lock_and_unlock(
    clinic: Home, cli: Program, passphrase_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = cli("db", "lock", "--passphrase-file", passphrase_file)
    assert locked.code == 0 and "Locked registry.key, master.key." in locked.out
    key_lock._opened.clear()
    asked = cli("registry", "status")
    assert asked.code == 1 and asked.err.count("\n") == 1 and "run this in a terminal" in asked.err
    monkeypatch.setenv("BZTOKEN_PASSPHRASE_FILE", str(passphrase_file))
    assert cli("registry", "status").code == 0
    assert cli("db", "unlock", "--json").document() == {
        "unlocked": [str(clinic.registry_key_path), str(clinic.master_key_path)]
    }
    assert cli("db", "unlock").err == "bztoken: no key file is locked: nothing was changed\n"
    assert os.environ["BZTOKEN_PASSPHRASE_FILE"] == str(passphrase_file)


def test_without_a_terminal_or_a_file_nothing_is_locked(clinic: Home, cli: Program) -> None:
    refused = cli("db", "lock")
    assert refused.code == 1 and "--passphrase-file" in refused.err
    assert not key_lock.is_locked(clinic.registry_key_path.read_text())
