"""A token from the flash desk to a wrist, lost, back and blank again; what is refused on the way, and whoever tries."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests import people
from tests.case_desk import TRACER, days_ago
from tests.integration.clinic import Clinic, attached
from tests.integration.test_bad_input import assert_one_sentence
from tests.program import Program, Ran

from bztoken.errors import LinkError
from bztoken.formats import flash_record
from bztoken.formats.flash_record import FlashRecord
from bztoken.home import Home
from bztoken.registry import events, persons, tokens
from bztoken.registry.database import create_registry, open_registry
from bztoken.token_wipe import hand_out_again, plan_wipe, wipe
from bzvirtual.token_folder import TokenFolder

AN, CU = "Bà An", "Bà Cư"
FIRST, SECOND = "YB-17", "YB-18"
HOLDER, OTHER = "Lê Thị Ân", "Trần Văn Bình"
TABLES = ("tokens", "token_issues", "devices", "device_events", "pages", "syncs", "cases")

As = Callable[..., Ran]


@pytest.fixture
def as_(cli: Program, monkeypatch: pytest.MonkeyPatch) -> As:
    """The command line under somebody's name."""

    def ran(who: str, line: str, *more: object, home: Path | None = None) -> Ran:
        monkeypatch.setenv(events.OPERATOR_VARIABLE, who)
        return cli(*line.split(), *more, home=home)

    return ran


@pytest.fixture
def clinic_of_people(clinic_of_an: Clinic) -> Clinic:
    """Where those who get tokens are registered, and agreed."""
    register(clinic_of_an.home)
    return clinic_of_an


def register(home: Home) -> None:
    """People who may get a token, and a place."""
    with open_registry(home) as registry, registry.write() as session:
        for name in (HOLDER, OTHER):
            people.person(session, name)
        people.site(session, "Chợ Yên Bái")


def rows(home: Home, *besides: str) -> dict[str, list[tuple[Any, ...]]]:
    """All that a refused step must not change."""
    with open_registry(home) as registry, registry.read() as session:
        return {
            table: [tuple(row) for row in session.execute(text(f"SELECT * FROM {table}"))]
            for table in (*TABLES, *besides)
        }


def chip_of(folder: Path) -> str:
    return TokenFolder.open(folder).state.mac


def flashed(path: Path, chip: str) -> Path:
    """A flash desk's record of one board."""
    record = FlashRecord(
        hardware=chip,
        board="virtual",
        chip="esp32",
        flash_bytes=4 << 20,
        micropython="v1.28.0",
        image_sha256="0" * 64,
        firmware="0.4.0",
        build="production",
        at_s=int(time.time()) - 3600,
        by="flash desk",
    )
    flash_record.append(path, record)
    return path


