"""A token from the flash desk to a wrist, lost, back and blank again; what is refused on the way, and whoever tries."""

import json
import subprocess
import sys
import time
from pathlib import Path

from tests import people
from tests.case_desk import TRACER, days_ago
from tests.integration.clinic import Clinic, attached
from tests.integration.handed_out import (
    AN,
    FIRST,
    HOLDER,
    OTHER,
    SECOND,
    As,
    as_,
    chip_of,
    clinic_of_people,
    register,
    rows,
)
from tests.integration.test_bad_input import assert_one_sentence
from tests.program import Ran

from bztoken.formats import flash_record
from bztoken.formats.flash_record import FlashRecord
from bztoken.home import Home
from bztoken.registry import persons, tokens
from bztoken.registry.database import create_registry, open_registry

__all__ = ["as_", "clinic_of_people"]

WIPED = f"{FIRST} (wiped 1)"
BY_CABLE = (
    "sync",
    "sync --all --among {port}",
    "status",
    "settings",
    "settings --profile windowed",
    "token config",
    "notice set",
    "selftest",
    "case add --name F0 --test {today}",
)


# -- the whole round ---------------------------------------------------------------------------------------------------
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


class Round:
    """A blank board at the desks of a clinic, whoever sits there. port, chip: known once it is plugged in."""

    def __init__(self, as_: As, folder: Path) -> None:
        self.home, self.folder = Home(folder / "new"), folder
        self.port = self.chip = ""
        self._as = as_

    def tried(self, who: str, line: str, *more: object) -> Ran:
        """A command typed by somebody."""
        return self._as(who, line, *more, home=self.home.path)

    def run(self, who: str, line: str, *more: object) -> Ran:
        """The same, which must work."""
        ran = self.tried(who, line, *more)
        assert ran.code == 0, ran.err
        return ran

    def refused(self, line: str, says: str, *more: object) -> None:
        """In one sentence, with nothing changed."""
        before = rows(self.home, "token_events")
        assert_one_sentence(self.tried("somebody", line, *more), says)
        assert rows(self.home, "token_events") == before

    def state(self) -> tuple[str, str | None]:
        """The board's, and the token on it."""
        (board,) = self.run("anybody", "stock list --json").document()["boards"]
        return board["state"], board["token"]


def test_a_token_goes_the_whole_round_and_every_step_is_on_record(as_: As, tmp_path: Path) -> None:
    desk = Round(as_, tmp_path)
    create_registry(desk.home)
    register(desk.home)
    with attached(tmp_path / "blank", 1) as there:
        desk.port = there.ports["blank-1"]
        desk.chip = chip_of(tmp_path / "blank" / "token-1")
        it_comes_from_the_flash_desk(desk)
        it_becomes_a_token(desk)
        somebody_gets_it(desk)
        it_is_lost(desk)
        it_is_back_and_stays_revoked(desk)
        it_is_wiped_and_becomes_another_ones(desk)
    the_board_tells_all_of_it(desk)
    both_tokens_tell_who_had_them(desk)
    assert len(rows(desk.home)["devices"]) == 1


def it_comes_from_the_flash_desk(desk: Round) -> None:
    desk.run("clinic", "stock add", flashed(desk.folder / "desk.jsonl", desk.chip))
    assert desk.state() == ("blank", None)
    desk.refused(f"token issue {FIRST} --person", "no token of this registry has this label", HOLDER)
    desk.refused(f"status --port {desk.port}", "is not provisioned")


def it_becomes_a_token(desk: Round) -> None:
    desk.run("desk 1", f"provision --port {desk.port} --label {FIRST}")
    assert desk.state() == ("token", FIRST)
    desk.refused(f"token return {FIRST}", "nobody has this token")
    desk.refused(f"token issue {FIRST} --site", "this token is that of a person", "Chợ Yên Bái")


def somebody_gets_it(desk: Round) -> None:
    desk.run("desk 2", f"token issue {FIRST} --person", HOLDER)
    desk.refused(f"token issue {FIRST} --person", "somebody has this token already", OTHER)
    desk.run("desk 2", f"sync --port {desk.port}")


def it_is_lost(desk: Round) -> None:
    desk.run("desk 2", f"token lost {FIRST}")
    assert desk.state() == ("lost", FIRST)
    desk.refused(f"token issue {FIRST} --person", "this token was revoked", OTHER)
    assert_one_sentence(desk.tried("desk 3", f"sync --port {desk.port}"), "This token was revoked")
    (due,) = desk.run("anybody", "token due --json").document()["due"]
    assert [reason["reason"] for reason in due["reasons"]] == ["seen though revoked"]


