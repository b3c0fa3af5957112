"""The app: one asyncio program of four tasks - console, button, light, and the radio once there is an identity."""

import asyncio
import gc
import sys

from .device import Device
from .server import Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .hal import Hal


# Garbage may grow to this before it is collected. Less keeps the heap tidier and costs time, with no bound at all an
# answer of 1 KiB finds no room (DESIGN.md 8).
COLLECT_AFTER_BYTES = 24 * 1024


async def _main(hal: "Hal") -> None:
    def task_died(_loop: "Any", context: "dict[str, Any]") -> None:
        # A token with a dead task looks alive and is not. A restart takes a second and keeps clock and log.
        sys.print_exception(context["exception"])
        hal.restart()

    asyncio.get_event_loop().set_exception_handler(task_died)
    device = Device(hal)
    started = asyncio.Event()
    device.on_provisioned = started.set
    device.load()
    gc.threshold(COLLECT_AFTER_BYTES)
    asyncio.create_task(device.consent.run())
    asyncio.create_task(device.light.run())
    asyncio.create_task(Server(device).run())
    await started.wait()
    if device.radio is not None:
        asyncio.create_task(device.radio.run())
    await asyncio.Event().wait()


def start(hal: "Hal") -> None:
    """Run for ever. What fails before the tasks run restarts the board too: its prompt would be a dead token."""
    try:
        asyncio.run(_main(hal))
    except Exception as error:  # noqa: BLE001 - told on the console, and there is nobody above
        sys.print_exception(error)
    hal.restart()
