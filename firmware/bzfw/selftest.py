"""The self-test that a station asks for: flash, clock, radio, button and light. Loaded only then, forgotten after.

It disturbs nothing: the radio's share is what a scan of its own hears, the flash's a file of its own.
"""

import asyncio
import os

from micropython import const

from bzwire import light_patterns
from bzwire.errors import WireError
from bzwire.messages import SELF_TEST_DONE

from . import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .device import Device

PATH = "/selftest"
_SCAN_MS = const(4000)
_CLOCK_MS = const(1000)
_CLOCK_TOLERANCE_MS = const(100)
CONTENT = bytes(range(256))
_TAG_BYTES = const(4)
_MAX_TAGS = const(16)


async def run(device: "Device", result: "dict[str, Any]") -> None:
    """Fill `result` step by step; fields in SPEC.md "Self-test"."""
    presses = device.button.presses
    for colour in (light_patterns.RED, light_patterns.GREEN, light_patterns.BLUE):
        device.hal.show(colour)
        await asyncio.sleep_ms(700)
    device.hal.show(light_patterns.DARK)
    result["fl"] = _flash()
    result["ck"] = await _clock(device)
    await _radio(device, result)
    result["bt"] = device.button.presses > presses
    result["bv"] = device.battery.mv
    result["st"] = SELF_TEST_DONE
    device.light.look_again()


def _flash() -> bool:
    try:
        files.write_whole(PATH, CONTENT)
        same = files.read_whole(PATH) == CONTENT
        os.remove(PATH)
    except (OSError, WireError):
        return False
    return same


async def _clock(device: "Device") -> bool:
    """True when the clock has gone as far as the ticks."""
    ticks, before_ms = device.hal.ticks_ms(), device.hal.clock_unix_ms()
    await asyncio.sleep_ms(_CLOCK_MS)
    gone_ms = device.hal.ticks_diff(device.hal.ticks_ms(), ticks)
    return abs(device.hal.clock_unix_ms() - before_ms - gone_ms) < _CLOCK_TOLERANCE_MS


async def _radio(device: "Device", result: "dict[str, Any]") -> None:
    """rx: IDs heard, t: their first bytes; id: of the own one, for which a neighbour can be asked."""
    radio = device.radio
    if radio is None:
        return
    found = await radio.listen_for_test(_SCAN_MS)
    if found is None:
        return
    own_id, heard = found
    result["rx"] = len(heard)
    result["t"] = [rotating_id[:_TAG_BYTES] for rotating_id in heard[:_MAX_TAGS]]
    result["id"] = own_id[:_TAG_BYTES]
