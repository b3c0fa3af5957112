"""Which tokens are due: each reason by itself, and the most urgent token first."""

import secrets
from typing import Any

import pytest
from tests import people
from tests.host.told_syncs import STATUS, sync_row

from bztoken import token_life
from bztoken.cli.token_advice import advice
from bztoken.registry import last_known, syncs, tokens
from bztoken.registry.database import Registry
from bztoken.registry.models import Sync, Token
from bztoken.tokens_due import Due, Reason, due

NOW_S = 1_800_000_000
DAY_S = 86400
YESTERDAY_S = NOW_S - DAY_S


def a_token(registry: Registry, label: str, role: str = "person") -> int:
    with registry.write() as session:
        uid = secrets.token_bytes(8)
        return tokens.create(session, label, uid, role, "virtual", NOW_S - 100 * DAY_S).id


def found(registry: Registry, days: int = 7) -> list[Due]:
    with registry.read() as session:
        return due(last_known.of_tokens(session), NOW_S, days)


def reasons(registry: Registry) -> list[Reason]:
    return [reason for one in found(registry) for reason in one.reasons]


SYNCS: dict[str, tuple[dict[str, Any], list[Reason]]] = {
    "healthy": ({}, []),
    "empty": ({"bs": 4}, [Reason.BATTERY_EMPTY]),
    "saving": ({"bs": 3}, [Reason.BATTERY_SAVING]),
    "low": ({"bs": 2}, [Reason.BATTERY_LOW]),
    "cannot measure": ({"bs": 0, "bv": 0}, []),
    "full": ({"ff": 102_399}, [Reason.FLASH_NEARLY_FULL]),
    "a tenth is free": ({"ff": 102_400}, []),
    "clock lost": ({"clock_offset_ms": None}, [Reason.CLOCK_LOST]),
    "clock off": ({"clock_offset_ms": -300_001}, [Reason.CLOCK_FAR_OFF]),
    "clock in its window": ({"clock_offset_ms": 300_000}, []),
    "damaged": ({"damaged_sequence": 7}, [Reason.LOG_DAMAGED]),
    "cut": ({"done": False}, [Reason.SYNC_CUT]),
    "cut by damage": ({"done": False, "damaged_sequence": 7}, [Reason.LOG_DAMAGED]),
}


@pytest.mark.parametrize("name", SYNCS)
def test_each_trouble_of_the_last_sync_is_a_reason(registry: Registry, name: str) -> None:
    changed, expected = SYNCS[name]
    columns = {column: changed[column] for column in changed if column not in STATUS}
    told = {**STATUS, **{field: changed[field] for field in changed if field in STATUS}}
    token_id = a_token(registry, "Bà An")
    with registry.write() as session:
        sync_row(session, token_id, YESTERDAY_S, told, **columns)
    assert reasons(registry) == expected


@pytest.mark.parametrize(
    ("role", "unseen_days", "reason"),
    [
        ("person", 6, None),
        ("person", 7, Reason.NOT_SEEN),
        ("person", 13, Reason.NOT_SEEN),
        ("person", 14, Reason.LOSING_ITS_LOG),
        ("site", 20, Reason.NOT_SEEN),
        ("site", 21, Reason.LOSING_ITS_LOG),
    ],
)
def test_a_token_not_seen_is_due_and_loses_its_log_in_the_end(
    registry: Registry, role: str, unseen_days: int, reason: Reason | None
) -> None:
    token_id = a_token(registry, "Chợ", role)
    with registry.write() as session:
        tokens.note_seen(session, session.get_one(Token, token_id), NOW_S - unseen_days * DAY_S)
    assert reasons(registry) == ([] if reason is None else [reason])
    assert [one.unseen_days for one in found(registry, days=1)] == [unseen_days]


def test_provisioning_counts_as_seen(registry: Registry) -> None:
    with registry.write() as session:
        tokens.create(session, "Bà An", secrets.token_bytes(8), "person", "virtual", NOW_S - 8 * DAY_S)
    (one,) = found(registry)
    assert one.reasons == [Reason.NOT_SEEN]
    assert advice(one) == ["It was provisioned 8 days ago: sync it."]


def test_a_sync_that_was_killed_is_due_and_one_that_runs_is_not(registry: Registry) -> None:
    token_id = a_token(registry, "Bà An")
    for age_s, expected in ((60, []), (3601, [Reason.SYNC_CUT])):
        with registry.write() as session:
            number = sync_row(session, token_id, NOW_S - age_s, STATUS)
            session.get_one(Sync, number).state = syncs.STATE_RUNNING
        assert reasons(registry) == expected
        with registry.write() as session:
            session.delete(session.get_one(Sync, number))


