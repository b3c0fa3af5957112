"""The virtual board: the real MicroPython interpreter under the firmware, a simulated radio, flash, clock, light,
button.

`fleet` is the way in. Nothing here imports the host tools.
"""
