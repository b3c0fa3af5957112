"""A courier's computer at a token's cable: it reads, and does nothing else, until its last day is over."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.firmware.bench import DAY_S, START_DAY, START_S, Bench, Refused, Wearer

from bzvirtual.application import Application
from bzwire import keys, messages
from bzwire.errors import (
    RC_BAD_MAC,
    RC_BAD_REQUEST,
    RC_EXPIRED,
    RC_NOT_ALLOWED,
    RC_NOT_AUTHENTICATED,
    RC_NOT_PROVISIONED,
    RC_REPLAY,
)

NUMBER = bytes(range(8))
HOST_NONCE = bytes(range(16))
LAST_DAY = START_DAY + 30
FORBIDDEN = sorted(set(range(messages.CMD_STATUS, messages.CMD_UPDATE_FINISH + 1)) - set(messages.COURIER_COMMANDS))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, app: Application) -> Iterator[Bench]:
    """One token for all of this: none of it may harm it."""
    made = Bench(tmp_path_factory.mktemp("carried"), app)
    made.hand_out("carried")
    made.live(1300)  # a few pages
    yield made
    made.close()


@pytest.fixture
def wearer(bench: Bench) -> Iterator[Wearer]:
    """The token, which must still be on its first boot and serve its station when the test is over."""
    carried = bench.wearers[0]
    carried.plug()
    yield carried
    carried.open_session()
    assert carried.status()["bo"] == 1
    assert carried.ask(messages.CMD_ACKNOWLEDGE, {"s": 0})["a"] == 0


def refusal(act: Callable[[], object]) -> int:
    with pytest.raises(Refused) as refused:
        act()
    return int(refused.value.code)


def key_of(wearer: Wearer, number: bytes = NUMBER, last_day: int = LAST_DAY) -> bytes:
    return keys.courier_key(wearer.identity.auth_key, number, last_day)


def greet(wearer: Wearer, key: bytes, number: bytes = NUMBER, last_day: int = LAST_DAY) -> dict[str, bytes]:
    """HELLO and proof under this key; the answer to HELLO. Raises Refused."""
    hello = wearer.plain(messages.CMD_HELLO, {"nh": HOST_NONCE, "ci": number, "cd": last_day})
    wearer.plain(messages.CMD_AUTHENTICATE, {"m": keys.host_proof(key, HOST_NONCE, hello["nt"])})
    wearer.session = keys.session_key(key, HOST_NONCE, hello["nt"])
    wearer.counter = 0
    return hello


def test_a_courier_reads_what_a_station_reads(wearer: Wearer) -> None:
    hello = greet(wearer, key_of(wearer))
    assert hello["m"] == keys.token_proof(key_of(wearer), HOST_NONCE, hello["nt"])
    assert wearer.status()["u"] == wearer.identity.uid
    carried = wearer.read_log()
    wearer.open_session()
    assert wearer.read_log() == carried != b""


def test_the_number_of_the_chip_is_told_to_the_registry_only(wearer: Wearer) -> None:
    greet(wearer, key_of(wearer))
    assert "hw" not in wearer.status()
    wearer.open_session()
    assert wearer.status()["hw"] == wearer.token.process.mac
    assert len(wearer.token.process.mac) == 6


@pytest.mark.parametrize("command", FORBIDDEN)
def test_a_courier_may_do_nothing_else(wearer: Wearer, command: int) -> None:
    greet(wearer, key_of(wearer))
    fields = {"s": 1, "f": 0, "t": 1 << 20, "p": 1, "u": wearer.identity.uid}
    assert refusal(lambda: wearer.ask(command, fields)) == RC_NOT_ALLOWED
    assert wearer.status()["a"] == 0  # and the session goes on


def test_what_a_courier_may_not_do_is_told_only_after_its_proof(wearer: Wearer) -> None:
    greet(wearer, key_of(wearer))
    forged = messages.seal(bytes(32), messages.REQUEST, messages.CMD_ACKNOWLEDGE, 1, {"s": 1})
    assert refusal(lambda: wearer.plain(messages.CMD_ACKNOWLEDGE, forged)) == RC_BAD_MAC


def test_a_courier_cannot_set_a_clock_that_runs(wearer: Wearer) -> None:
    greet(wearer, key_of(wearer))
    assert refusal(lambda: wearer.set_clock(START_S + 10 * DAY_S)) == RC_NOT_ALLOWED
    assert abs(wearer.status()["t"] / 1000 - wearer.bench.now_s) < 2


def test_a_pass_that_was_prolonged_by_hand_is_none(wearer: Wearer) -> None:
    assert refusal(lambda: greet(wearer, key_of(wearer), last_day=LAST_DAY + 1)) == RC_BAD_MAC
    assert refusal(lambda: greet(wearer, key_of(wearer), last_day=messages.MAX_COUNTER)) == RC_BAD_MAC


def test_a_key_serves_its_own_courier_only(wearer: Wearer) -> None:
    assert refusal(lambda: greet(wearer, key_of(wearer), number=bytes(8))) == RC_BAD_MAC
    assert refusal(lambda: greet(wearer, wearer.identity.auth_key)) == RC_BAD_MAC


def test_a_courier_cannot_pass_for_a_station(wearer: Wearer) -> None:
    hello = wearer.plain(messages.CMD_HELLO, {"nh": HOST_NONCE})
    proof = keys.host_proof(key_of(wearer), HOST_NONCE, hello["nt"])
    assert refusal(lambda: wearer.plain(messages.CMD_AUTHENTICATE, {"m": proof})) == RC_BAD_MAC


def test_the_last_day_counts_and_the_day_after_does_not(wearer: Wearer) -> None:
    greet(wearer, key_of(wearer, last_day=START_DAY), last_day=START_DAY)
    assert wearer.status()["u"] == wearer.identity.uid
    over = START_DAY - 1
    assert refusal(lambda: greet(wearer, key_of(wearer, last_day=over), last_day=over)) == RC_EXPIRED


@pytest.mark.parametrize(
    "fields",
    [
        {"ci": NUMBER},
        {"cd": LAST_DAY},
        {"ci": NUMBER[:-1], "cd": LAST_DAY},
        {"ci": "01234567", "cd": LAST_DAY},
        {"ci": NUMBER, "cd": -1},
        {"ci": NUMBER, "cd": 1 << 32},
        {"ci": NUMBER, "cd": True},
        {"ci": None, "cd": None},
    ],
)
def test_half_a_pass_is_a_bad_request(wearer: Wearer, fields: dict[str, object]) -> None:
    assert refusal(lambda: wearer.plain(messages.CMD_HELLO, {"nh": HOST_NONCE, **fields})) == RC_BAD_REQUEST


def test_a_stations_session_is_free_again_after_a_courier(wearer: Wearer) -> None:
    greet(wearer, key_of(wearer))
    wearer.open_session()
    assert wearer.ask(messages.CMD_SETTINGS)["rd"] > 0
    assert wearer.ask(messages.CMD_ACKNOWLEDGE, {"s": 0})["a"] == 0


def test_a_recorded_courier_session_serves_nobody(wearer: Wearer) -> None:
    hello = greet(wearer, key_of(wearer))
    envelope = messages.seal(wearer.session, messages.REQUEST, messages.CMD_READ, 1, {"s": 1, "o": 0, "n": 50})
    wearer.plain(messages.CMD_READ, envelope)
    assert refusal(lambda: wearer.plain(messages.CMD_READ, envelope)) == RC_REPLAY
    again = wearer.plain(messages.CMD_HELLO, {"nh": HOST_NONCE, "ci": NUMBER, "cd": LAST_DAY})
    assert again["nt"] != hello["nt"]
    old_proof = keys.host_proof(key_of(wearer), HOST_NONCE, hello["nt"])
    assert refusal(lambda: wearer.plain(messages.CMD_AUTHENTICATE, {"m": old_proof})) == RC_BAD_MAC
    assert refusal(lambda: wearer.plain(messages.CMD_READ, envelope)) == RC_NOT_AUTHENTICATED


def test_a_token_whose_clock_was_lost_takes_the_time_from_a_courier_once(tmp_path: Path, app: Application) -> None:
    own = Bench(tmp_path, app)
    lost = own.add("lost")
    fields = {"u": lost.identity.uid, "k": lost.identity.auth_key, "l": lost.identity.first_log_key, "r": "person"}
    hello = {"nh": HOST_NONCE, "ci": NUMBER, "cd": LAST_DAY}
    assert refusal(lambda: lost.plain(messages.CMD_HELLO, hello)) == RC_NOT_PROVISIONED
    lost.plain(messages.CMD_PROVISION, fields)
    greet(lost, key_of(lost, last_day=0), last_day=0)  # without a time no day is over
    assert lost.status()["ck"] == 0
    greet(lost, key_of(lost))
    lost.set_clock(START_S + 60)
    assert refusal(lambda: lost.set_clock(START_S + 120)) == RC_NOT_ALLOWED
    assert lost.status()["ck"] == 1
    own.close()
