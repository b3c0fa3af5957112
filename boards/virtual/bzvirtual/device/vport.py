"""Runs a board from its own flash as the port does: /boot.py, then /main.py, as source and in `__main__`; then the
prompt, and a soft reset when that ends. Loaded only where the flash holds /main.py.

The interpreter has one real Ctrl-C, the signal SIGINT: `bzvirtual.process` sends it for a 0x03 while it is caught.
"""

import os
import sys

import machine
import pipe
from micropython import kbd_intr

CTRL_C = 3
NEVER = -1


def _execute(name, names):
    """False: an exception ended it, and what would run next does not."""
    try:
        with open(name) as file:
            code = compile(file.read(), name, "exec")
        kbd_intr(CTRL_C)
        exec(code, names)
        kbd_intr(NEVER)
    except SystemExit:
        machine.soft_reset()
    except BaseException as error:  # noqa: BLE001 - as the port does
        kbd_intr(NEVER)
        if not isinstance(error, OSError) or name in os.listdir("/"):
            sys.print_exception(error)
            return False
    return True


def run(clock, raw):
    """raw: the prompt that the reset left was the raw one, which only boot.py precedes."""
    kbd_intr(NEVER)
    sys.path[:] = ["", ".frozen", "/lib"]
    del sys.modules["__main__"]  # vboot; the prompt has the interpreter's own
    import __main__

    if not clock.lockstep:
        os.unsetenv("HOME")  # or the prompt would keep its history on the host
        os.putenv("MICROPYINSPECT", "1")
        sys.atexit(machine.soft_reset)
        clock.link.send(pipe.PORT, clock.now_us())
        clock.link.flush()
    for name in ("boot.py",) if raw else ("boot.py", "main.py"):
        if not _execute(name, __main__.__dict__):
            break
