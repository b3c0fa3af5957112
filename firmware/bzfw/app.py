"""The app: one asyncio program - console, button, light, watchdog, and the radio once there is an identity.

Whatever fails, the board restarts; what fails again and again ends in safe mode, where only console and light run.
"""

import asyncio
import gc
import os
import sys

from micropython import const

from bzwire.light_patterns import SWITCH_ON_MS

from . import files
from .alive import COLLECT_AFTER_BYTES, QUIET_PATH, WATCHDOG_MS
from .device import OFF_PATH, Device
from .server import Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .hal import Hal


_STEP_MS = const(100)
# Left by a wipe: `wipe` says what they mean.
WIPE_PATH = "/wipe"
ERASE_PATH = "/erase"


async def _stays_off(hal: "Hal") -> bool:
    """True when the token was switched off and nobody holds its button or has plugged it in."""
    if not files.exists(OFF_PATH):
        return False
    for _ in range(SWITCH_ON_MS // _STEP_MS):
        if hal.cable_present():
            break
        if not hal.button_is_down():
            return True
        await asyncio.sleep_ms(_STEP_MS)
    os.remove(OFF_PATH)
    return False


async def _main(hal: "Hal") -> None:
    developed = files.exists(files.DEVELOPMENT_PATH)
    if not developed:
        hal.ignore_ctrl_c()  # main.py has, where it is not older than this application
    wiping = files.exists(WIPE_PATH) or files.exists(ERASE_PATH)
    if wiping:
        from . import wipe  # once in the life of most tokens, if at all

        wipe.forget()
    if await _stays_off(hal):
        if not developed:
            hal.start_watchdog(WATCHDOG_MS)  # the loader may have, and sleep must then feed it
        hal.power_off()
    if not files.exists(QUIET_PATH):
        # Before anything that lasts is made, or the heap lies in smaller pieces. Without it, an update has room.
        from . import radio
    device = Device(hal)

    def task_died(_loop: "Any", context: "dict[str, Any]") -> None:
        # A token with a dead task looks alive and is not. A restart takes a second and keeps clock and log.
        sys.print_exception(context["exception"])
        device.alive.crash()

    asyncio.get_event_loop().set_exception_handler(task_died)
    started = asyncio.Event()
    device.on_provisioned = started.set
    gc.threshold(COLLECT_AFTER_BYTES)
    device.load()  # the windowed profile chooses a lower one
    for task in (device.alive.run, device.button.run, device.light.run, Server(device).run):
        asyncio.create_task(task())
    if wiping:
        device.erasing = True
        asyncio.create_task(wipe.overwrite(device))
    await started.wait()
    if device.radio is not None:
        asyncio.create_task(device.radio.run())
    await asyncio.Event().wait()


def start(make_hal: "Callable[[], Hal]", restart: "Callable[[], None]") -> None:
    """Run for ever. What fails before the tasks run restarts the board too: its prompt would be a dead token."""
    try:
        asyncio.run(_main(make_hal()))
    except Exception as error:  # noqa: BLE001 - told on the console, and there is nobody above
        sys.print_exception(error)
    restart()
