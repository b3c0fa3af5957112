"""Application archives and signing keys on a computer: sealed, read, trusted or not; keys that are kept as keys are."""

import stat
import subprocess
from pathlib import Path

import pytest
from tests.program import Program

from bztoken import signing_keys
from bztoken.desk import application_build
from bztoken.desk.application_build import Arch
from bztoken.errors import FormatError, HomeError
from bztoken.formats import application_archive
from bztoken.formats.application_archive import Signature
from bztoken.home import Home
from bzvirtual.application import FIRMWARE, compile_file, interpreter

FILES = {"bzfw/__init__.mpy": b"one", "bzfw/app.mpy": b"two" * 100, "bzwire/cbor.mpy": b""}


@pytest.fixture
def key(tmp_path: Path) -> Path:
    signing_keys.make(tmp_path / "key")
    return tmp_path / "key"


@pytest.fixture
def archive(tmp_path: Path, key: Path) -> Path:
    path = tmp_path / "application.bza"
    stream = application_archive.pack("1.2.3", application_build.build_number(Arch.XTENSAWIN), FILES)
    path.write_bytes(application_archive.seal(stream, signing_keys.load(key)))
    return path


def test_what_was_sealed_is_read_and_every_changed_byte_is_seen(archive: Path, home: Home, key: Path) -> None:
    found = application_archive.read(archive)
    assert (found.version, dict(found.files)) == ("1.2.3", {name: len(content) for name, content in FILES.items()})
    assert found.signature(frozenset()) == Signature.UNVERIFIED
    signing_keys.trust(home, Path(f"{key}.pub"))
    trusted = signing_keys.trusted(home)
    assert found.signature(trusted) == Signature.VALID
    content = archive.read_bytes()
    for at in range(len(content)):
        archive.write_bytes(content[:at] + bytes([content[at] ^ 0x20]) + content[at + 1 :])
        try:
            assert application_archive.read(archive).signature(trusted) == Signature.INVALID
        except FormatError:
            continue


def test_an_archive_cut_anywhere_is_none(archive: Path) -> None:
    content = archive.read_bytes()
    for length in range(len(content)):
        archive.write_bytes(content[:length])
        with pytest.raises(FormatError):
            application_archive.read(archive)


def test_somebody_elses_key_does_not_become_trusted_by_being_named(archive: Path, home: Home, tmp_path: Path) -> None:
    signing_keys.make(tmp_path / "other")
    signing_keys.trust(home, tmp_path / "other.pub")
    assert application_archive.read(archive).signature(signing_keys.trusted(home)) == Signature.UNVERIFIED
    other = signing_keys.load(tmp_path / "other").public_key().public_bytes_raw()
    content = archive.read_bytes()
    archive.write_bytes(content[:-96] + other + content[-64:])
    assert application_archive.read(archive).signature(signing_keys.trusted(home)) == Signature.INVALID


def test_a_signing_key_is_for_its_owner_only_and_never_replaced(tmp_path: Path, key: Path) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    with pytest.raises(HomeError, match="exists already"):
        signing_keys.make(key)
    key.unlink()
    with pytest.raises(HomeError, match="exists already"):  # its public half is still there
        signing_keys.make(key)
    with pytest.raises(HomeError, match="cannot be read"):
        signing_keys.load(key)


def test_one_half_of_a_key_is_never_taken_for_the_other(key: Path, home: Home, cli: Program, tmp_path: Path) -> None:
    public = Path(f"{key}.pub")
    with pytest.raises(HomeError, match="holds the secret key, which belongs to whoever signs"):
        signing_keys.trust(home, key)
    assert signing_keys.trusted(home) == frozenset()
    public.chmod(0o600)
    with pytest.raises(HomeError, match="holds the public key, which signs nothing: name the file without .pub"):
        signing_keys.load(public)
    built = cli("firmware", "build", "--arch", "x64", "--key", public, "--out", tmp_path / "out")
    assert (built.code, len(built.err.splitlines()), (tmp_path / "out").exists()) == (1, 1, False)


def test_a_courier_updates_no_token(archive: Path, home: Home, cli: Program) -> None:
    home.prepare_courier()
    home.courier_pass_path.write_bytes(b"a pass")
    ran = cli("update", "--port", "/dev/null", "--archive", archive)
    assert (ran.code, ran.err) == (1, "bztoken: this is a courier's computer: do this at the clinic\n")


