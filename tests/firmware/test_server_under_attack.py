"""Whatever comes in over the cable: an error number or silence, and the token goes on answering."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.firmware.bench import BLUE_PIN, BUTTON_PIN, START_DAY, START_S, Bench, Refused, Wearer
from tests.firmware.script_board import ScriptBoard

from bzvirtual.application import Application
from bzwire import cbor, keys, messages, smp
from bzwire.errors import (
    MGMT_EACCESSDENIED,
    MGMT_EINVAL,
    MGMT_ENOTSUP,
    RC_ALREADY_PROVISIONED,
    RC_BAD_MAC,
    RC_BAD_REQUEST,
    RC_NOT_AUTHENTICATED,
    RC_NOT_PROVISIONED,
    RC_REPLAY,
)

SEALED = range(messages.CMD_STATUS, messages.CMD_READ_RELEASE + 1)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, app: Application) -> Bench:
    made = Bench(tmp_path_factory.mktemp("attacked"), app)
    made.hand_out("attacked")
    yield made
    made.close()


@pytest.fixture
def wearer(bench: Bench) -> Wearer:
    """A token with an open session, that must still answer and be on its first boot when the test is over."""
    attacked = bench.wearers[0]
    attacked.open_session()
    yield attacked
    attacked.open_session()
    assert attacked.status()["bo"] == 1


def refusal(act: Callable[[], object]) -> int:
    with pytest.raises(Refused) as refused:
        act()
    return int(refused.value.code)


def raw(wearer: Wearer, body: bytes, group: int = smp.GROUP_TOKEN, command: int = 0, version: int = 1) -> object:
    return wearer.bench.request(wearer.token, smp.OP_WRITE, group, command, body, version)


BROKEN_BODIES = [
    b"\xa1", b"\xa1\x61", b"\xbf\xff", b"\x01", b"\x80", b"\x60", b"\xa0\x00", b"\xff", b"\xa1\x40\x00",
    b"\xfb" + bytes(8), b"\xa1\x61a\x81\x81\x81\x81\x81\x81\x00", b"\x5a\xff\xff\xff\xff", b"\xba\xff\xff\xff\xff",
    b"\xa2\x61a\x00\x61a\x00",
]  # fmt: skip


@pytest.mark.parametrize("body", BROKEN_BODIES, ids=lambda body: body.hex())
@pytest.mark.parametrize("version", [smp.VERSION_1, smp.VERSION_2])
def test_a_body_that_is_no_map_is_invalid(wearer: Wearer, body: bytes, version: int) -> None:
    for group in (smp.GROUP_OS, smp.GROUP_TOKEN):
        assert refusal(lambda group=group: raw(wearer, body, group, 0, version)) == MGMT_EINVAL


@pytest.mark.parametrize("group", [1, 2, 63, 65, smp.GROUP_TOKEN + 1, 0xFFFF])
def test_an_unknown_group_is_not_supported(wearer: Wearer, group: int) -> None:
    assert refusal(lambda: raw(wearer, cbor.dumps({}), group)) == MGMT_ENOTSUP


@pytest.mark.parametrize("command", [1, 2, 3, 7, 255])
def test_an_unknown_command_of_the_os_group_is_not_supported(wearer: Wearer, command: int) -> None:
    assert refusal(lambda: raw(wearer, cbor.dumps({}), smp.GROUP_OS, command)) == MGMT_ENOTSUP


@pytest.mark.parametrize("command", [messages.CMD_READ_SELF_TEST + 1, 64, 255])
def test_an_unknown_command_of_the_token_group_is_a_bad_request(wearer: Wearer, command: int) -> None:
    assert refusal(lambda: wearer.plain(command, {})) == RC_BAD_REQUEST
    assert refusal(lambda: wearer.ask(command)) == RC_BAD_REQUEST


def test_a_version_1_client_gets_its_error_the_old_way(wearer: Wearer) -> None:
    packed = smp.Message(smp.OP_WRITE, smp.GROUP_TOKEN, messages.CMD_READ, 9, cbor.dumps({}), smp.VERSION_1).pack()
    answer = smp.unpack_message(wearer.bench.lockstep.exchange(wearer.token, packed))
    assert (answer.version, answer.sequence) == (smp.VERSION_1, 9)
    assert cbor.loads(answer.body) == {"rc": RC_BAD_REQUEST}


WRONG_VALUES = [None, True, -1, 0, 2**64 - 1, "", "x" * 20, b"", b"x" * 33, [], {}, [[[1]]]]


@pytest.mark.parametrize("command", range(10))
@pytest.mark.parametrize("value", WRONG_VALUES, ids=repr)
def test_fields_of_a_wrong_type_are_refused_with_a_number_of_ours(wearer: Wearer, command: int, value: object) -> None:
    expected = {RC_BAD_REQUEST, RC_ALREADY_PROVISIONED, RC_BAD_MAC, RC_NOT_AUTHENTICATED}
    for names in ("unkm", "rlcb", "tso", "fd"):  # all at once are more than a request holds
        if command == messages.CMD_INFO:
            assert wearer.plain(command, dict.fromkeys(names, value))["p"] == messages.PROTOCOL_VERSION
        else:
            assert refusal(lambda names=names: wearer.plain(command, dict.fromkeys(names, value))) in expected


@pytest.mark.parametrize(
    "command", [messages.CMD_READ, messages.CMD_ACKNOWLEDGE, messages.CMD_SET_CLOCK, messages.CMD_ASK_RELEASE]
)
@pytest.mark.parametrize("value", [*WRONG_VALUES[:3], *WRONG_VALUES[4:]], ids=repr)
def test_sealed_fields_of_a_wrong_type_are_bad_requests(wearer: Wearer, command: int, value: object) -> None:
    for names in ("son", "ft"):
        assert refusal(lambda names=names: wearer.ask(command, dict.fromkeys(names, value))) == RC_BAD_REQUEST


def garbage(seed: int) -> bytes:
    draw = random.Random(seed)
    kind = seed % 4
    if kind == 0:
        return draw.randbytes(4096)
    if kind == 1:
        return b"".join(smp.encode_lines(draw.randbytes(draw.randrange(8, 600))))
    if kind == 2:
        return smp.LINE_START * 500 + b"\n" * 500 + smp.LINE_NEXT * 500
    good = b"".join(smp.encode_lines(smp.Message(2, smp.GROUP_TOKEN, 0, 1, cbor.dumps({})).pack()))
    damaged = bytearray(good * 20)
    for _ in range(30):
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
    return bytes(damaged)


@pytest.mark.parametrize("seed", range(12))
def test_garbage_on_the_line_does_not_stop_the_next_request(wearer: Wearer, seed: int) -> None:
    token = wearer.token
    token.process.write_console(garbage(seed) + b"\n")
    wearer.bench.lockstep.exchange(token, smp.Message(0, 0, smp.OS_PARAMETERS, 1, b"").pack(), patience=200)
    token.process.read_console()
    answer = wearer.bench.request(token, smp.OP_WRITE, smp.GROUP_OS, smp.OS_ECHO, cbor.dumps({"d": "still there"}))
    assert answer == {"r": "still there"}


def test_a_message_longer_than_the_buffer_is_dropped_in_silence(wearer: Wearer) -> None:
    lockstep = wearer.bench.lockstep
    long = smp.Message(smp.OP_WRITE, smp.GROUP_OS, smp.OS_ECHO, 1, cbor.dumps({"d": "x" * 4000})).pack()
    wearer.token.process.write_console(b"".join(smp.encode_lines(long)))
    wearer.bench.live(1)
    assert wearer.token.process.read_console() == b""
    parameters = wearer.bench.request(wearer.token, smp.OP_READ, smp.GROUP_OS, smp.OS_PARAMETERS, b"")
    assert parameters == {"buf_size": smp.MAX_REQUEST_BYTES, "buf_count": 1}
    fits = cbor.dumps({"d": "x" * (parameters["buf_size"] - smp.HEADER_BYTES - 5)})
    packed = smp.Message(smp.OP_WRITE, smp.GROUP_OS, smp.OS_ECHO, 1, fits).pack()
    assert len(packed) == smp.MAX_REQUEST_BYTES
    assert lockstep.exchange(wearer.token, packed)


def test_an_answer_is_no_request(wearer: Wearer) -> None:
    for op in (smp.OP_READ_RESPONSE, smp.OP_WRITE_RESPONSE, 4, 7):
        packed = smp.Message(op, smp.GROUP_OS, smp.OS_ECHO, 1, cbor.dumps({"d": "x"})).pack()
        wearer.token.process.write_console(b"".join(smp.encode_lines(packed)))
    wearer.bench.live(1)
    assert wearer.token.process.read_console() == b""


# -- sessions -------------------------------------------------------------------------------------------------------
def test_a_counter_is_taken_once_and_only_upwards(wearer: Wearer) -> None:
    def sealed(counter: int) -> dict[str, object]:
        return messages.seal(wearer.session, messages.REQUEST, messages.CMD_STATUS, counter, {})

    wearer.plain(messages.CMD_STATUS, sealed(5))
    for counter in (5, 4, 1, 0):
        assert refusal(lambda counter=counter: wearer.plain(messages.CMD_STATUS, sealed(counter))) == RC_REPLAY
    wearer.plain(messages.CMD_STATUS, sealed(6))
    wearer.plain(messages.CMD_STATUS, sealed(messages.MAX_COUNTER))
    assert refusal(lambda: wearer.plain(messages.CMD_STATUS, sealed(messages.MAX_COUNTER))) == RC_REPLAY


def test_a_sealed_message_is_good_for_its_own_command_and_direction_only(wearer: Wearer) -> None:
    status = messages.seal(wearer.session, messages.REQUEST, messages.CMD_STATUS, 1, {})
    assert refusal(lambda: wearer.plain(messages.CMD_READ_RELEASE, status)) == RC_BAD_MAC
    answer = messages.seal(wearer.session, messages.RESPONSE, messages.CMD_STATUS, 2, {})
    assert refusal(lambda: wearer.plain(messages.CMD_STATUS, answer)) == RC_BAD_MAC
    forged = messages.seal(bytes(32), messages.REQUEST, messages.CMD_STATUS, 3, {})
    assert refusal(lambda: wearer.plain(messages.CMD_STATUS, forged)) == RC_BAD_MAC
    wearer.status()  # none of them used the counter up


@pytest.mark.parametrize("command", SEALED)
def test_a_hello_ends_the_session_before_it(wearer: Wearer, command: int) -> None:
    envelope = messages.seal(wearer.session, messages.REQUEST, command, 1, {})
    wearer.plain(messages.CMD_HELLO, {"nh": bytes(16)})
    assert refusal(lambda: wearer.plain(command, envelope)) == RC_NOT_AUTHENTICATED


def test_a_challenge_serves_once_and_a_wrong_proof_spoils_it(wearer: Wearer) -> None:
    auth = wearer.identity.auth_key
    refused_before = wearer.status()["rp"]
    hello = wearer.plain(messages.CMD_HELLO, {"nh": bytes(16)})
    proof = keys.host_proof(auth, bytes(16), hello["nt"])
    wrong = proof[:-1] + bytes([proof[-1] ^ 1])
    assert refusal(lambda: wearer.plain(messages.CMD_AUTHENTICATE, {"m": wrong})) == RC_BAD_MAC
    assert refusal(lambda: wearer.plain(messages.CMD_AUTHENTICATE, {"m": proof})) == RC_NOT_AUTHENTICATED
    assert refusal(lambda: wearer.plain(messages.CMD_AUTHENTICATE, {"m": hello["m"]})) == RC_NOT_AUTHENTICATED
    again = wearer.plain(messages.CMD_HELLO, {"nh": bytes(16)})
    assert again["nt"] != hello["nt"]
    assert refusal(lambda: wearer.plain(messages.CMD_AUTHENTICATE, {"m": again["m"]})) == RC_BAD_MAC
    wearer.open_session()
    assert wearer.status()["rp"] == refused_before + 2


def test_a_provisioned_token_takes_no_second_identity(wearer: Wearer) -> None:
    fields = {"u": bytes(8), "k": bytes(32), "l": bytes(32), "r": "person"}
    assert refusal(lambda: wearer.plain(messages.CMD_PROVISION, fields)) == RC_ALREADY_PROVISIONED
    assert wearer.status()["u"] == wearer.identity.uid


def test_what_is_public_does_not_tell_who_the_token_is(wearer: Wearer) -> None:
    info = wearer.plain(messages.CMD_INFO, {})
    hello = wearer.plain(messages.CMD_HELLO, {"nh": bytes(16)})
    assert set(info) == {"p", "fw", "b", "pr", "ck", "sm", "rb", "mp"}
    assert wearer.identity.uid not in cbor.dumps(info) + cbor.dumps(hello)


def test_a_stranger_cannot_set_the_clock(wearer: Wearer) -> None:
    body = cbor.dumps({"datetime": "2026-12-24T18:00:00+00:00"})
    wearer.plain(messages.CMD_HELLO, {"nh": bytes(16)})
    assert refusal(lambda: raw(wearer, body, smp.GROUP_OS, smp.OS_DATETIME)) == MGMT_EACCESSDENIED
    wearer.open_session()
    assert wearer.status()["t"] / 1000 == pytest.approx(START_S, abs=3600)


@pytest.mark.parametrize("command", [messages.CMD_HELLO, messages.CMD_AUTHENTICATE])
def test_a_blank_token_has_no_session_to_give(tmp_path: Path, app: Application, command: int) -> None:
    own = Bench(tmp_path, app)
    blank = own.add("blank")
    assert refusal(lambda: blank.plain(command, {"nh": bytes(16), "m": bytes(16)})) == RC_NOT_PROVISIONED
    own.close()


# -- consent --------------------------------------------------------------------------------------------------------
def hold_button(wearer: Wearer, seconds: float) -> None:
    wearer.bench.lockstep.press_button(wearer.token, BUTTON_PIN, 0)
    wearer.bench.live(seconds)
    wearer.bench.lockstep.press_button(wearer.token, BUTTON_PIN, 1)
    wearer.bench.live(0.2)


def released(wearer: Wearer) -> dict[str, object]:
    return wearer.ask(messages.CMD_READ_RELEASE)


def ask_release(wearer: Wearer) -> None:
    wearer.ask(messages.CMD_ASK_RELEASE, {"f": 0, "t": 1 << 20})
    wearer.bench.live(1)


def test_day_keys_leave_only_after_the_button_was_held_while_the_light_asks(wearer: Wearer) -> None:
    hold_button(wearer, 4)  # before the question: no answer to it
    wearer.light.clear()
    ask_release(wearer)
    assert released(wearer) == {"st": messages.RELEASE_WAITING}
    assert any(pin == BLUE_PIN and level for _, pin, level in wearer.light)
    hold_button(wearer, 2.5)
    assert released(wearer) == {"st": messages.RELEASE_WAITING}
    hold_button(wearer, 3.5)
    answer = released(wearer)
    assert answer["st"] == messages.RELEASE_GRANTED
    assert dict(answer["k"]) == wearer.day_keys()
    assert [day for day, _ in answer["k"]] == [START_DAY]


def test_silence_for_a_minute_is_no(wearer: Wearer) -> None:
    ask_release(wearer)
    wearer.bench.live(61)
    hold_button(wearer, 4)
    assert released(wearer) == {"st": messages.RELEASE_NONE}


def test_a_yes_is_good_for_the_session_that_asked_only(wearer: Wearer) -> None:
    ask_release(wearer)
    hold_button(wearer, 3.5)
    wearer.open_session()
    assert released(wearer) == {"st": messages.RELEASE_NONE}


def test_a_button_held_since_before_the_question_is_no_yes(wearer: Wearer) -> None:
    wearer.bench.lockstep.press_button(wearer.token, BUTTON_PIN, 0)
    wearer.bench.live(1)
    ask_release(wearer)
    wearer.bench.live(10)
    assert released(wearer) == {"st": messages.RELEASE_WAITING}
    wearer.bench.lockstep.press_button(wearer.token, BUTTON_PIN, 1)
    wearer.bench.live(1)
    assert released(wearer) == {"st": messages.RELEASE_WAITING}


# -- what must never happen, provoked -------------------------------------------------------------------------------
DEAD_TASK = """
from bzfw import app, hal_esp32

