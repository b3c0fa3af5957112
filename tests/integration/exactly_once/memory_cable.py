"""A cable between smpclient and a token in virtual time, without a pseudo terminal: what is written is in the token's
260 bytes of input, and the token runs when the host next looks for an answer.

All above pyserial is the real thing. Faults are those of `tests.integration.line`; a cut takes the port away.
"""

import errno
from collections.abc import Callable
from typing import Any

from serial import SerialException
from tests.integration.line import Cut, Fault, clean

from bztoken.link.transport import TokenTransport
from bzvirtual.lockstep import Lockstep, Token
from bzvirtual.serial_line import CONSOLE_BYTES
from bzwire import smp

PORT = "/dev/ttyMEMORY0"
POLLING_S = 0.1  # steps in which an answer is waited for: long ones, for a lost one costs them all
# Sees a message before the one that it is for.
OnMessage = Callable[[smp.Message], None]


def see_nothing(_request: smp.Message) -> None:
    """Nobody looks."""


class MemoryCable:
    """One plugging in: `transport` is what TokenLink wants to make. passed: bytes that the sender sent.

    on_request is told each whole request as it arrives at the token, on_answer each answer as it arrives at the host.
    """

    def __init__(
        self,
        lockstep: Lockstep,
        token: Token,
        to_token: Fault = clean,
        to_host: Fault = clean,
        on_request: OnMessage = see_nothing,
        on_answer: OnMessage = see_nothing,
    ) -> None:
        self._lockstep = lockstep
        self._token = token
        self._faults = {"token": to_token, "host": to_host}
        self._on_request = on_request
        self._requests = smp.LineDecoder()
        self.on_answer = on_answer
        self._answers = smp.LineDecoder()
        self.passed = {"token": 0, "host": 0}
        self.unplugged = False
        self.lost_to_token = 0  # bytes that found no room
        self.alive: Callable[[], None] = lambda: None  # raises when the program that uses the cable is dead
        self._inbox = b""
        self._outbox = b""

    def transport(self) -> TokenTransport:
        """smpclient's transport on this cable."""
        made = TokenTransport()
        made._conn = MemoryPort(self)  # type: ignore[misc, assignment]
        made._POLLING_INTERVAL_S = POLLING_S  # type: ignore[misc]
        return made

    def _pass(self, to: str, data: bytes) -> bytes:
        try:
            arrives = self._faults[to](self.passed[to], data)
        except Cut as cut:
            self.unplugged = True
            arrives = cut.last
        self.passed[to] += len(data)
        return arrives

    def require(self) -> None:
        """Raises SerialException when the cable is out."""
        self.alive()
        if self.unplugged:
            raise SerialException(errno.EIO, "the port is gone")

    def send(self, data: bytes) -> None:
        """To the token. What arrived before a cut the token still reads."""
        self.require()
        arrives = self._pass("token", data)
        room = CONSOLE_BYTES - len(self._inbox)
        self.lost_to_token += max(0, len(arrives) - room)
        self._inbox += arrives[:room]
        if self.unplugged:
            self._let_token_run()

    def receive(self) -> bytes:
        """What has come from the token by now; what arrived before a cut the host still reads."""
        self.alive()
        if not self.unplugged:
            said = self._let_token_run()
            arrives = self._pass("host", said) if said else b""
            for packet in self._answers.feed(arrives):
                self.on_answer(smp.unpack_message(packet))
            self._outbox += arrives
        found, self._outbox = self._outbox, b""
        if not found:
            self.require()
        return found

    def forget(self) -> None:
        """What came and was not read."""
        self.receive()

    def _let_token_run(self) -> bytes:
        process = self._token.process
        data, self._inbox = self._inbox, b""
        if not process.running or process.asleep:
            return process.read_console() if process.running else b""
        if data:
            for packet in self._requests.feed(data):
                self._on_request(smp.unpack_message(packet))
            if process.running:  # what looked on may have cut its power
                self._lockstep.type_in(self._token, data)
        return process.read_console()


class MemoryPort:
    """What TokenTransport and smpclient use of pyserial's Serial."""

    def __init__(self, cable: MemoryCable) -> None:
        self._cable = cable
        self.port: Any = None
        self.dtr = self.rts = True
        self.out_waiting = 0

    def open(self) -> None:
        if self._cable.unplugged:
            raise SerialException(errno.ENOENT, "no such port")
        assert not self.dtr and not self.rts

    def reset_input_buffer(self) -> None:
        self._cable.forget()

    def write(self, data: bytes) -> int:
        self._cable.send(bytes(data))
        return len(data)

    def read_all(self) -> bytes:
        return self._cable.receive()

    def close(self) -> None:
        """The cable stays."""
