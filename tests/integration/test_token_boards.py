"""Boards and the identities on them, by cable: a copy, a swap or a blank board in the place of another is told."""

import shutil
import threading
import time
from pathlib import Path

import pytest
from tests.integration.clinic import Clinic, attached
from tests.integration.handed_out import AN, CU, HOLDER, SECOND, As, as_, chip_of, clinic_of_people, rows
from tests.integration.test_bad_input import assert_one_sentence

from bztoken.errors import LinkError
from bztoken.registry import events, tokens
from bztoken.registry.database import open_registry
from bztoken.token_wipe import hand_out_again, plan_wipe, wipe

__all__ = ["as_", "clinic_of_people"]


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
