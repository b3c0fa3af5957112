"""A courier's pass: made at the clinic, accepted once, and everything that it must not hold or allow."""

import json
import shutil
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.host.carried_pages import COURIER, LABELS, Carrying, quiet
from tests.program import Program, Ran, program

from bztoken.bundle_export import export_bundle
from bztoken.bundle_import import import_bundle
from bztoken.courier import accept, issue, own_pass, require_valid, today
from bztoken.errors import BztokenError, FormatError, HomeError, RegistryError
from bztoken.formats.courier_pass import day_number, read_pass, write_pass
from bztoken.home import Home
from bztoken.registry import tokens
from bztoken.registry.database import open_registry
from bztoken.registry.models import Token
from bzwire import keys
from bzwire.page import Record


@pytest.fixture
def carrying(
    made_once: Path, tmp_path: Path, make_page: Callable[..., bytes], make_record: Callable[..., Record]
) -> Carrying:
    shutil.copytree(made_once, tmp_path, dirs_exist_ok=True)
    return Carrying(tmp_path, make_page, [make_record(b"\x11" * 32, 3)])


@pytest.fixture
def pass_file(carrying: Carrying) -> Path:
    return carrying.folder / f"{COURIER}.pass"


@pytest.fixture
def cli(carrying: Carrying, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Program:
    """At the clinic, unless `home` names another."""
    run = program(monkeypatch, capfd)

    def ran(*arguments: object, home: Path | None = None) -> Ran:
        return run(home or carrying.home.path, *arguments)

    return ran


def secrets_of(carrying: Carrying) -> list[bytes]:
    """What must never leave the clinic."""
    master_key = carrying.home.master_key()
    held = [tokens.token_keys(master_key, bytes([number + 1]) * 8) for number in range(2)]
    log_keys = [keys.next_log_key(one.first_log_key, day) for one in held for day in range(3)]
    return [master_key, carrying.home.registry_key(), *(one.auth_key for one in held), *log_keys]


# -- the pass ----------------------------------------------------------------------------------------------------------
def test_a_pass_opens_every_active_token_with_a_key_that_only_serves_it(carrying: Carrying, pass_file: Path) -> None:
    found = read_pass(pass_file)
    assert found.last_day == today() + timedelta(days=29)
    assert [token.number for token in found.tokens] == [1, 2]
    auth_key = tokens.token_keys(carrying.home.master_key(), found.tokens[0].uid).auth_key
    assert found.tokens[0].key == keys.courier_key(auth_key, found.number, day_number(found.last_day))


def test_a_pass_holds_no_secret_of_the_clinic_and_no_label(carrying: Carrying, pass_file: Path) -> None:
    text = pass_file.read_text(encoding="utf-8")
    assert all(secret.hex() not in text for secret in secrets_of(carrying))
    assert all(label not in text for label in LABELS)
    assert stat.S_IMODE(pass_file.stat().st_mode) == 0o600


@pytest.mark.parametrize("state", [tokens.STATE_PENDING, tokens.STATE_REVOKED, tokens.STATE_WIPED])
def test_a_token_that_is_not_handed_out_is_on_no_pass(carrying: Carrying, state: str) -> None:
    with open_registry(carrying.home) as registry, registry.write() as session:
        token = session.get_one(Token, 1)
        token.state = state
    carrying.hand_pass("another")
    assert [token.number for token in carrying.own.tokens] == [2]


def test_neither_courier_nor_pass_is_made_when_the_other_cannot_be(carrying: Carrying) -> None:
    before = carrying.counts()
    with pytest.raises(RegistryError, match="another courier has this name"):
        issue(carrying.home, COURIER, 5, carrying.folder / "again.pass")
    assert not (carrying.folder / "again.pass").exists()
    with pytest.raises(OSError, match="No such file"):
        issue(carrying.home, "Anh Minh", 5, carrying.folder / "nowhere" / "minh.pass")
    with pytest.raises(HomeError, match="exists already"):
        issue(carrying.home, "Anh Minh", 5, carrying.folder / f"{COURIER}.pass")
    assert carrying.counts() == before


def test_no_secret_shows_in_a_description(carrying: Carrying) -> None:
    shown = repr(carrying.own) + repr(carrying.own.tokens)
    assert carrying.own.signing_key.hex() not in shown and repr(carrying.own.signing_key) not in shown
    assert repr(carrying.own.tokens[0].key) not in shown


def test_a_pass_whose_name_is_no_text_is_none(pass_file: Path) -> None:
    document = json.loads(pass_file.read_text(encoding="utf-8"))
    pass_file.write_text(json.dumps({**document, "name": "\ud800"}), encoding="utf-8")
    with pytest.raises(FormatError, match="not a whole courier's pass"):
        read_pass(pass_file)


# -- accepting ---------------------------------------------------------------------------------------------------------
def test_a_couriers_computer_has_no_master_key_and_none_of_the_clinics_secrets(carrying: Carrying) -> None:
    carrying.read(0, carrying.pages(0, 1, 4))
    home = carrying.courier
    assert not home.master_key_path.exists() and home.is_courier
    for path in home.path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        content = path.read_bytes()
        assert all(secret not in content and secret.hex().encode() not in content for secret in secrets_of(carrying))
        assert carrying.own.signing_key not in content and carrying.own.signing_key.hex().encode() not in content
    with open_registry(home) as registry, registry.read() as session:
        everything = repr(
            [row for table in Token.metadata.sorted_tables for row in session.execute(table.select()).all()]
        )
    assert "token 1" in everything
    assert all(repr(secret) not in everything for secret in secrets_of(carrying))
    assert all(name not in everything for name in (*LABELS, COURIER))


def test_accepting_again_changes_nothing(carrying: Carrying, pass_file: Path) -> None:
    before = carrying.own
    assert accept(carrying.courier, pass_file) == before == carrying.own


def test_an_interrupted_accept_is_finished_by_the_next(carrying: Carrying, pass_file: Path) -> None:
    half = Home(carrying.folder / "half")
    accept(half, pass_file)
    half.registry_path.unlink()
    accept(half, pass_file)
    with open_registry(half) as registry, registry.read() as session:
        assert len(tokens.all_tokens(session)) == 2
    assert not half.master_key_path.exists()


def test_a_later_pass_takes_over_what_was_read_under_the_earlier_one(carrying: Carrying) -> None:
    carrying.read(0, carrying.pages(0, 1, 4))
    with open_registry(carrying.home) as registry, registry.write() as session:
        tokens.create(session, "Bà Cư", b"\3" * 8, tokens.ROLE_PERSON, "virtual", carrying.start_s)
    carrying.hand_pass("Chị Lan, December", 60)
    assert [token.number for token in carrying.own.tokens] == [1, 2, 3]
    export_bundle(carrying.courier, carrying.bundle, quiet)
    assert import_bundle(carrying.home, carrying.bundle, quiet).pages_new == 4


def test_a_clinics_folder_does_not_become_a_couriers(carrying: Carrying, pass_file: Path, registry: object) -> None:
    with pytest.raises(HomeError, match="holds a clinic's registry"):
        accept(carrying.home, pass_file)
    assert not carrying.home.is_courier


def test_a_pass_in_a_clinics_folder_makes_it_no_couriers(carrying: Carrying) -> None:
    issue(carrying.home, "Anh Minh", 5, carrying.home.courier_pass_path)
    assert not carrying.home.is_courier
    assert len(carrying.home.master_key()) == 32


def test_a_pass_of_another_clinic_is_refused(
    carrying: Carrying, tmp_path: Path, make_page: Callable[..., bytes]
) -> None:
    other = Carrying(tmp_path / "other", make_page, [])
    with open_registry(other.home) as registry, registry.write() as session:
        session.get_one(Token, 1).uid = b"\7" * 8
    issue(other.home, "Anh Minh", 5, tmp_path / "minh.pass")
    before = carrying.own
    with pytest.raises(HomeError, match="of another clinic"):
        accept(carrying.courier, tmp_path / "minh.pass")
    assert carrying.own == before


def test_a_pass_that_is_over_is_neither_accepted_nor_used(
    carrying: Carrying, pass_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = carrying.own.last_day + timedelta(days=1)
    require_valid(carrying.own)
    monkeypatch.setattr("bztoken.courier.today", lambda: after)
    with pytest.raises(HomeError, match="ended on"):
        accept(Home(carrying.folder / "late"), pass_file)
    assert not (carrying.folder / "late").exists()
    with pytest.raises(HomeError, match="fetch a new one"):
        require_valid(carrying.own)


def test_a_damaged_pass_is_refused_and_nothing_is_made(carrying: Carrying, pass_file: Path) -> None:
    raw = pass_file.read_bytes()
    document = json.loads(raw)
    broken = [b"", b"{}", b"[]", b"\xff\xfe", raw[: len(raw) // 2], b"[" * 100_000]
    for name, value in (("number", "00"), ("signing_key", "zz"), ("last_day", "soon"), ("tokens", [{}]), ("name", 7)):
        broken.append(json.dumps({**document, name: value}).encode())
    for content in broken:
        path = carrying.folder / "broken.pass"
        path.write_bytes(content)
        with pytest.raises(FormatError, match="not a whole courier's pass") as caught:
            accept(Home(carrying.folder / "none"), path)
        assert document["signing_key"] not in str(caught.value)
    path.write_text(json.dumps({**document, "version": 2}), encoding="utf-8")
    with pytest.raises(FormatError, match="newer version"):
        accept(Home(carrying.folder / "none"), path)
    assert not (carrying.folder / "none").exists()


@pytest.mark.parametrize("at", [0, 11, 12, 100, -1])
def test_a_kept_pass_with_a_changed_byte_does_not_open(carrying: Carrying, at: int) -> None:
    kept = carrying.courier.courier_pass_path
    raw = bytearray(kept.read_bytes())
    raw[at] ^= 1
    kept.write_bytes(raw)
    with pytest.raises(HomeError, match="accept the pass again"):
        own_pass(carrying.courier)
    kept.write_bytes(b"")
    with pytest.raises(HomeError, match="accept the pass again"):
        own_pass(carrying.courier)


def test_a_pass_written_and_read_is_the_same(carrying: Carrying) -> None:
    path = carrying.folder / "copy.pass"
    write_pass(path, carrying.own)
    assert read_pass(path) == carrying.own


# -- the command line --------------------------------------------------------------------------------------------------
def test_couriers_are_listed_with_their_state(carrying: Carrying, cli: Program) -> None:
    def states() -> list[Any]:
        return [one["state"] for one in cli("courier", "list", "--json").document()["couriers"]]

    assert states() == ["active"]
    assert COURIER in cli("courier", "list").out
    revoked = cli("courier", "revoke", "--name", COURIER)
    assert revoked.code == 0 and "Tokens do not know that" in revoked.out
    assert states() == ["revoked"]
    again = cli("courier", "revoke", "--name", COURIER)
    assert again.code == 1 and "revoked already" in again.err
    unknown = cli("courier", "revoke", "--name", "nobody")
    assert unknown.code == 1 and "no courier of this registry" in unknown.err
    carrying.change_courier(state="active", last_day="2026-01-01")
    assert states() == ["over"]


@pytest.mark.parametrize(("days", "code"), [(0, 2), (1, 0), (90, 0), (91, 2)])
def test_a_pass_is_good_for_ninety_days_at_most(carrying: Carrying, cli: Program, days: int, code: int) -> None:
    out = carrying.folder / "days.pass"
    assert cli("courier", "add", "--name", "Anh Minh", "--days", days, "--out", out).code == code
    assert out.exists() == (code == 0)
    if code == 0:
        assert read_pass(out).last_day == today() + timedelta(days=days - 1)


def test_a_computer_becomes_a_couriers_by_one_command(carrying: Carrying, pass_file: Path, cli: Program) -> None:
    own = carrying.folder / "another"
    ran = cli("courier", "accept", pass_file, "--json", home=own)
    assert (ran.code, ran.document()["tokens"]) == (0, 2)
    assert "is a courier's computer now" in cli("courier", "accept", pass_file, home=own).out


CLINIC_ONLY = [
    "courier add --name X --out {tmp}/x.pass",
    "courier revoke --name X",
    "bundle import {tmp}/bundle",
    "provision --port /dev/ttyNONE7 --label X",
]


@pytest.mark.parametrize("command", CLINIC_ONLY)
def test_what_needs_the_master_key_is_refused_on_a_couriers_computer(
    carrying: Carrying, cli: Program, command: str
) -> None:
    ran = cli(*command.format(tmp=carrying.folder).split(), home=carrying.courier.path)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "bztoken: this is a courier's computer, which has no master key: do this at the clinic\n"
    assert not list(carrying.folder.glob("x.pass*"))


def test_every_refusal_is_one_of_ours(carrying: Carrying) -> None:
    with pytest.raises(BztokenError, match="no courier's computer"):
        own_pass(carrying.home)