def test_a_token_goes_the_whole_round_and_every_step_is_on_record(as_: As, tmp_path: Path) -> None:
    home = Home(tmp_path / "new")
    create_registry(home)
    register(home)

    def run(who: str, line: str, *more: object) -> Ran:
        ran = as_(who, line, *more, home=home.path)
        assert ran.code == 0, ran.err
        return ran

    def refused(line: str, says: str, *more: object) -> None:
        before = rows(home, "token_events")
        assert_one_sentence(as_("somebody", line, *more, home=home.path), says)
        assert rows(home, "token_events") == before

    def state() -> tuple[str, str | None]:
        (board,) = run("anybody", "stock list --json").document()["boards"]
        return board["state"], board["token"]

    with attached(tmp_path / "blank", 1) as there:
        port = there.ports["blank-1"]
        chip = chip_of(tmp_path / "blank" / "token-1")
        run("clinic", "stock add", flashed(tmp_path / "desk.jsonl", chip))
        assert state() == ("blank", None)
        refused(f"token issue {FIRST} --person", "no token of this registry has this label", HOLDER)
        refused(f"status --port {port}", "is not provisioned")

        run("desk 1", f"provision --port {port} --label {FIRST}")
        assert state() == ("token", FIRST)
        refused(f"token return {FIRST}", "nobody has this token")
        refused(f"token issue {FIRST} --site", "this token is that of a person", "Chợ Yên Bái")

        run("desk 2", f"token issue {FIRST} --person", HOLDER)
        refused(f"token issue {FIRST} --person", "somebody has this token already", OTHER)
        run("desk 2", f"sync --port {port}")

        run("desk 2", f"token lost {FIRST}")
        assert state() == ("lost", FIRST)
        refused(f"token issue {FIRST} --person", "this token was revoked", OTHER)
        assert_one_sentence(as_("desk 3", f"sync --port {port}", home=home.path), "This token was revoked")
        (due,) = run("anybody", "token due --json").document()["due"]
        assert [reason["reason"] for reason in due["reasons"]] == ["seen though revoked"]

        run("desk 1", f"token return {FIRST}")
        assert run("anybody", "token due --json").document() == {"due": []}
        refused(f"token found {FIRST}", "this token is not lost")
        refused(f"token issue {FIRST} --person", "this token was revoked", HOLDER)
        refused(f"provision --port {port} --label {SECOND}", "belongs to a registry already")

        run("desk 1", f"token wipe --port {port} --force --yes")
        assert state() == ("wiped", None)
        refused(f"token issue {FIRST} --person", "no token of this registry has this label", HOLDER)
        run("desk 2", f"provision --port {port} --label {SECOND}")
        run("desk 2", f"token issue {SECOND} --person", OTHER)
        assert state() == ("token", SECOND)
        assert run("anybody", f"status --port {port} --json").document()["hardware"] == chip
        run("anybody", f"sync --port {port}")

    (board,) = run("anybody", "stock show", chip[-4:], "--json").document()["boards"]
    old = f"{FIRST} (wiped 1)"
    assert [(one["token"], one["event"], one["by"]) for one in board["events"]] == [
        (None, "flashed", "flash desk"),
        (None, "shipped", "clinic"),
        (old, "provisioned", "desk 1"),
        (old, "issued", "desk 2"),
        (old, "revoked", "desk 2"),
        (old, "seen though revoked", "desk 3"),
        (old, "returned", "desk 1"),
        (old, "wipe begun", "desk 1"),
        (old, "wiped", "desk 1"),
        (SECOND, "provisioned", "desk 2"),
        (SECOND, "issued", "desk 2"),
    ]
    times = [one["at_s"] for one in board["events"]]
    assert times == sorted(times) and all(time.time() - 120 < at_s <= time.time() for at_s in times[1:])
    issues = [run("anybody", "token show", label, "--json").document()["issues"] for label in (old, SECOND)]
    assert [[(one["holder"], one["issued_by"], one["returned_by"]) for one in of_token] for of_token in issues] == [
        [(HOLDER, "desk 2", "desk 1")],
        [(OTHER, "desk 2", None)],
    ]
    assert len(rows(home)["devices"]) == 1


def test_a_token_that_came_back_is_wiped_before_somebody_else_gets_it(clinic_of_people: Clinic, as_: As) -> None:
    with attached(clinic_of_people.fleet) as there:
        port = there.ports[AN]
        for line in ("issue", "return"):
            assert as_("desk 1", "token", line, AN, *(["--person", HOLDER] if line == "issue" else [])).code == 0
        assert_one_sentence(as_("desk 1", "token issue", AN, "--person", OTHER), "run `bztoken token reissue` first")
        assert as_("desk 1", f"sync --port {port}").code == 0
        assert as_("desk 1", f"token reissue --port {port} --label {SECOND} --yes").code == 0
        assert as_("desk 1", f"token issue {SECOND} --person", OTHER).code == 0
        story = as_("anybody", f"token show {SECOND} --json").document()
    assert [event["event"] for event in story["events"]] == ["provisioned", "reissued", "issued"]
    assert story["device"]["before"] == [{"token": 1, "state": "wiped"}]


