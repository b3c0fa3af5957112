"""One open cable: requests that are asked again when the line was noisy, and the session that proves both sides.

Every command of the token may be asked twice without harm (reads go by cursor, acknowledgements by number), so a lost
answer is simply asked for again under a new counter. `ask` and `answer` are the two halves of a command for those who
keep more than one on its way (`log_reader`); they repeat nothing.
"""

import asyncio
import logging
import secrets
import struct
import termios
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast

from pydantic import ValidationError
from smp import header as smp_header
from smp.error import MGMT_ERR, ErrorV1, ErrorV2
from smp.exceptions import SMPException
from smp.message import WriteResponse
from smpclient import SMPClient
from smpclient.exceptions import SMPBadSequence, SMPClientException
from smpclient.generics import success
from smpclient.transport import SMPTransportDisconnected

from bztoken.errors import LinkError
from bztoken.link import requests
from bztoken.link.refusals import AnswerLost, LineNoisy, NotAToken, TokenRefused, TokenTooOld
from bztoken.link.requests import TokenRefusal, TokenRequest
from bztoken.link.transport import TokenTransport
from bzwire import keys, messages
from bzwire.errors import WireError

TIMEOUT_S = 2.0
TRIES = 5
# A token that sleeps is deaf to its cable for up to 30 s (SPEC.md "When the radio is on").
WAKE_S = 40.0
TOLD_AFTER_S = 3.0

_log = logging.getLogger(__name__)

# A damaged answer shows itself as any of these; one that is too short for its CRC as struct.error.
_NOISE = (TimeoutError, SMPException, SMPClientException, ValidationError, struct.error, ValueError, WireError)
# A port that is gone, as its many layers say it; to be caught after _NOISE, for TimeoutError is an OSError.
_GONE = (SMPTransportDisconnected, OSError, termios.error)


@dataclass(frozen=True)
class Info:
    """What a token tells anybody."""

    protocol: int
    firmware: str
    board: str
    provisioned: bool
    clock_state: int
    safe_mode: bool
    read_bytes: int = messages.OLD_MAX_READ_BYTES  # most that one READ gives
    mpy: int | None = None  # the interpreter's build; None before 0.3
    erasing: bool = False  # wiped, and still writing over what was deleted
    hardware: bytes = b""  # the chip's own number, of a blank token only; empty before 0.4
    development: bool = False  # its cable leads to a prompt, and so to its keys: a developer's board


@dataclass(frozen=True)
class Question:
    """A command of the session on its way to the token."""

    number: int
    counter: int
    request: requests.SealedRequest


@dataclass(frozen=True)
class Challenge:
    """A token's proof, to be matched against the keys of a registry."""

    host_nonce: bytes
    token_nonce: bytes
    proof: bytes


def _loaded(request: requests.SealedRequest, frame: bytes) -> requests.SealedResponse:
    """The answer in a frame. Raises TokenRefused for a refusal, what pydantic raises for anything else."""
    with suppress(ValidationError):  # then it is a refusal, or nothing
        return requests.SealedResponse.loads(frame)
    try:
        refused: Any = request._ErrorV2.loads(frame)
        raise TokenRefused(refused.err.rc)
    except ValidationError:
        request._ErrorV1.loads(frame)
        raise TokenRefused(None) from None


def _stumbled(answer: object) -> bool:
    """True for "unknown error": the token could not serve this request just now, for want of memory perhaps."""
    return isinstance(answer, ErrorV1) and answer.rc == MGMT_ERR.EUNKNOWN


