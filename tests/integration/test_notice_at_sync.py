"""The light of a contact's token: set at its next sync, cleared at the one after somebody reached them; and by hand."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.case_desk import active_case
from tests.host.contacts_of_cases import Village
from tests.integration.clinic import Clinic, assert_whole, attached
from tests.integration.line import Line
from tests.integration.requests_seen import CutAtAnswer, at_request, pull_out

from bztoken.courier import accept, issue
from bztoken.home import Home
from bztoken.matching.batch import run_batch
from bztoken.registry import cases, events, tokens
from bztoken.registry.database import open_registry
from bztoken.registry.logs import log_of_token
from bztoken.registry.models import Case, Log
from bztoken.tracing import case_record, follow_up
from bztoken.tracing.case_release import last_days, release_keys
from bzwire import messages

Cli = Callable[..., Any]
AN, BINH = "Bà An", "Ông Bình"
SET_AT_SYNC = ("settings", "notice set at a sync")
CLEARED_AT_SYNC = ("settings", "notice cleared at a sync")


@pytest.fixture(autouse=True)
def operator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(events.OPERATOR_VARIABLE, "Hoa")


def becomes_a_contact(clinic: Clinic, label: str = AN) -> int:
    """Of a case that the matching found near this token yesterday; the case's row."""
    with open_registry(clinic.home) as registry, registry.write() as session:
        village = Village(session, int(time.time()))
        case = village.case("F0-1")
        log: Log = log_of_token(session, tokens.by_known_label(session, label))
        village.near(case, log)
        follow_up.update(session, village.now_s)
        return case.id


def shown(cli: Cli, port: str) -> bool:
    """By what the token itself says."""
    status = cli("status", "--port", port)
    return "The exposure notice is on" in status.out


def synced(cli: Cli, port: str) -> str | None:
    """What a sync says that it did about the notice."""
    notice: str | None = cli("sync", "--port", port, "--json").document()["notice"]
    return notice


def told(cli: Cli, label: str = AN) -> list[tuple[str, str | None]]:
    """What the token was told, as its story has it."""
    story = cli("token", "show", label, "--json").document()
    return [(event["event"], event["detail"]) for event in story["events"] if event["event"] == "settings"]


def test_the_light_asks_from_the_next_sync_until_the_one_after_they_were_reached(
    clinic_of_an: Clinic, cli: Cli
) -> None:
    becomes_a_contact(clinic_of_an)
    with attached(clinic_of_an.fleet) as there:
        port = there.ports[AN]
        assert not shown(cli, port)
        said = cli("sync", "--port", port).out
        assert "its light asks them to call now: `bztoken follow-up list`" in said
        assert shown(cli, port)
        assert synced(cli, port) == "waiting"
        assert cli("follow-up", "reached", 1).code == 0
        assert shown(cli, port)
        assert "no longer asks its wearer to call" in cli("sync", "--port", port).out
        assert not shown(cli, port)
        assert synced(cli, port) is None
    assert told(cli) == [SET_AT_SYNC, CLEARED_AT_SYNC]


def test_many_tokens_at_once_are_told_each_its_own(clinic: Clinic, cli: Cli) -> None:
    becomes_a_contact(clinic, "Bà Cư")
    with attached(clinic.fleet) as there:
        ports = [part for path in there.ports.values() for part in ("--port", path)]
        outcomes = cli("sync", *ports, "--json").document()["ports"]
        assert {one["label"]: one["notice"] for one in outcomes if one["notice"]} == {"Bà Cư": "set"}
        assert [label for label, port in there.ports.items() if shown(cli, port)] == ["Bà Cư"]


def test_with_the_case_the_light_is_withdrawn(clinic_of_an: Clinic, cli: Cli) -> None:
    case_id = becomes_a_contact(clinic_of_an)
    with attached(clinic_of_an.fleet) as there:
        port = there.ports[AN]
        assert synced(cli, port) == "set"
        with open_registry(clinic_of_an.home) as registry, registry.write() as session:
            follow_up.withdraw_case(session, case_id, int(time.time()))
            session.get_one(Case, case_id).state = "withdrawn"
        assert synced(cli, port) == "cleared"
        assert not shown(cli, port)