def it_is_back_and_stays_revoked(desk: Round) -> None:
    desk.run("desk 1", f"token return {FIRST}")
    assert desk.run("anybody", "token due --json").document() == {"due": []}
    desk.refused(f"token found {FIRST}", "this token is not lost")
    desk.refused(f"token issue {FIRST} --person", "this token was revoked", HOLDER)
    desk.refused(f"provision --port {desk.port} --label {SECOND}", "belongs to a registry already")


def it_is_wiped_and_becomes_another_ones(desk: Round) -> None:
    desk.run("desk 1", f"token wipe --port {desk.port} --force --yes")
    assert desk.state() == ("wiped", None)
    desk.refused(f"token issue {FIRST} --person", "no token of this registry has this label", HOLDER)
    desk.run("desk 2", f"provision --port {desk.port} --label {SECOND}")
    desk.run("desk 2", f"token issue {SECOND} --person", OTHER)
    assert desk.state() == ("token", SECOND)
    assert desk.run("anybody", f"status --port {desk.port} --json").document()["hardware"] == desk.chip
    desk.run("anybody", f"sync --port {desk.port}")


def the_board_tells_all_of_it(desk: Round) -> None:
    (board,) = desk.run("anybody", "stock show", desk.chip[-4:], "--json").document()["boards"]
    assert [(one["token"], one["event"], one["by"]) for one in board["events"]] == [
        (None, "flashed", "flash desk"),
        (None, "shipped", "clinic"),
        (WIPED, "provisioned", "desk 1"),
        (WIPED, "issued", "desk 2"),
        (WIPED, "revoked", "desk 2"),
        (WIPED, "seen though revoked", "desk 3"),
        (WIPED, "returned", "desk 1"),
        (WIPED, "wipe begun", "desk 1"),
        (WIPED, "wiped", "desk 1"),
        (SECOND, "provisioned", "desk 2"),
        (SECOND, "issued", "desk 2"),
    ]
    times = [one["at_s"] for one in board["events"]]
    assert times == sorted(times) and all(time.time() - 120 < at_s <= time.time() for at_s in times[1:])


def both_tokens_tell_who_had_them(desk: Round) -> None:
    shown = [desk.run("anybody", "token show", label, "--json").document()["issues"] for label in (WIPED, SECOND)]
    assert [[(one["holder"], one["issued_by"], one["returned_by"]) for one in of_token] for of_token in shown] == [
        [(HOLDER, "desk 2", "desk 1")],
        [(OTHER, "desk 2", None)],
    ]


# -- back, or lost -----------------------------------------------------------------------------------------------------
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


def nothing_is_read_by_cable(as_: As, port: str) -> None:
    for line in BY_CABLE:
        words = (line if "{port}" in line else f"{line} --port {{port}}").format(port=port, today=days_ago(0))
        ran = as_(TRACER if line.startswith("case") else "desk 3", words)
        assert (ran.code, ran.out) == (1, "") and "This token was revoked: nothing was read" in ran.err, line
        assert HOLDER not in ran.err and AN not in ran.err
    shown = as_("desk 3", "token show", AN, "--port", port)
    assert shown.code == 1 and "This token was revoked" in shown.err


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
        nothing_is_read_by_cable(as_, port)
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


# -- several people ----------------------------------------------------------------------------------------------------
def test_two_who_issue_one_token_at_once_leave_one_holder(clinic: Clinic) -> None:
    def begin(holder: str) -> "subprocess.Popen[str]":
        words = ["--home", str(clinic.home.path), "token", "issue", AN, "--person", holder]
        return subprocess.Popen(
            [sys.executable, "-m", "bztoken", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    with open_registry(clinic.home) as registry, registry.write() as session:
        numbers = [persons.number_of(people.person(session, f"Người {number}").id) for number in range(4)]
    running = [begin(number) for number in numbers]
    told = [(program.communicate(timeout=120), program.returncode) for program in running]
    assert sorted(code for _, code in told) == [0, 1, 1, 1]
    assert all("somebody has this token already" in err for (_, err), code in told if code == 1)
    assert len(rows(clinic.home)["token_issues"]) == 1
