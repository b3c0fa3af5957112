"""Boards and the identities on them: linked when told, a copy raises the alarm, a blank board ends no identity."""

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from tests.program import Program

from bztoken.errors import RegistryError
from bztoken.registry import devices, events, tokens
from bztoken.registry.database import Registry
from bztoken.registry.models import Device, Token

NOW_S = 1_800_000_000
ONE, TWO = bytes.fromhex("240ac40a4f2a"), bytes.fromhex("240ac40b4f2a")
AN = "Bà An"


def new_token(session: Session, label: str, state: str = tokens.STATE_ACTIVE) -> Token:
    token = tokens.create(session, label, secrets.token_bytes(8), "person", "virtual", NOW_S)
    token.state = state
    return token


def provisioned_on(session: Session, label: str, hardware: bytes) -> Token:
    """As the desk does it: pending until the proof, then linked and active."""
    token = new_token(session, label, tokens.STATE_PENDING)
    assert devices.note(session, token, hardware, NOW_S)
    token.state = tokens.STATE_ACTIVE
    return token


def test_an_identity_is_linked_to_its_board_the_first_time_it_tells(registry: Registry) -> None:
    with registry.write() as session:
        an = new_token(session, AN)
        assert devices.is_news(session, an, ONE)
        assert devices.note(session, an, ONE, NOW_S)
        assert not devices.is_news(session, an, ONE)
        assert devices.note(session, an, ONE, NOW_S + 9)
        (device,) = devices.all_devices(session)
        assert (device.hardware, device.board, device.added_at_s) == (ONE, "virtual", NOW_S)
        assert (an.device_id, an.alarm, devices.identities(session, device)) == (device.id, None, [an])


@pytest.mark.parametrize("told", [{}, {"hw": b""}, {"hw": b"12345"}, {"hw": b"1234567"}, {"hw": 6}, {"hw": "240ac4"}])
def test_a_token_that_tells_no_number_is_left_as_it_is(registry: Registry, told: dict[str, Any]) -> None:
    with registry.write() as session:
        an = provisioned_on(session, AN, ONE)
        hardware = devices.told(told)
        assert hardware == b"" and not devices.is_news(session, an, hardware)
        assert devices.note(session, an, hardware, NOW_S)
        assert (an.alarm, session.scalar(select(func.count(Device.id)))) == (None, 1)


def test_an_identity_on_a_second_board_raises_the_clone_alarm(registry: Registry) -> None:
    with registry.write() as session:
        an = provisioned_on(session, AN, ONE)
        first = an.device_id
        assert not devices.note(session, an, TWO, NOW_S)
        assert (an.alarm, an.device_id) == (tokens.ALARM_CLONE, first)
        assert [(event.event, event.detail) for event in events.of_token(session, an)] == [("alarm", "clone")]
        tokens.restore(session, an, NOW_S)
        # Whoever looked may have found that the flash was moved to another board for good.
        assert devices.note(session, an, TWO, NOW_S) and an.alarm is None
        assert not devices.note(session, an, ONE, NOW_S) and an.alarm == tokens.ALARM_CLONE


def test_a_rollback_that_is_taken_back_leaves_the_board_known(registry: Registry) -> None:
    with registry.write() as session:
        an = provisioned_on(session, AN, ONE)
        tokens.raise_alarm(session, an, tokens.ALARM_ROLLBACK, NOW_S)
        tokens.restore(session, an, NOW_S)
        assert not devices.note(session, an, TWO, NOW_S)


def lost(session: Session, token: Token) -> None:
    tokens.revoke(session, token, NOW_S, "lost")


def stolen(session: Session, token: Token) -> None:
    tokens.revoke(session, token, NOW_S, "stolen")


def in_use(_session: Session, _token: Token) -> None:
    """Still active."""


def wiped(session: Session, token: Token) -> None:
    tokens.wiped(session, token, NOW_S)


def broken(session: Session, token: Token) -> None:
    tokens.revoke(session, token, NOW_S, "broken")


