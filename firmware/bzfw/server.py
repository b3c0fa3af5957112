"""SMP over the console: collects lines, serves the standard OS group, hands the token group to `commands`.

One request at a time; a damaged one is dropped and the host asks again. Nothing is ever printed beside the answers.
"""

import gc

from micropython import const

from bzwire import cbor, smp
from bzwire.errors import MGMT_EACCESSDENIED, MGMT_EINVAL, MGMT_ENOTSUP, MGMT_EUNKNOWN, WireError
from bzwire.messages import EARLIEST_UNIX_MS, LATEST_UNIX_MS

from .commands import Commands
from .session import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .device import Device

# Told by the parameters command: how many requests of the largest size the token takes at a time.
_BUFFER_COUNT = const(1)
_ANSWERS = {smp.OP_READ: smp.OP_READ_RESPONSE, smp.OP_WRITE: smp.OP_WRITE_RESPONSE}


class Server:
    """Runs for ever on the board's console."""

    def __init__(self, token: "Device") -> None:
        self._token = token
        self._commands = Commands(token)
        self._decoder = smp.LineDecoder(smp.MAX_REQUEST_BYTES)
        self.failures = 0  # requests that ended in an exception nobody foresaw

    async def run(self) -> None:
        """For ever."""
        hal = self._token.hal
        while True:
            data = await hal.read_console()
            self._token.rest.stay_awake()
            for packet in self._decoder.feed(data):
                self._answer(packet)
            if self._token.restart_wanted:
                self._token.alive.restart()

    def _answer(self, packet: bytes) -> None:
        """Answer a packed request; what is none is passed over."""
        try:
            request = smp.unpack_message(packet)
        except WireError:
            return
        if request.op not in _ANSWERS:
            return
        try:
            self._write(request, self._answer_fields(request))
        except MemoryError:  # a large answer found no room: a small one will
            self.failures += 1
            gc.collect()
            self._write(request, {"rc": MGMT_EUNKNOWN})
        except OSError:  # the flash failed in the middle of an answer: the host misses its end, and asks again
            self.failures += 1

    def _write(self, request: smp.Message, fields: "dict[str, Any]") -> None:
        body = cbor.dump_pieces(fields)
        answer = smp.Message(
            _ANSWERS[request.op], request.group, request.command, request.sequence, b"", request.version
        )
        write = self._token.hal.write_console
        for line in smp.encode_pieces(cbor.Pieces((answer.header(len(body)), body))):
            write(line)

    def _answer_fields(self, request: smp.Message) -> "dict[str, Any]":
        try:
            fields = cbor.loads(request.body) if request.body else {}
            if not isinstance(fields, dict):
                raise Refusal(MGMT_EINVAL, True)
            if request.group == smp.GROUP_OS:
                return self._os_group(request.op, request.command, fields)
            if request.group == smp.GROUP_TOKEN:
                return self._commands.run(request.command, fields)
            raise Refusal(MGMT_ENOTSUP, True)
        except WireError:
            return _refusal_fields(request, Refusal(MGMT_EINVAL, True))
        except Refusal as refusal:
            return _refusal_fields(request, refusal)
        except Exception:  # noqa: BLE001 - whatever a request does, the token must go on answering
            self.failures += 1
            return _refusal_fields(request, Refusal(MGMT_EUNKNOWN, True))

    def _os_group(self, op: int, command: int, fields: "dict[str, Any]") -> "dict[str, Any]":
        if command == smp.OS_ECHO:
            return {"r": str(fields.get("d", ""))}
        if command == smp.OS_PARAMETERS:
            return {"buf_size": smp.MAX_REQUEST_BYTES, "buf_count": _BUFFER_COUNT}
        if command == smp.OS_RESET and op == smp.OP_WRITE:
            self._token.restart_wanted = True
            return {}
        if command == smp.OS_DATETIME:
            return self._datetime(op, fields)
        raise Refusal(MGMT_ENOTSUP, True)

    def _datetime(self, op: int, fields: "dict[str, Any]") -> "dict[str, Any]":
        from . import datetime_text  # for strangers and blank tokens: not worth its place all the time

        if op == smp.OP_READ:
            return {"datetime": datetime_text.format_utc(self._token.clock.now_ms())}
        # Nothing proves who sends this: a stranger's time would make IDs of a wrong day and delete the log by its age.
        # A provisioned token is told the time by SET_CLOCK, under the session's MAC.
        if self._token.identity is not None:
            raise Refusal(MGMT_EACCESSDENIED, True)
        unix_ms = datetime_text.parse_utc(str(fields.get("datetime", "")))
        if unix_ms is None or not EARLIEST_UNIX_MS <= unix_ms <= LATEST_UNIX_MS:
            raise Refusal(MGMT_EINVAL, True)
        self._token.set_clock(unix_ms)
        return {}


def _refusal_fields(request: smp.Message, refusal: Refusal) -> "dict[str, Any]":
    if refusal.standard or request.version == smp.VERSION_1:
        return {"rc": refusal.code}
    return {"err": {"group": request.group, "rc": refusal.code}}