class FailingHal(hal_esp32.Esp32Hal):
    async def scan(self, duration_ms):
        raise ValueError("the radio is gone")

app.start(lambda: FailingHal(hal_esp32.read_board_file("/rom/board.json")), hal_esp32.restart)
"""

FAILING_HANDLER = """
from bzfw import app, hal_esp32

class FailingHal(hal_esp32.Esp32Hal):
    def random_bytes(self, count):
        raise ZeroDivisionError("no noise")

app.start(lambda: FailingHal(hal_esp32.read_board_file("/rom/board.json")), hal_esp32.restart)
"""


def firmware_with(board: Callable[..., ScriptBoard], tmp_path: Path, script: str) -> Wearer:
    """A token whose hardware fails: the firmware over a HAL that raises."""
    own = Bench(tmp_path / "own", board("").application)
    return own.add("failing", app=board(script, start=False).application)


def test_a_task_that_dies_restarts_the_board(tmp_path: Path, board: Callable[..., ScriptBoard]) -> None:
    wearer = firmware_with(board, tmp_path, DEAD_TASK)
    wearer.provision()
    wearer.bench.live(600)
    assert b"the radio is gone" in wearer.token.process.read_console()
    wearer.open_session()
    assert wearer.status()["bo"] > 3
    wearer.bench.close()


def test_an_exception_nobody_foresaw_is_answered_as_unknown(tmp_path: Path, board: Callable[..., ScriptBoard]) -> None:
    wearer = firmware_with(board, tmp_path, FAILING_HANDLER)
    identity = wearer.identity
    fields = {"u": identity.uid, "k": identity.auth_key, "l": identity.first_log_key, "r": "person"}
    wearer.plain(messages.CMD_PROVISION, fields)
    assert refusal(lambda: wearer.plain(messages.CMD_HELLO, {"nh": bytes(16)})) == 1
    assert wearer.plain(messages.CMD_INFO, {})["pr"] is True
    wearer.bench.close()


def test_an_open_session_lets_no_bare_date_time_in(wearer: Wearer) -> None:
    text = cbor.dumps({"datetime": "2099-12-01T00:00:00"})
    code = refusal(lambda: wearer.bench.request(wearer.token, smp.OP_WRITE, smp.GROUP_OS, smp.OS_DATETIME, text))
    assert code == MGMT_EACCESSDENIED
    assert wearer.status()["t"] // 1000 == pytest.approx(wearer.bench.now_s, abs=2)


def test_a_press_for_one_question_does_not_answer_the_next(wearer: Wearer) -> None:
    bench = wearer.bench
    wearer.ask(messages.CMD_ASK_RELEASE, {"f": START_DAY, "t": START_DAY})
    bench.lockstep.press_button(wearer.token, BUTTON_PIN, 0)
    bench.live(2)
    wearer.ask(messages.CMD_ASK_RELEASE, {"f": START_DAY - 13, "t": START_DAY})
    bench.live(1.5)
    assert wearer.ask(messages.CMD_READ_RELEASE)["st"] == messages.RELEASE_WAITING
    bench.lockstep.press_button(wearer.token, BUTTON_PIN, 1)
    bench.live(1)