class TokenLink:
    """An open port with a token behind it; use as an async context manager.

    courier: number and last UTC day of a courier's pass, when a courier's computer asks.
    """

    def __init__(self, port: str, courier: tuple[bytes, int] | None = None) -> None:
        self.port = port
        self._courier = courier
        self._transport = TokenTransport()
        self._client = SMPClient(self._transport, port, TIMEOUT_S)
        self._session = b""
        self._counter = 0
        self._auth_key = b""
        self._heard = False  # something came from the port, understood or not; answers that came too late do not count
        self.repeats = 0  # requests that had to be asked again

    async def __aenter__(self) -> Self:
        try:
            with suppress(*_NOISE):  # the port is open by then; the first question shows whether a token answers
                await self._client.connect(TIMEOUT_S)
        except _GONE:
            await self._client.disconnect()
            raise LinkError(self._pulled_out()) from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.disconnect()

    def _not_a_token(self) -> str:
        return (
            f"The device at {self.port} does not answer as a token: check that it is one, that it is switched on, and "
            "that it was flashed (`bztoken flash`)."
        )

    def _pulled_out(self) -> str:
        return (
            f"The cable at {self.port} was pulled out: what was read so far is safe, plug in and run the command again."
        )

    # -- one request ---------------------------------------------------------------------------------------------
    async def _ask(self, make: Callable[[], TokenRequest], tries: int = TRIES) -> WriteResponse:
        """The answer to a request, asked up to `tries` times. Raises TokenRefused or LinkError."""
        for attempt in range(tries):
            if attempt:
                self.repeats += 1
                await self._start_over(attempt)
            try:
                answer: Any = await self._client.request(cast(Any, make()), TIMEOUT_S)
            except SMPBadSequence:  # the answer to an earlier request, from something slow that may well be a token
                continue
            except _NOISE as noise:
                self._heard |= not isinstance(noise, TimeoutError) or not self._transport.is_silent
                continue
            except _GONE:
                raise LinkError(self._pulled_out()) from None
            self._heard = True
            if _stumbled(answer) and attempt < tries - 1:
                continue
            if success(answer):
                return cast(WriteResponse, answer)
            raise self._refusal(answer)
        raise LineNoisy(self._not_a_token() if not self._session else self._silent())

    def _silent(self) -> str:
        return f"The token at {self.port} stopped answering: what was read so far is safe, plug it in again and repeat."

    async def _start_over(self, attempt: int) -> None:
        """Reopen the port: answers that come late must not be taken for the next one."""
        await self._client.disconnect()
        await asyncio.sleep(0.02 * 2**attempt)
        try:
            await self._client.connect(TIMEOUT_S)
        except _NOISE:
            return  # the next try shows whether the line got better
        except (LinkError, *_GONE):
            raise LinkError(self._pulled_out()) from None

    @staticmethod
    def _refusal(answer: object) -> TokenRefused:
        if isinstance(answer, ErrorV2) and isinstance(answer.err.rc, TokenRefusal):
            return TokenRefused(answer.err.rc)
        return TokenRefused(None)

    # -- public commands -----------------------------------------------------------------------------------------
    async def info(self) -> Info:
        """Waits up to `WAKE_S` for a token that sleeps. Raises NotAToken, or LinkError when the cable fails."""
        try:
            answer = await self._first_answer()
        except (TokenRefused, LineNoisy):
            raise NotAToken(self._not_a_token()) from None
        assert isinstance(answer, requests.InfoResponse)
        if answer.p != messages.PROTOCOL_VERSION:
            raise LinkError(
                f"The token speaks version {answer.p} of the link, this program version {messages.PROTOCOL_VERSION}: "
                "update the older one."
            )
        told = (answer.p, answer.fw, answer.b, answer.pr, answer.ck, answer.sm, answer.rb, answer.mp, answer.er)
        return Info(*told, development=answer.dv, hardware=answer.hw)

    async def _first_answer(self) -> WriteResponse:
        """The answer to INFO. A port from which nothing at all comes is asked until a token must have woken up."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + WAKE_S
        told = loop.call_later(TOLD_AFTER_S, self._tell_asleep)
        try:
            while True:
                try:
                    return await self._ask(requests.Info, tries=2)
                except LineNoisy:
                    if self._heard or loop.time() >= until_s:
                        raise
                await self._start_over(1)
        finally:
            told.cancel()

    def _tell_asleep(self) -> None:
        if not self._heard:
            _log.warning("Waiting for the token to wake up; a short press of its button helps.")

    async def provision(self, uid: bytes, auth_key: bytes, first_log_key: bytes, role: str) -> None:
        """Give a blank token its number and keys. Raises TokenRefused when it has some.

        Asked once only: a lost answer must be told apart from a token that had keys before.
        """
        await self._ask(lambda: requests.Provision(u=uid, k=auth_key, l=first_log_key, r=role), tries=1)

    async def challenge(self) -> Challenge:
        """Ask the token for a proof that says nothing to those who do not hold its key."""
        host_nonce = secrets.token_bytes(keys.NONCE_BYTES)
        answer = await self._ask(lambda: self._hello(host_nonce))
        assert isinstance(answer, requests.HelloResponse)
        return Challenge(host_nonce, answer.nt, answer.m)

    def _hello(self, host_nonce: bytes) -> requests.Hello:
        if self._courier is None:
            return requests.Hello(nh=host_nonce)
        return requests.CourierHello(nh=host_nonce, ci=self._courier[0], cd=self._courier[1])

    async def open_session(self, challenge: Challenge, auth_key: bytes) -> None:
        """Prove the host's side; the token's proof must have been checked against this key.

        A challenge serves once, so a lost answer means a new one. Raises TokenRefused or LinkError.
        """
        for _ in range(TRIES):
            proof = keys.host_proof(auth_key, challenge.host_nonce, challenge.token_nonce)
            try:
                await self._ask(lambda proof=proof: requests.Authenticate(m=proof), tries=1)  # type: ignore[misc]
                break
            except LineNoisy:
                challenge = await self._challenge_of(auth_key)
            except TokenRefused as refused:
                if refused.code != TokenRefusal.NOT_AUTHENTICATED:
                    raise
                challenge = await self._challenge_of(auth_key)
        else:
            raise LineNoisy(self._silent())
        self._session = keys.session_key(auth_key, challenge.host_nonce, challenge.token_nonce)
        self._counter = 0
        self._auth_key = auth_key

    async def _challenge_of(self, auth_key: bytes) -> Challenge:
        """A challenge that this very token answered."""
        challenge = await self.challenge()
        if not keys.same(keys.token_proof(auth_key, challenge.host_nonce, challenge.token_nonce), challenge.proof):
            raise LinkError("Another token was plugged in meanwhile: what was read so far is safe, start again.")
        return challenge

    # -- sealed commands -----------------------------------------------------------------------------------------
    async def command(self, number: int, **fields: Any) -> dict[str, Any]:
        """Run a command of the session and return the answer's fields. Raises TokenRefused or LinkError.

        A token that restarted in between is greeted again once. One that does not have the command: TokenTooOld.
        """
        try:
            return await self._sealed(number, fields)
        except TokenRefused as refused:
            if refused.code == TokenRefusal.BAD_REQUEST and number in requests.LATER:
                raise TokenTooOld from None
            if refused.code not in (TokenRefusal.NOT_AUTHENTICATED, TokenRefusal.BAD_MAC):
                raise
            await self.open_session(await self._challenge_of(self._auth_key), self._auth_key)
            return await self._sealed(number, fields)

    async def _sealed(self, number: int, fields: dict[str, Any]) -> dict[str, Any]:
        for _ in range(TRIES):
            answer = await self._ask(lambda: self._question(number, fields).request)
            found = self._opened(number, self._counter, answer)
            if found is not None:
                return found
            self.repeats += 1
        raise LinkError("The token's answers do not carry its proof: the line is bad, or somebody is in between.")

    def _question(self, number: int, fields: dict[str, Any]) -> Question:
        """The next request of the session, under a counter of its own."""
        self._counter += 1
        envelope = messages.seal(self._session, messages.REQUEST, number, self._counter, fields)
        request = requests.SEALED[number](c=envelope["c"], b=envelope["b"], m=envelope["m"])
        return Question(number, self._counter, request)

    def _opened(self, number: int, counter: int, answer: WriteResponse) -> dict[str, Any] | None:
        """The fields of a sealed answer; None when it does not carry the token's proof for this counter."""
        assert isinstance(answer, requests.SealedResponse)
        envelope = {"c": answer.c, "b": answer.b, "m": answer.m}
        try:
            answered, found = messages.unseal(self._session, messages.RESPONSE, number, envelope)
        except WireError:
            return None
        return found if answered == counter else None

    # -- the two halves of a command -------------------------------------------------------------------------------
    async def ask(self, number: int, **fields: Any) -> Question:
        """Send a command of the session; its answer is to be taken by `answer`, in the order of asking.

        Raises AnswerLost or LinkError.
        """
        question = self._question(number, fields)
        try:
            await self._transport.send(question.request.BYTES)
        except _NOISE:
            raise AnswerLost(self._silent()) from None
        except _GONE:
            raise LinkError(self._pulled_out()) from None
        return question

    async def answer(self, question: Question) -> dict[str, Any]:
        """The fields of the answer to the oldest question without one. Raises AnswerLost, TokenRefused or LinkError."""
        request = question.request
        try:
            async with asyncio.timeout(TIMEOUT_S):
                frame = await self._transport.receive()
            if smp_header.Header.loads(frame[: smp_header.Header.SIZE]).sequence != request.header.sequence:
                raise AnswerLost(self._silent())
            found = self._opened(question.number, question.counter, _loaded(request, frame))
        except _NOISE:
            raise AnswerLost(self._silent()) from None
        except _GONE:
            raise LinkError(self._pulled_out()) from None
        if found is None:
            raise AnswerLost(self._silent())
        return found

    async def forget_answers(self) -> None:
        """Reopen the port, so that answers still on their way are not taken for those of later questions."""
        self.repeats += 1
        await self._start_over(1)