def test_a_lost_token_is_believed_by_nobody_whichever_way_it_comes(
    clinic_of_people: Clinic, as_: As, tmp_path: Path
) -> None:
    """By cable, by a courier whose pass is older than the loss, and in what that courier brings."""
    clinic, courier = clinic_of_people, tmp_path / "courier"
    pass_file, late = tmp_path / "lan.pass", tmp_path / "late.pass"
    assert as_("clinic", "courier add --days 30 --name", "Chị Lan", "--out", pass_file).code == 0
    assert as_("lan", "courier accept", pass_file, home=courier).code == 0
    with attached(clinic.fleet) as there:
        port = there.ports[AN]
        assert as_("clinic", "token issue", AN, "--person", HOLDER).code == 0
        assert as_("clinic", "token lost", AN).code == 0
        lost_s = int(time.time())
        before = rows(clinic.home)
        for line in (
            "sync",
            "sync --all --among {port}",
            "status",
            "settings",
            "settings --profile windowed",
            "token config",
            "notice set",
            "selftest",
            f"case add --name F0 --test {days_ago(0)}",
        ):
            words = line.format(port=port) if "{port}" in line else f"{line} --port {port}"
            ran = as_(TRACER if line.startswith("case") else "desk 3", words)
            assert (ran.code, ran.out) == (1, "") and "This token was revoked: nothing was read" in ran.err, line
            assert HOLDER not in ran.err and AN not in ran.err
        shown = as_("desk 3", "token show", AN, "--port", port)
        assert shown.code == 1 and "This token was revoked" in shown.err
        while int(time.time()) == lost_s:
            time.sleep(0.1)
        assert as_("lan", f"sync --port {port}", home=courier).code == 0  # it cannot know
    bundle = tmp_path / "lan.bundle"
    assert as_("lan", "bundle export --out", bundle, home=courier).code == 0
    brought = as_("clinic", "bundle import", bundle, "--json").document()
    assert (brought["pages_new"], brought["tokens"], brought["tokens_refused"]) == (0, 0, 1)
    assert clinic.stored(AN) == [] and rows(clinic.home) == before
    told = as_("anybody", "token show", AN, "--json").document()["events"]
    assert [(event["event"], event["by"], event["detail"]) for event in told] == [
        ("issued", "clinic", "to a person"),
        ("revoked", "clinic", "lost"),
        ("seen though revoked", "desk 3", None),  # the courier's was within the same hour
    ]
    assert as_("clinic", "courier add --days 30 --name", "Anh Nam", "--out", late).code == 0
    uids = {token["uid"] for token in json.loads(late.read_text(encoding="utf-8"))["tokens"]}
    with open_registry(clinic.home) as registry, registry.read() as session:
        assert tokens.by_known_label(session, AN).uid.hex() not in uids and len(uids) == 3


def test_the_clinic_is_told_that_a_courier_met_a_lost_token(clinic_of_an: Clinic, as_: As, tmp_path: Path) -> None:
    courier, pass_file, bundle = tmp_path / "courier", tmp_path / "lan.pass", tmp_path / "lan.bundle"
    as_("clinic", "courier add --days 30 --name", "Chị Lan", "--out", pass_file)
    as_("lan", "courier accept", pass_file, home=courier)
    as_("clinic", "token lost", AN)
    lost_s = int(time.time())
    while int(time.time()) == lost_s:
        time.sleep(0.1)
    with attached(clinic_of_an.fleet) as there:
        assert as_("lan", f"sync --port {there.ports[AN]}", home=courier).code == 0
    as_("lan", "bundle export --out", bundle, home=courier)
    for _ in range(2):
        assert as_("clinic", "bundle import", bundle).code == 0
    last = as_("anybody", "token show", AN, "--json").document()["events"][1:]
    assert [(event["event"], event["by"], event["detail"]) for event in last] == [
        ("seen though revoked", "clinic", "by a courier")
    ]
    assert [one["label"] for one in as_("anybody", "token due --json").document()["due"]] == [AN]