def test_files_that_never_end_are_told(home: Home, cli: Program) -> None:
    for command in ("firmware inspect /dev/zero", "update --port /dev/null --archive /dev/zero"):
        assert cli(*command.split()).err.startswith("bztoken: /dev/zero: the file is too long for an application")
    assert "does not hold a public key" in cli("firmware", "trust", "/dev/zero").err


@pytest.mark.parametrize(
    "content",
    [
        "",
        "00" * 32,
        *(f"bztoken-{half}-key {rest}" for half in ("signing", "public") for rest in ("00", "no hex", "00" * 33)),
        "é" * 64,
    ],
)
def test_what_is_no_key_is_told(tmp_path: Path, home: Home, content: str) -> None:
    path = tmp_path / "file"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(HomeError, match="does not hold a signing key|holds the public key"):
        signing_keys.load(path)
    with pytest.raises(HomeError, match="does not hold a public key|holds the secret key"):
        signing_keys.trust(home, path)
    assert signing_keys.trusted(home) == frozenset()


def test_a_key_that_others_may_read_is_refused(key: Path) -> None:
    key.chmod(0o644)
    with pytest.raises(HomeError, match="chmod 600"):
        signing_keys.load(key)


def test_the_commands_tell_what_they_did(cli: Program, tmp_path: Path, archive: Path) -> None:
    made = cli("firmware", "keygen", "--out", tmp_path / "new")
    assert (made.code, (tmp_path / "new.pub").exists()) == (0, True)
    secret = (tmp_path / "new").read_text().split()[1]
    assert secret not in made.out + made.err
    assert "Signature: unverified, by key" in cli("firmware", "inspect", archive).out
    key_name = cli("firmware", "trust", tmp_path / "key.pub").out.split("key ")[1][:16]
    found = cli("firmware", "inspect", archive, "--json").document()
    assert (found["version"], found["arch"], found["signature"]) == ("1.2.3", "xtensawin", "valid")
    assert (found["key"], found["files"]["bzfw/app.mpy"]) == (key_name, 300)
    raw = archive.read_bytes()
    archive.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    assert "Signature: invalid" in cli("firmware", "inspect", archive).out


def test_the_build_number_is_what_the_interpreter_says_of_itself() -> None:
    ask = "import sys; print(sys.implementation._mpy)"
    said = subprocess.run([interpreter(), "-c", ask], capture_output=True, text=True, check=True).stdout
    assert application_build.build_number(Arch.X64) == int(said) & 0xFFFF


@pytest.mark.parametrize("arch", [Arch.XTENSAWIN, Arch.RV32IMC])
def test_this_checkouts_application_is_built_for_the_chips(tmp_path: Path, arch: Arch) -> None:
    stream = application_build.build(FIRMWARE, arch, compile_file)
    path = tmp_path / "application.bza"
    signing_keys.make(tmp_path / "key")
    path.write_bytes(application_archive.seal(stream, signing_keys.load(tmp_path / "key")))
    found = application_archive.read(path)
    assert application_build.arch_of(found.build) == arch.value
    sources = {f"{path.parent.name}/{path.stem}.mpy" for path in FIRMWARE.glob("bz*/*.py")}
    assert set(found.files) == sources - {"bzwire/registry_keys.mpy", "bzfw/hal.mpy"}  # no board loads them
    assert found.version == application_build.version_of(FIRMWARE)


def test_an_application_that_does_not_compile_is_told(tmp_path: Path, cli: Program, key: Path) -> None:
    (tmp_path / "bzfw").mkdir()
    (tmp_path / "bzfw/__init__.py").write_text('VERSION = "1.0.0"\n')
    (tmp_path / "bzfw/app.py").write_text("def (:\n")
    ran = cli("firmware", "build", "--arch", "x64", "--key", key, "--out", tmp_path / "out", "--source", tmp_path)
    assert (ran.code, (tmp_path / "out").exists()) == (1, False)
    assert ran.err.startswith("bztoken: app.py does not compile for MicroPython: ")


def test_a_folder_without_an_application_is_told(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="name the folder that holds bzfw"):
        application_build.build(tmp_path, Arch.X64, compile_file)
    (tmp_path / "bzfw").mkdir()
    (tmp_path / "bzfw/__init__.py").write_text("NOTHING = 1\n")
    with pytest.raises(FormatError, match="VERSION"):
        application_build.build(tmp_path, Arch.X64, compile_file)
    (tmp_path / "bzfw/__init__.py").write_text('VERSION = "one"\n')
    with pytest.raises(FormatError, match="no application that a token takes"):
        application_build.build(tmp_path, Arch.X64, compile_file)
