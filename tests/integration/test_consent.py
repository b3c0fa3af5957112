"""Day keys leave a token only after the wearer's yes. In virtual time: a minute takes no minute."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bzvirtual import world
from bzvirtual.desk import Identity, identities_from_seed
from bzvirtual.fleet import FleetRun, token_of
from bzwire import cbor, keys, messages, smp
from bzwire.bluezone import DAY_S, KEY_BYTES, day_of
from bzwire.errors import RC_BAD_MAC, RC_NOT_AUTHENTICATED

WORLD = Path(__file__).parent / "worlds" / "pair.world"
START_S = 1_780_000_000 // DAY_S * DAY_S + 12 * 3600
BUTTON_PIN = 9
DOWN, UP = 0, 1
SECOND_US = 1_000_000


class Bedside:
    """A token in virtual time, a station with its key, and a finger on the button."""

    def __init__(self, run: FleetRun, identity: Identity) -> None:
        self._lockstep = run.lockstep
        self._token = token_of(run, "an")
        self._identity = identity
        self._greetings = 0
        self._counter = 0
        self._session = b""

    def live(self, seconds: float) -> None:
        """Time passes."""
        self._lockstep.run_until(self._lockstep.now_us + int(seconds * SECOND_US))

    def button(self, level: int) -> None:
        """Press or release."""
        self._lockstep.press_button(self._token, BUTTON_PIN, level)

    def hold(self, seconds: float) -> None:
        """Press, wait, release."""
        self.button(DOWN)
        self.live(seconds)
        self.button(UP)
        self.live(0.1)

    def plain(self, command: int, fields: dict[str, Any]) -> dict[str, Any]:
        """One request of the token group."""
        request = smp.Message(smp.OP_WRITE, smp.GROUP_TOKEN, command, 7, cbor.dumps(fields))
        return dict(cbor.loads(smp.unpack_message(self._lockstep.exchange(self._token, request.pack())).body))

    def greet(self) -> None:
        """A new session."""
        self._greetings += 1
        host_nonce = hashlib.sha256(bytes((self._greetings,))).digest()[: keys.NONCE_BYTES]
        hello = self.plain(messages.CMD_HELLO, {"nh": host_nonce})
        proof = keys.host_proof(self._identity.auth_key, host_nonce, hello["nt"])
        assert self.plain(messages.CMD_AUTHENTICATE, {"m": proof}) == {}
        self._session = keys.session_key(self._identity.auth_key, host_nonce, hello["nt"])
        self._counter = 0

    def sealed(self, command: int, **fields: int) -> dict[str, Any]:
        """One request of the session."""
        self._counter += 1
        envelope = messages.seal(self._session, messages.REQUEST, command, self._counter, fields)
        answer = self.plain(command, envelope)
        return messages.unseal(self._session, messages.RESPONSE, command, answer)[1]

    def ask(self) -> None:
        """The station asks for yesterday and today."""
        day = day_of(START_S)
        self.sealed(messages.CMD_ASK_RELEASE, f=day - 1, t=day)

    def answer(self) -> dict[str, Any]:
        """What the station is told."""
        return self.sealed(messages.CMD_READ_RELEASE)

    def state(self) -> int:
        """RELEASE_NONE, RELEASE_WAITING or RELEASE_GRANTED; keys come with a grant and never without."""
        answer = self.answer()
        assert ("k" in answer) == (answer["st"] == messages.RELEASE_GRANTED)
        return int(answer["st"])


@pytest.fixture
def bedside(tmp_path: Path) -> Iterator[Bedside]:
    place = world.load(str(WORLD))
    place.people = [person for person in place.people if person.name == "an"]
    identity = identities_from_seed(["Bà An"], 1)[1][0]
    run = FleetRun(tmp_path / "fleet", place, [identity], 1, START_S)
    try:
        run.prepare()
        found = Bedside(run, identity)
        found.live(70)
        found.greet()
        yield found
    finally:
        run.abandon()


def test_without_a_question_there_is_no_answer(bedside: Bedside) -> None:
    bedside.hold(5)
    assert bedside.state() == messages.RELEASE_NONE


def test_silence_is_no(bedside: Bedside) -> None:
    bedside.ask()
    bedside.live(58)
    assert bedside.state() == messages.RELEASE_WAITING
    bedside.live(3)
    assert bedside.state() == messages.RELEASE_NONE


@pytest.mark.parametrize("seconds", [0.1, 1, 2.8])
def test_a_short_press_is_no(bedside: Bedside, seconds: float) -> None:
    bedside.ask()
    bedside.hold(seconds)
    assert bedside.state() == messages.RELEASE_WAITING
    bedside.live(60)
    assert bedside.state() == messages.RELEASE_NONE


def test_short_presses_do_not_add_up(bedside: Bedside) -> None:
    bedside.ask()
    for _ in range(4):
        bedside.hold(1)
    assert bedside.state() == messages.RELEASE_WAITING


def test_a_held_button_releases_the_keys(bedside: Bedside) -> None:
    bedside.ask()
    bedside.hold(3.2)
    answer = bedside.answer()
    assert answer["st"] == messages.RELEASE_GRANTED
    assert [day for day, _ in answer["k"]] == [day_of(START_S)]
    assert all(len(key) == KEY_BYTES for _, key in answer["k"])


def test_a_yes_is_over_with_the_minute(bedside: Bedside) -> None:
    bedside.ask()
    bedside.hold(3.2)
    bedside.live(58)
    assert bedside.state() == messages.RELEASE_NONE


def test_a_button_that_was_down_before_the_question_is_no(bedside: Bedside) -> None:
    bedside.button(DOWN)
    bedside.live(0.5)
    bedside.ask()
    bedside.live(10)
    assert bedside.state() == messages.RELEASE_WAITING
    bedside.button(UP)
    bedside.live(0.2)
    assert bedside.state() == messages.RELEASE_WAITING
    bedside.hold(3.2)
    assert bedside.state() == messages.RELEASE_GRANTED


def test_a_button_held_over_the_end_of_the_minute_is_no(bedside: Bedside) -> None:
    bedside.ask()
    bedside.live(58)
    bedside.hold(5)
    assert bedside.state() == messages.RELEASE_NONE


def test_a_yes_is_for_the_session_that_asked(bedside: Bedside) -> None:
    bedside.ask()
    bedside.hold(3.2)
    bedside.greet()
    assert bedside.state() == messages.RELEASE_NONE


def test_a_question_ends_with_its_session(bedside: Bedside) -> None:
    bedside.ask()
    bedside.greet()
    bedside.hold(3.2)
    assert bedside.state() == messages.RELEASE_NONE


def test_a_stranger_who_greets_gets_nothing_of_a_yes(bedside: Bedside) -> None:
    bedside.ask()
    bedside.hold(3.2)
    bedside.plain(messages.CMD_HELLO, {"nh": bytes(keys.NONCE_BYTES)})
    for session, code in ((bytes(32), RC_NOT_AUTHENTICATED), (b"x" * 32, RC_NOT_AUTHENTICATED)):
        envelope = messages.seal(session, messages.REQUEST, messages.CMD_READ_RELEASE, 1, {})
        answer = bedside.plain(messages.CMD_READ_RELEASE, envelope)
        assert answer == {"err": {"group": smp.GROUP_TOKEN, "rc": code}}


def test_a_forged_request_does_not_get_the_keys_of_a_yes(bedside: Bedside) -> None:
    bedside.ask()
    bedside.hold(3.2)
    envelope = messages.seal(bytes(32), messages.REQUEST, messages.CMD_READ_RELEASE, 99, {})
    answer = bedside.plain(messages.CMD_READ_RELEASE, envelope)
    assert answer == {"err": {"group": smp.GROUP_TOKEN, "rc": RC_BAD_MAC}}
    assert bedside.state() == messages.RELEASE_GRANTED