# -- boards ------------------------------------------------------------------------------------------------------------
def test_a_lost_token_that_comes_back_blank_is_told_before_it_becomes_another(
    clinic_of_people: Clinic, as_: As
) -> None:
    clinic = clinic_of_people
    with attached(clinic.fleet) as there:
        assert as_("clinic", f"sync --port {there.ports[AN]}").code == 0
    assert as_("clinic", "token issue", AN, "--person", HOLDER).code == 0
    assert as_("clinic", "token lost", AN).code == 0
    clinic.image(AN).write_bytes(b"\xff" * clinic.image(AN).stat().st_size)
    end = chip_of(clinic.image(AN).parent)[-4:]
    with attached(clinic.fleet) as there:
        line = f"provision --port {there.ports[AN]} --label {SECOND}"
        ran = as_("desk 1", line)
        assert_one_sentence(ran, "this board was another token, reported lost on")
        assert f"`bztoken stock show {end}` tells which it was" in ran.err and AN not in ran.err
        assert as_("desk 1", f"info --port {there.ports[AN]} --json").document()["provisioned"] is False
        assert SECOND not in [token["label"] for token in as_("anybody", "token list --json").document()["tokens"]]
        (board,) = as_("desk 1", f"stock show {end} --json").document()["boards"]
        assert (board["state"], board["token"]) == ("lost", AN)
        assert as_("desk 1", "token return", AN).code == 0
        assert as_("desk 1", line).code == 0
        assert as_("desk 1", f"sync --port {there.ports[AN]}").code == 0
    story = as_("anybody", f"token show {SECOND} --json").document()
    assert (story["step"], story["device"]["before"]) == ("provisioned", [{"token": 1, "state": "revoked"}])
    listed = as_("anybody", "token list --json").document()["tokens"]
    assert [one["step"] for one in listed if one["label"] == AN] == ["returned"]


def test_an_identity_that_was_copied_to_another_board_is_told_by_the_boards_number(clinic: Clinic, as_: As) -> None:
    with attached(clinic.fleet) as there:
        assert as_("clinic", f"sync --port {there.ports[AN]}").code == 0
    shutil.copyfile(clinic.image(AN), clinic.image(CU))
    with attached(clinic.fleet) as there:
        before = {table: found for table, found in rows(clinic.home).items() if table != "tokens"}
        copy = as_("clinic", f"status --port {there.ports[CU]}")
        assert_one_sentence(copy, "This token's identity was on another board before: somebody copied it")
        again = as_("clinic", f"sync --port {there.ports[AN]}")
        assert_one_sentence(again, "Two devices hold this token's identity: nothing was read")
        after = rows(clinic.home)
        assert {table: found for table, found in after.items() if table not in ("tokens", "devices")} == {
            table: found for table, found in before.items() if table != "devices"
        }
        (due,) = as_("clinic", "token due --json").document()["due"]
        assert (due["label"], due["reasons"][0]["reason"]) == (AN, "clone")
        # Somebody looked: the flash was moved, the old board is broken.
        assert as_("clinic", "token restore", AN).code == 0
        assert as_("clinic", f"sync --port {there.ports[CU]}").code == 0
        assert_one_sentence(as_("clinic", f"status --port {there.ports[AN]}"), "was on another board before")


def test_of_two_boards_with_one_identity_neither_is_read_on(clinic: Clinic, as_: As) -> None:
    shutil.copyfile(clinic.image(AN), clinic.image(CU))
    with attached(clinic.fleet) as there:
        ports = [there.ports[AN], there.ports[CU]]
        ran = as_("clinic", "sync --all", *(word for port in ports for word in ("--among", port)))
        assert ran.code == 1 and "Synced" not in ran.out
        assert ran.err.count("Two devices that are plugged in have this token's identity") == 1
        assert ran.err.count("This token's identity was on another board before") == 1
        for port in ports:
            assert as_("clinic", f"sync --port {port}").code == 1
    alarms = {one["label"]: one["alarm"] for one in as_("clinic", "token list --json").document()["tokens"]}
    assert alarms[AN] == "clone"


