"""Loads the application of the right slot and runs it. Nothing else belongs here: no update replaces this file.

Whatever ends the application, the board starts anew: its prompt would be a dead token, and would give away its keys.
Only where the file `/development` lies does the prompt stay, and Ctrl-C.
"""

from micropython import kbd_intr

kbd_intr(-1)  # the port has switched it on anew; boot.py says why this is early enough
try:
    for _ in (0,):
        pass
except KeyboardInterrupt:
    pass

import gc  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402

from machine import reset  # noqa: E402

prompt = False
try:
    prompt = "development" in os.listdir("/")
    if prompt:
        kbd_intr(3)
    import loader

    app, board = loader.load()
    del sys.modules["loader"], loader
    gc.collect()
    app.start(board.build, board.restart)
finally:
    if not prompt:
        reset()