def test_what_was_set_or_cleared_by_hand_stays_until_the_list_wants_something_else(
    clinic_of_an: Clinic, cli: Cli
) -> None:
    with attached(clinic_of_an.fleet) as there:
        port = there.ports[AN]
        assert cli("notice", "set", "--port", port).code == 0
        assert synced(cli, port) is None
        assert shown(cli, port)
        becomes_a_contact(clinic_of_an)
        assert synced(cli, port) == "set"
        assert cli("notice", "clear", "--port", port).code == 0
        assert synced(cli, port) == "waiting"
        assert not shown(cli, port)
        cli("follow-up", "reached", 1)
        assert synced(cli, port) == "cleared"
        assert not shown(cli, port)


def test_a_notice_set_by_hand_for_a_contact_is_cleared_like_any_other(clinic_of_an: Clinic, cli: Cli) -> None:
    becomes_a_contact(clinic_of_an)
    with attached(clinic_of_an.fleet) as there:
        port = there.ports[AN]
        assert cli("notice", "set", "--port", port).code == 0
        assert synced(cli, port) == "waiting"
        cli("follow-up", "close", 1, "--not-reached")
        assert synced(cli, port) == "cleared"
        assert not shown(cli, port)


@pytest.mark.parametrize("is_answered", [False, True])
def test_a_cable_that_is_pulled_out_before_it_is_told_costs_nothing(
    clinic_of_an: Clinic, cli: Cli, impatient: None, is_answered: bool
) -> None:
    """Before the question passes, or after the token has acted and before anybody here knows."""
    becomes_a_contact(clinic_of_an)
    cut = CutAtAnswer(messages.CMD_SETTINGS)
    with attached(clinic_of_an.fleet) as there:
        port = there.ports[AN]
        faults: dict[str, Any] = {"on_request": at_request(messages.CMD_SETTINGS, 1, pull_out)}
        if is_answered:
            faults = {"on_request": cut.on_request, "to_host": cut.to_host}
        with Line(port, **faults) as line:
            ran = cli("sync", "--port", line.path)
        assert ran.code == 1 and len(ran.err.splitlines()) == 1
        assert clinic_of_an.last_sync_state() == "done"
        assert_whole(clinic_of_an.stored(AN), clinic_of_an.pages_in_flash(AN))
        assert told(cli) == []
        assert synced(cli, port) == "set"
        assert shown(cli, port)


def test_a_courier_tells_nothing(clinic_of_an: Clinic, cli: Cli, tmp_path: Path) -> None:
    becomes_a_contact(clinic_of_an)
    issue(clinic_of_an.home, "Lan", 30, tmp_path / "lan.pass")
    courier = Home(tmp_path / "courier")
    accept(courier, tmp_path / "lan.pass")
    with attached(clinic_of_an.fleet) as there:
        port = there.ports[AN]
        assert cli("sync", "--port", port, "--json", home=courier.path).document()["notice"] is None
        assert not shown(cli, port)
        assert synced(cli, port) == "set"


def test_from_the_air_to_the_light_and_back(clinic: Clinic, cli: Cli) -> None:
    """Ông Bình is ill; Bà An sat with him. The matching puts her on the list, the withdrawal takes her off."""
    now_s = int(time.time())
    with attached(clinic.fleet) as there:
        for port in there.ports.values():
            assert synced(cli, port) is None
        press = partial(there.order, "press", BINH, hold_s=3.3)
        released = release_keys(clinic.home, there.ports[BINH], last_days(4, now_s), press)
        with open_registry(clinic.home) as registry:
            with registry.write() as session:
                token = tokens.by_known_label(session, BINH)
                active_case(session, "F0-1", cases.SOURCE_TOKEN, token, released.keys, now_s)
            run_batch(registry, lambda: now_s)
            (contact,) = cli("follow-up", "list", "--json").document()["contacts"]
            assert (contact["label"], contact["degree"], contact["state"]) == (AN, 1, "open")
            assert synced(cli, there.ports[AN]) == "set"
            with registry.write() as session:
                case_record.withdraw(session, cases.by_known_name(session, "F0-1"), "wrong_test", now_s)
        assert cli("follow-up", "list", "--json").document()["contacts"] == []
        assert synced(cli, there.ports[AN]) == "cleared"
        assert not shown(cli, there.ports[AN])