def test_a_board_that_was_swapped_between_wiping_and_handing_out_is_told(clinic_of_an: Clinic, tmp_path: Path) -> None:
    with attached(clinic_of_an.fleet) as there, attached(tmp_path / "blank", 1) as shelf:
        plan = plan_wipe(clinic_of_an.home, there.ports[AN])
        assert wipe(clinic_of_an.home, there.ports[AN], plan)
        with pytest.raises(LinkError, match="another board than the one that was told .* run `bztoken provision`"):
            hand_out_again(clinic_of_an.home, shelf.ports["blank-1"], plan, SECOND, tokens.ROLE_PERSON)
        with open_registry(clinic_of_an.home) as registry, registry.read() as session:
            assert tokens.by_label(session, SECOND) is None
        assert hand_out_again(clinic_of_an.home, there.ports[AN], plan, SECOND, tokens.ROLE_PERSON).label == SECOND


def test_a_blank_board_in_the_place_of_the_one_that_was_wiped_does_not_count(clinic: Clinic, tmp_path: Path) -> None:
    """The plug changes hands while the token restarts: the port's name leads to another one."""
    port = tmp_path / "port"

    def told() -> int:
        return len(rows(clinic.home, "token_events")["token_events"])

    def swap_when_told(before: int) -> None:
        for _ in range(1000):
            if told() > before:
                break
            time.sleep(0.02)
        (tmp_path / "other").symlink_to(shelf.ports["blank-1"])
        (tmp_path / "other").replace(port)

    with attached(clinic.fleet) as there, attached(tmp_path / "blank", 1) as shelf:
        port.symlink_to(there.ports[AN])
        plan = plan_wipe(clinic.home, str(port))
        swap = threading.Thread(target=swap_when_told, args=(told(),))
        swap.start()
        with pytest.raises(LinkError, match="another board than the one that was told .* run the same command"):
            wipe(clinic.home, str(port), plan)
        swap.join()
        with open_registry(clinic.home) as registry, registry.read() as session:
            assert tokens.by_known_label(session, AN).state == tokens.STATE_ACTIVE
        again = plan_wipe(clinic.home, there.ports[AN])
        assert (again.is_blank, again.label) == (True, AN)
        assert wipe(clinic.home, there.ports[AN], again)
    with open_registry(clinic.home) as registry, registry.read() as session:
        assert tokens.by_label(session, AN) is None


def test_of_two_that_were_told_to_forget_each_blank_board_finishes_its_own(clinic: Clinic) -> None:
    with attached(clinic.fleet) as there:
        told = {label: plan_wipe(clinic.home, there.ports[label]).hardware for label in (AN, CU)}
    with open_registry(clinic.home) as registry, registry.write() as session:
        for label in told:
            events.record(session, tokens.by_known_label(session, label), events.WIPE_BEGUN, int(time.time()))
    for label in told:
        clinic.image(label).write_bytes(b"\xff" * clinic.image(label).stat().st_size)
    with attached(clinic.fleet) as there:
        again = {label: plan_wipe(clinic.home, there.ports[label]) for label in told}
    assert {label: (plan.is_blank, plan.label, plan.hardware) for label, plan in again.items()} == {
        label: (True, label, hardware) for label, hardware in told.items()
    }


# -- several people ---------------------------------------------------------------------------------------------------
def test_two_who_issue_one_token_at_once_leave_one_holder(clinic: Clinic) -> None:
    def begin(holder: str) -> "subprocess.Popen[str]":
        words = ["--home", str(clinic.home.path), "token", "issue", AN, "--person", holder]
        return subprocess.Popen(
            [sys.executable, "-m", "bztoken", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    with open_registry(clinic.home) as registry, registry.write() as session:
        numbers = [persons.number_of(people.person(session, f"Người {number}").id) for number in range(4)]
    running = [begin(number) for number in numbers]
    told = [(program.communicate(timeout=50), program.returncode) for program in running]
    assert sorted(code for _, code in told) == [0, 1, 1, 1]
    assert all("somebody has this token already" in err for (_, err), code in told if code == 1)
    assert len(rows(clinic.home)["token_issues"]) == 1