def test_old_firmware_is_what_others_no_longer_have(registry: Registry) -> None:
    versions = {"Bà An": "0.3.0", "Ông Bình": "0.10.0", "Chị Chi": "0.9.9", "Chú Dũng": "made by hand", "Bà Em": ""}
    for label, version in versions.items():
        token_id = a_token(registry, label)
        with registry.write() as session:
            sync_row(session, token_id, YESTERDAY_S, STATUS, firmware=version)
    assert [(one.known.token.label, one.reasons) for one in found(registry)] == [
        ("Bà An", [Reason.OLD_FIRMWARE]),
        ("Chị Chi", [Reason.OLD_FIRMWARE]),
    ]


def test_nobody_is_sent_after_a_token_that_was_revoked_or_wiped(registry: Registry) -> None:
    with registry.write() as session:
        for label in ("Bà An", "Chị Chi", "Bà Em"):
            token = tokens.create(session, label, secrets.token_bytes(8), "person", "virtual", 0)
            tokens.raise_alarm(session, token, tokens.ALARM_CLONE, NOW_S)
            if label == "Bà An":
                tokens.revoke(session, token, NOW_S)
            if label == "Chị Chi":
                tokens.wiped(session, token, NOW_S)
    assert [one.known.token.label for one in found(registry)] == ["Bà Em"]


def test_a_developers_board_is_due_as_long_as_it_is_one(registry: Registry) -> None:
    token_id = a_token(registry, "Bà An")
    with registry.write() as session:
        sync_row(session, token_id, YESTERDAY_S, {**STATUS, "bs": 2})
        tokens.note_build(session, session.get_one(Token, token_id), True)
    (one,) = found(registry)
    assert one.reasons == [Reason.DEVELOPMENT, Reason.BATTERY_LOW]
    assert "nobody may wear it" in advice(one)[0]
    with registry.write() as session:
        tokens.note_build(session, session.get_one(Token, token_id), False)
    assert reasons(registry) == [Reason.BATTERY_LOW]


def test_a_token_that_came_back_is_due_last_until_it_is_wiped(registry: Registry) -> None:
    ids = {label: a_token(registry, label) for label in ("back", "again", "old")}
    with registry.write() as session:
        for label, token_id in ids.items():
            sync_row(session, token_id, YESTERDAY_S, STATUS, firmware="0.3.0" if label == "old" else "0.4.0")
        for label in ("back", "again"):
            token = session.get_one(Token, ids[label])
            token_life.issue(session, token, people.holder(session, "Lê Thị Ân", NOW_S), NOW_S)
            token_life.give_back(session, token, NOW_S)
        token_life.issue(session, token, people.holder(session, "Lê Thị Ân", NOW_S), NOW_S)
    assert [(one.known.token.label, one.reasons) for one in found(registry)] == [
        ("old", [Reason.OLD_FIRMWARE]),
        ("back", [Reason.RETURNED]),
    ]
    assert advice(found(registry)[1]) == [
        "Returned: wipe it with `bztoken token reissue` before somebody else gets it."
    ]
    with registry.write() as session:
        tokens.wiped(session, session.get_one(Token, ids["back"]), NOW_S)
    assert reasons(registry) == [Reason.OLD_FIRMWARE]


def test_the_most_urgent_token_comes_first_with_its_most_urgent_reason(registry: Registry) -> None:
    ids = {label: a_token(registry, label) for label in ("low", "long", "longer", "clone", "pending", "cut")}
    with registry.write() as session:
        sync_row(session, ids["low"], YESTERDAY_S, {**STATUS, "bs": 2, "ff": 0})
        sync_row(session, ids["long"], NOW_S - 8 * DAY_S, STATUS)
        sync_row(session, ids["longer"], NOW_S - 9 * DAY_S, STATUS, clock_offset_ms=-600_000)
        sync_row(session, ids["cut"], YESTERDAY_S, STATUS, done=False)
        tokens.raise_alarm(session, session.get_one(Token, ids["clone"]), tokens.ALARM_CLONE, NOW_S)
        session.get_one(Token, ids["pending"]).state = tokens.STATE_PENDING
    assert [(one.known.token.label, one.reasons) for one in found(registry)] == [
        ("clone", [Reason.CLONE, Reason.LOSING_ITS_LOG]),
        ("longer", [Reason.NOT_SEEN, Reason.CLOCK_FAR_OFF]),
        ("long", [Reason.NOT_SEEN]),
        ("cut", [Reason.SYNC_CUT]),
        ("low", [Reason.FLASH_NEARLY_FULL, Reason.BATTERY_LOW]),
        ("pending", [Reason.UNFINISHED]),
    ]
    said = {one.known.token.label: advice(one) for one in found(registry)}
    assert said["longer"][1].startswith("Its clock was 10 minutes off")
    assert all(sentence.endswith(".") and "{" not in sentence for one in said.values() for sentence in one)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_sentence(registry: Registry, reason: Reason) -> None:
    a_token(registry, "Bà An")
    with registry.read() as session:
        (known,) = last_known.of_tokens(session)
    (sentence,) = advice(Due(known, [reason], 3))
    assert sentence[0].isupper() and sentence.endswith((".", ")."))
