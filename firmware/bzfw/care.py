"""The commands of a clinic's desk that no token needs in daily life: locate, wipe, update. Loaded when one comes."""

import asyncio
import gc

from micropython import const

from bzwire.errors import RC_BAD_REQUEST
from bzwire.messages import CMD_LOCATE, CMD_UPDATE_BEGIN, CMD_UPDATE_WRITE, CMD_WIPE, MAX_LOCATE_S, field_int

from . import files
from .alive import QUIET_PATH
from .session import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .device import Device

    Fields = dict[str, Any]

_BEEP_MS = const(120)
_BEEP_EVERY_MS = const(1000)


def run(token: "Device", command: int, fields: "Fields") -> "Fields":
    """Fields of the answer to a sealed command, whose envelope was opened. Raises Refusal, WireError or OSError."""
    if command == CMD_LOCATE:
        return _locate(token, field_int(fields, "s", 0, MAX_LOCATE_S))
    if command == CMD_UPDATE_BEGIN and token.alive.on_trial:  # the other slot is the way back; a restart is a try
        raise Refusal(RC_BAD_REQUEST)
    if command == CMD_UPDATE_BEGIN and token.radio is not None:
        # Beside a radio there is no room for an update. The station's next request finds a token that has restarted.
        files.write_whole(QUIET_PATH, b"")
        token.restart_wanted = True
        return {"o": 0}
    try:
        if command == CMD_WIPE:
            from . import wipe

            return wipe.request(token, fields)
        from . import update
    except MemoryError:
        # In a heap that has lived for long there may be no room for more code; after a restart there is.
        token.restart_wanted = True
        gc.collect()
        raise
    if command == CMD_UPDATE_BEGIN:
        return update.begin(token, fields)
    return (update.write if command == CMD_UPDATE_WRITE else update.finish)(token, fields)


def _locate(token: "Device", seconds: int) -> "Fields":
    token.locate_until_ms = token.clock.uptime_ms() + seconds * 1000
    token.light.look_again()
    if seconds:
        asyncio.create_task(_beep(token))
    return {}


async def _beep(token: "Device") -> None:
    """The buzzer goes with the light, where there is one, until a later request takes over."""
    until_ms = token.locate_until_ms
    while token.clock.uptime_ms() < until_ms == token.locate_until_ms:
        token.rest.stay_awake()
        token.hal.buzz(True)
        await asyncio.sleep_ms(_BEEP_MS)
        token.hal.buzz(False)
        await asyncio.sleep_ms(_BEEP_EVERY_MS - _BEEP_MS)
