"""What the registry says of its tokens: states, alarms, events and what each sync told."""

import secrets

import pytest
from tests.host.told_syncs import STATUS, sync_row

from bztoken.errors import NotTrusted, RegistryError
from bztoken.registry import events, last_known, logs, tokens
from bztoken.registry.database import Registry
from bztoken.registry.models import Token
from bzwire import keys

NOW_S = 1_800_000_000
AN = "Bà An"


@pytest.fixture(autouse=True)
def operator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(events.OPERATOR_VARIABLE, "desk 2")


@pytest.fixture
def an(registry: Registry) -> int:
    with registry.write() as session:
        return tokens.create(session, AN, secrets.token_bytes(8), "person", "virtual", NOW_S).id


def happened(registry: Registry, token_id: int) -> list[tuple[str, str, str | None]]:
    with registry.read() as session:
        return [(row.event, row.by, row.detail) for row in events.of_token(session, session.get_one(Token, token_id))]


def test_an_event_says_who_and_is_bounded(registry: Registry, an: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with registry.write() as session:
        token = session.get_one(Token, an)
        events.record(session, token, events.UPDATED, NOW_S, "0.3.0")
        events.record(session, token, events.UPDATED, NOW_S, "x" * 500, by="y" * 500)
        monkeypatch.setenv(events.OPERATOR_VARIABLE, " ")
        monkeypatch.setenv("LOGNAME", "huong")
        events.record(session, token, events.UPDATED, NOW_S)
    assert happened(registry, an) == [
        ("updated", "desk 2", "0.3.0"),
        ("updated", "y" * 80, "x" * 200),
        ("updated", "huong", None),
    ]


def test_an_event_and_what_it_tells_are_kept_together_or_not_at_all(registry: Registry, an: int) -> None:
    with pytest.raises(ZeroDivisionError), registry.write() as session:
        tokens.revoke(session, session.get_one(Token, an), NOW_S, "lost")
        raise ZeroDivisionError
    with registry.read() as session:
        assert session.get_one(Token, an).state == tokens.STATE_ACTIVE
    assert happened(registry, an) == []


def test_a_revoked_token_is_not_trusted_until_it_is_restored(registry: Registry, an: int) -> None:
    with registry.write() as session:
        token = session.get_one(Token, an)
        tokens.require_trusted(token)
        tokens.revoke(session, token, NOW_S, "stolen")
        with pytest.raises(NotTrusted, match="was revoked: nothing was read; keep it"):
            tokens.require_trusted(token)
        with pytest.raises(RegistryError, match="revoked already"):
            tokens.revoke(session, token, NOW_S)
        assert tokens.restore(session, token, NOW_S) == ["revoked"]
        tokens.require_trusted(token)
        with pytest.raises(RegistryError, match="nothing to take back"):
            tokens.restore(session, token, NOW_S)
    assert happened(registry, an) == [("revoked", "desk 2", "stolen"), ("restored", "desk 2", "revoked")]


def test_an_alarm_is_recorded_once_and_a_lesser_one_does_not_cover_it(registry: Registry, an: int) -> None:
    with registry.write() as session:
        token = session.get_one(Token, an)
        tokens.raise_alarm(session, token, tokens.ALARM_ROLLBACK, NOW_S)
        tokens.require_trusted(token)  # it may have been damaged: its log is taken
        for kind in (tokens.ALARM_CLONE, tokens.ALARM_CLONE, tokens.ALARM_ROLLBACK):
            tokens.raise_alarm(session, token, kind, NOW_S)
            assert token.alarm == tokens.ALARM_CLONE
        with pytest.raises(NotTrusted, match="Two devices hold this token's identity"):
            tokens.require_trusted(token)
        assert tokens.restore(session, token, NOW_S) == ["clone"]
        tokens.require_trusted(token)
    assert [detail for _, _, detail in happened(registry, an)] == ["rollback", "clone", "clone"]


def test_a_wiped_token_frees_its_label_and_keeps_its_log(registry: Registry, an: int) -> None:
    with registry.write() as session:
        token = session.get_one(Token, an)
        tokens.raise_alarm(session, token, tokens.ALARM_CLONE, NOW_S)
        tokens.wiped(session, token, NOW_S)
        assert (token.label, token.alarm) == (f"{AN} (wiped {an})", None)
        assert logs.log_of_token(session, token).label == token.label
        with pytest.raises(NotTrusted, match="wiped but still holds its old identity"):
            tokens.require_trusted(token)
        with pytest.raises(RegistryError, match="wiped already"):
            tokens.revoke(session, token, NOW_S)
        with pytest.raises(RegistryError, match="nothing to take back"):
            tokens.restore(session, token, NOW_S)
        again = tokens.create(session, AN, secrets.token_bytes(8), "person", "virtual", NOW_S)
        assert again.id != an and tokens.by_known_label(session, AN) is again
        tokens.wiped(session, token, NOW_S)
        assert token.label == f"{AN} (wiped {an})"


def test_a_long_label_is_cut_where_a_remark_has_to_fit(registry: Registry) -> None:
    label = "ă" * tokens.MAX_LABEL_CHARACTERS
    with registry.write() as session:
        token = tokens.create(session, label, secrets.token_bytes(8), "person", "virtual", NOW_S)
        tokens.wiped(session, token, NOW_S)
        assert len(token.label) == tokens.MAX_LABEL_CHARACTERS and token.label.endswith(f"ă (wiped {token.id})")
        with pytest.raises(RegistryError, match="at most 200 characters"):
            tokens.create(session, label + "n", secrets.token_bytes(8), "person", "virtual", NOW_S)


def test_older_news_does_not_turn_last_seen_back(registry: Registry, an: int) -> None:
    with registry.write() as session:
        token = session.get_one(Token, an)
        for told_s, seen_s in ((NOW_S, NOW_S), (NOW_S - 9, NOW_S), (NOW_S + 9, NOW_S + 9)):
            tokens.note_seen(session, token, told_s)
            assert token.last_seen_s == seen_s


def test_a_token_taken_back_takes_its_events_along(registry: Registry, an: int) -> None:
    with registry.write() as session:
        token = session.get_one(Token, an)
        events.record(session, token, events.PROVISIONED, NOW_S)
        tokens.remove_unused(session, token.uid)
        assert tokens.all_tokens(session) == []


def test_any_state_is_found_by_its_proof(registry: Registry, an: int) -> None:
    master_key = secrets.token_bytes(32)
    with registry.write() as session:
        token = session.get_one(Token, an)
        proof = keys.token_proof(tokens.token_keys(master_key, token.uid).auth_key, b"h" * 16, b"t" * 16)
        for state in tokens.STATES:
            token.state = state
            session.flush()
            assert tokens.find_by_proof(session, master_key, b"h" * 16, b"t" * 16, proof) is token


def test_a_sync_keeps_what_the_token_told(registry: Registry, an: int) -> None:
    with registry.write() as session:
        sync_row(session, an, NOW_S, STATUS)
    with registry.read() as session:
        (known,) = last_known.of_tokens(session)
    told = known.told
    assert told is not None and told is known.sync
    assert (told.firmware, told.boot_id, told.uptime_ms, told.drift_ppm) == ("0.3.0", 4, 90_000, -40)
    assert (told.battery_mv, told.battery_state, told.lost_results) == (3900, 1, 2)
    assert (told.flash_bytes, told.flash_free_bytes) == (1_024_000, 512_000)


def test_an_old_token_tells_less_and_that_is_no_zero(registry: Registry, an: int) -> None:
    with registry.write() as session:
        sync_row(session, an, NOW_S, {"bo": 4, "up": 9, "lo": 0}, firmware="0.1.0")
    with registry.read() as session:
        told = last_known.of_tokens(session)[0].told
    assert told is not None
    assert (told.boot_id, told.lost_results) == (4, 0)
    assert [told.battery_mv, told.battery_state, told.flash_bytes, told.flash_free_bytes, told.drift_ppm] == [None] * 5


def test_the_latest_sync_is_by_time_and_the_latest_status_by_what_was_told(registry: Registry, an: int) -> None:
    """A courier's sync of last week comes in after today's, and one that was cut told nothing."""
    with registry.write() as session:
        other = tokens.create(session, "Chợ", secrets.token_bytes(8), "site", "virtual", NOW_S).id
        today = sync_row(session, an, NOW_S, STATUS)
        cut = sync_row(session, an, NOW_S + 5, done=False)
        last_week = sync_row(session, an, NOW_S - 600_000, STATUS)
    with registry.read() as session:
        known, never = last_known.of_tokens(session)
        story = last_known.story_of(session, tokens.by_known_label(session, AN), 2)
    assert known.sync is not None and known.told is not None
    assert (known.sync.id, known.told.id, known.seen_s) == (cut, today, NOW_S + 5)
    assert (never.token.id, never.sync, never.told, never.seen_s) == (other, None, None, None)
    assert [sync.id for sync in story.syncs] == [cut, today] and last_week not in [sync.id for sync in story.syncs]
    assert (story.known.sync, story.known.told) == (story.syncs[0], story.syncs[1])