def lost_and_back(session: Session, token: Token) -> None:
    lost(session, token)
    events.record(session, token, events.RETURNED, NOW_S)


@pytest.mark.parametrize(
    ("became", "says"),
    [
        (lost, "reported lost on 2027-01-15 (UTC), and was not wiped here"),
        (stolen, "reported stolen on 2027-01-15 (UTC)"),
        (in_use, "which is still in use here and was not wiped"),
    ],
)
def test_a_board_whose_last_identity_did_not_end_is_not_provisioned(
    registry: Registry, became: Callable[[Session, Token], None], says: str
) -> None:
    with registry.write() as session:
        became(session, provisioned_on(session, AN, ONE))
    with pytest.raises(devices.HasAPast) as refused, registry.write() as session:
        provisioned_on(session, "Bà Bé", ONE)
    assert says in str(refused.value) and "`bztoken stock show 4f2a` tells which it was" in str(refused.value)
    assert AN not in str(refused.value)
    with registry.read() as session:
        assert [token.label for token in tokens.all_tokens(session)] == [AN]


@pytest.mark.parametrize("became", [wiped, broken, lost_and_back])
def test_a_board_whose_last_identity_ended_becomes_another_token(
    registry: Registry, became: Callable[[Session, Token], None]
) -> None:
    with registry.write() as session:
        an = provisioned_on(session, AN, ONE)
        became(session, an)
        be = provisioned_on(session, "Bà Bé", ONE)
        assert an.device_id == be.device_id is not None
        assert devices.last_identities(session) == {be.device_id: be}


def test_a_loss_is_not_hidden_by_a_later_identity(registry: Registry) -> None:
    """Firmware without a number may have been provisioned in between."""
    with registry.write() as session:
        an, be = provisioned_on(session, AN, ONE), new_token(session, "Bà Bé")
        be.device_id = an.device_id
        lost(session, an)
        wiped(session, be)
    with pytest.raises(devices.HasAPast), registry.write() as session:
        provisioned_on(session, "Bà Cư", ONE)


@pytest.mark.parametrize("digits", ["4f2a", "4F2A", "0a4f2a", "24:0A:C4:0A:4F:2A"])
def test_a_board_is_found_by_the_end_of_its_number(registry: Registry, digits: str) -> None:
    with registry.write() as session:
        for hardware in (ONE, TWO, bytes(6)):
            devices.take(session, hardware, "virtual", NOW_S)
        found = [device.hardware for device in devices.by_digits(session, digits)]
    assert found == ([ONE, TWO] if len(digits) == 4 else [ONE])


@pytest.mark.parametrize("digits", ["", "f2a", "4f2g", "00240ac40a4f2a", "ffff", "٤٤٤٤"])
def test_a_number_of_no_board_is_told(registry: Registry, digits: str) -> None:
    with registry.write() as session:
        devices.take(session, ONE, "virtual", NOW_S)
        with pytest.raises(RegistryError):
            devices.by_digits(session, digits)


def test_the_story_tells_the_board_and_what_it_was_before(cli: Program, registry: Registry) -> None:
    with registry.write() as session:
        wiped(session, provisioned_on(session, AN, ONE))
        be = provisioned_on(session, "Bà Bé", ONE)
        events.record_of_board(
            session, devices.take(session, ONE, "virtual", NOW_S), events.SHIPPED, NOW_S, by="desk 2"
        )
        assert be.id == 2
    out = cli("token", "show", "Bà Bé").out
    assert "Its chip's number ends in 4f2a; before, this board was token 1 (wiped).\n" in out
    assert "board shipped" in out and AN not in out and "0a4f2a" not in out
    assert cli("token", "show", "Bà Bé", "--json").document()["device"] == {
        "chip": "4f2a",
        "events": [{"at_s": NOW_S, "event": "shipped", "by": "desk 2", "detail": None}],
        "before": [{"token": 1, "state": "wiped"}],
    }
    assert "this board was no other token here" in cli("token", "show", f"{AN} (wiped 1)").out
