"""Runs before main.py. First of all Ctrl-C is switched off: an exception that leaves this file ends at the prompt.

Collecting garbage often while the application loads keeps what lasts packed at the bottom of the heap. Without it the
free half of the heap ends in crumbs of less than 1 KiB, and an answer of 1 KiB fails (DESIGN.md 8). The app then allows
more garbage at a time.
"""

from micropython import kbd_intr

# The port has just switched it on. The interpreter looks for one at jumps, and there is none before this line.
kbd_intr(-1)
try:
    for _ in (0,):  # a jump: one that came in the moment before is seen here, and forgotten
        pass
except KeyboardInterrupt:
    pass

import gc  # noqa: E402

COLLECT_AFTER_BYTES = 2048

gc.threshold(COLLECT_AFTER_BYTES)
